"""The formats for other programs and for pasting: JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from explorer.report import wording
from explorer.report.view import View, footnotes
from explorer.result import Record


def as_json(view: View, *, pareto: bool) -> str:
    """The object that scripts read; without `pareto` it also holds every complete trial, as ``records``.

    JSON knows no infinity: a number that is not finite is null.
    """
    content: dict[str, Any] = {
        "study": view.name,
        "objectives": [{"metric": o.metric, "direction": o.direction} for o in view.objectives],
        "front": [record.to_json() for record in view.front],
        "hypervolume": view.hypervolume,
        "hypervolume_reference": {name: scale._asdict() for name, scale in view.scales.items()},
        "trials": view.trials,
        "notes": list(view.notes),
    }
    if not pareto:
        content["records"] = [record.to_json() for record in view.complete]
    return json.dumps(finite(content), indent=2, allow_nan=False) + "\n"


def as_csv(view: View, *, pareto: bool) -> str:
    """One row a trial; units are in the names, intervals in ``_low`` and ``_high``, marks in columns of their own."""
    rows = [row(record, view) for record in (view.front if pareto else view.complete)]
    file = io.StringIO()
    writer = csv.DictWriter(file, _columns(view), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def row(record: Record, view: View) -> dict[str, Any]:
    """A record as one flat row; a metric that it lacks is absent."""
    evaluation = record.evaluation
    cells: dict[str, Any] = {"trial": record.number, **record.params}
    for name, metric in record.metrics.items():
        cells |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
    words = {"estimated": evaluation.estimated, "simulated": evaluation.simulated, "flags": evaluation.flags}
    cells |= {name: " ".join(values) for name, values in words.items()}
    cells["scaled"] = " ".join(f"{name}={ratio:.4g}" for name, ratio in evaluation.scaled.items())
    cells |= {"on_front": int(record.number in view.on_front), "device": record.device, "started": record.started}
    return cells | {"seconds": record.seconds}


def as_markdown(view: View, *, pareto: bool) -> str:
    """A heading, the table with intervals and marks, and what the marks mean."""
    records = view.front if pareto else view.complete
    parts = [f"## {escape_markdown(view.headline)}", *map(escape_markdown, view.notes)]
    if records:
        parts.append(_md_table(records, view))
    remarks = [*footnotes(view, records), *filter(None, [view.hypervolume_note])]
    parts += ["\n".join(f"- {escape_markdown(remark)}" for remark in remarks)] if remarks else []
    return "\n\n".join(parts) + "\n"


def finite(value: Any) -> Any:
    """The same structure with null for every number that JSON cannot say."""
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cell(record: Record, metric: str, *, interval: bool = True) -> str:
    """A metric with its interval and marks, as text; a dash where the record lacks it."""
    found = record.metrics.get(metric)
    if found is None:
        return "–"
    return (wording.with_interval(found) if interval else wording.value_only(found)) + wording.marks(record, metric)


def number_of(record: Record) -> str:
    """The trial's number, marked where one of its figures deserves doubt."""
    return f"{record.number}{wording.DOUBTFUL * bool(record.evaluation.flags)}"


def _columns(view: View) -> list[str]:
    metrics = [f"{name}{end}" for name in view.metrics for end in ("", "_low", "_high")]
    return [
        "trial",
        *view.axes,
        *metrics,
        "estimated",
        "simulated",
        "flags",
        "scaled",
        "on_front",
        "device",
        "started",
        "seconds",
    ]


def _md_table(records: Sequence[Record], view: View) -> str:
    headings = ["trial", *map(wording.heading, view.axes), *map(wording.heading, view.metrics)]
    rule = ["---:", *["---" for _ in view.axes], *["---:" for _ in view.metrics]]
    rows = [
        [
            number_of(record),
            *(wording.say(record.params.get(name, "–")) for name in view.axes),
            *(cell(record, name) for name in view.metrics),
        ]
        for record in records
    ]
    return "\n".join(f"| {' | '.join(map(escape_markdown, cells))} |" for cells in [headings, rule, *rows])


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, also within a table."""
    escaped = text.replace("\\", "\\\\").replace("<", "&lt;").replace("\n", " ")
    for character in "|*_`":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped
