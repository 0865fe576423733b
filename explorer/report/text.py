"""The formats for other programs and for pasting: JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from explorer.report import flags, wording
from explorer.report.control import about_the_reference, charts, to_json
from explorer.report.method import method
from explorer.report.remarks import difference, doubts, left_out, remarks
from explorer.report.view import View
from explorer.result import Record

AGAINST = "− dense fp32"


def as_json(view: View, *, pareto: bool) -> str:
    """The object that scripts read; without `pareto` it also holds every complete trial, as ``records``.

    JSON knows no infinity: a number that is not finite is null.
    """
    content: dict[str, Any] = {
        "study": view.name,
        "objectives": [{"metric": o.metric, "direction": o.direction} for o in view.objectives],
        "front": [_object(record, view) for record in view.front],
        "hypervolume": view.hypervolume,
        "hypervolume_reference": {name: scale._asdict() for name, scale in view.scales.items()},
        "trials": view.trials,
        "may_belong": [{"number": r.number, "probability": view.probability(r)} for r in view.near],
        "undecided": sorted(view.standing.undecided),
        "dense_fp32": view.baseline.number if view.baseline else None,
        "doubts": [_doubt(flag, trials) for flag, trials in doubts(view.complete).items()],
        "left_out": [{"state": g.kind, "reason": g.reason, "trials": list(g.trials)} for g in left_out(view.records)],
        "dominated": [{"trial": r.number, **(r.stopped.to_json() if r.stopped else {})} for r in view.dominated],
        "impossible": {"of": view.data.space_size, "reasons": view.data.impossible},
        "ended": {"stop": view.data.ended["ended"], "why": view.data.ended["why"]} if view.data.ended else None,
        "ruled_out": [{name: one[name] for name in ("trial", "because", "left_out")} for one in view.data.ruled_out],
        "control": [to_json(one) for one in charts(view)],
        "method": method(view),
        "notes": list(view.notes),
    }
    if not pareto:
        content["records"] = [_object(record, view) for record in view.complete]
    return json.dumps(finite(content), indent=2, allow_nan=False) + "\n"


def _object(record: Record, view: View) -> dict[str, Any]:
    """A record as in ``trials.jsonl``, with what all readings together say of it."""
    against = view.against_dense(record)
    return record.to_json() | {
        "probability": view.probability(record),
        "readings": view.readings(record),
        "against_dense": {
            name: {"difference": p.difference.to_json(), "p_value": p.p_value, "method": p.method}
            for name, p in against.items()
        },
    }


def _doubt(flag: str, trials: Sequence[int]) -> dict[str, Any]:
    meaning, advice = {**flags.VOID, **flags.DOUBTS}.get(flag, ("", ""))
    return {"flag": flag, "meaning": meaning, "advice": advice, "trials": list(trials)}


def as_csv(view: View, *, pareto: bool) -> str:
    """One row a trial; units are in the names, intervals in ``_low`` and ``_high``, marks in columns of their own."""
    rows = [row(record, view) for record in (view.front if pareto else view.complete)]
    file = io.StringIO()
    writer = csv.DictWriter(file, columns(view), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def row(record: Record, view: View) -> dict[str, Any]:
    """A record as one flat row; a metric that it lacks is absent."""
    evaluation = record.evaluation
    cells: dict[str, Any] = {"trial": record.number, **record.params}
    for name, metric in record.metrics.items():
        cells |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
    words = {"estimated": evaluation.estimated, "simulated": evaluation.simulated, "recorded": evaluation.recorded}
    words |= {"flags": evaluation.flags}
    cells |= {name: " ".join(values) for name, values in words.items()}
    cells["scaled"] = " ".join(f"{name}={ratio:.4g}" for name, ratio in evaluation.scaled.items())
    cells |= {"on_front": int(record.number in view.on_front), "probability": view.probability(record)}
    cells |= {"readings": view.readings(record)}
    for name, paired in view.against_dense(record).items():
        cells |= {f"{name}_against_dense": paired.difference.value, f"{name}_against_dense_p": paired.p_value}
    return cells | {"device": record.device, "started": record.started, "seconds": record.seconds}


def as_markdown(view: View, *, pareto: bool) -> str:
    """A heading, the table with intervals and marks, and what the marks mean."""
    records = view.front if pareto else view.complete
    parts = [f"## {escape_markdown(view.headline)}", *map(escape_markdown, view.notes)]
    if records:
        parts.append(_md_table(records, view))
    said = [*remarks(view, records), *about_the_reference(view), *filter(None, [view.hypervolume_note])]
    parts += [_md_list(said)] if said else []
    if told := method(view):
        parts += ["### How it was measured", _md_list(f"{name}: {sentence}" for name, sentence in told.items())]
    return "\n\n".join(parts) + "\n"


def _md_list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {escape_markdown(sentence)}" for sentence in sentences)


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


def against_cell(record: Record, view: View, score: str) -> str:
    """A score's difference from the dense fp32 net; a dash for that net itself, and where answers were not kept."""
    paired = view.against_dense(record).get(score)
    return difference(paired) if paired else "–"


def number_of(record: Record) -> str:
    """The trial's number, marked where one of its figures deserves doubt."""
    return f"{record.number}{wording.DOUBTFUL * bool(record.evaluation.flags)}"


def columns(view: View, *, ending: Sequence[str] = ()) -> list[str]:
    """The names in `row`; those of `ending` stand before where and when it was measured."""
    metrics = [f"{name}{end}" for name in view.metrics for end in ("", "_low", "_high")]
    against = [f"{name}_against_dense{end}" for name in view.compared for end in ("", "_p")]
    marks = ["estimated", "simulated", "recorded", "flags", "scaled", "on_front", "probability", "readings"]
    return ["trial", *view.axes, *metrics, *against, *marks, *ending, "device", "started", "seconds"]


def _md_table(records: Sequence[Record], view: View) -> str:
    columns = list(_md_columns(records, view))
    headings, rules, cells = zip(*columns, strict=True)
    rows = [headings, rules, *zip(*cells, strict=True)]
    return "\n".join(f"| {' | '.join(map(escape_markdown, row))} |" for row in rows)


def _md_columns(records: Sequence[Record], view: View) -> Iterator[tuple[str, str, list[str]]]:
    """Heading, rule and cells; a score's difference from the dense fp32 net stands beside the score."""
    yield "trial", "---:", [number_of(record) for record in records]
    yield "on front", "---:", [wording.chance(view.probability(record)) for record in records]
    for axis in view.axes:
        yield wording.heading(axis), "---", [wording.say(record.params.get(axis, "–")) for record in records]
    for name in view.metrics:
        yield wording.heading(name), "---:", [cell(record, name) for record in records]
        if name in view.compared:
            yield f"{wording.heading(name)} {AGAINST}", "---:", [against_cell(r, view, name) for r in records]
    if doubts(records):
        yield "doubts", "---", [", ".join(record.evaluation.flags) or "–" for record in records]


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, also within a table."""
    escaped = text.replace("\\", "\\\\").replace("<", "&lt;").replace("\n", " ")
    for character in "|*_`":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped
