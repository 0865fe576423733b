"""The report as one self-contained page: the front to hover, filter and sort, with no need of a network.

The page's parts lie in ``page/``: a skeleton, a style sheet and the scripts, joined here with plotly and the study's
numbers. Numbers are put into words here, so that the page says them exactly as every other format does.
"""

from __future__ import annotations

import html
import json
from importlib.resources import files
from string import Template
from typing import Any

from plotly.offline import get_plotlyjs

from explorer.report import flags, look, wording
from explorer.report.control import Chart, about_the_reference, charts, to_json
from explorer.report.method import method
from explorer.report.remarks import (
    ON_FRONT,
    about_the_front,
    against_dense,
    dominated_early,
    doubts,
    footnotes,
    left_out,
    on_a_dla,
)
from explorer.report.text import AGAINST, against_cell, cell, finite, number_of
from explorer.report.verified import about_the_verification
from explorer.report.view import View
from explorer.result import Record

_SCRIPTS = ("study.js", "plot.js", "filters.js", "table.js", "sections.js", "page.js")


def as_html(view: View, *, pareto: bool) -> str:
    """The page; with `pareto`, its table starts with the front alone."""
    page = files("explorer.report") / "page"
    return Template((page / "page.html").read_text("utf-8")).substitute(
        title=html.escape(view.name),
        style=(page / "page.css").read_text("utf-8"),
        plotly=get_plotlyjs(),
        study=_for_a_script(content(view, pareto=pareto)),
        scripts="\n".join((page / name).read_text("utf-8") for name in _SCRIPTS),
    )


def content(view: View, *, pareto: bool) -> dict[str, Any]:
    """What the page's scripts know of the study."""
    chosen = look.Look(view)
    return {
        "name": view.name,
        "counts": view.headline.removeprefix(f"{view.name}: "),
        "device": ", ".join(dict.fromkeys(record.device for record in view.complete)),
        "objectives": [o.metric for o in view.objectives],
        "axes": [_axis(view, name) for name in view.axes],
        "metrics": [_metric(view, name) for name in view.metrics],
        "trials": [_trial(view, record) for record in view.complete],
        "baseline": view.baseline.number if view.baseline else None,
        "colourBy": chosen.colour_axis,
        "shapeBy": chosen.shape_axis,
        "shapes": {name: shape.plotly for name, shape in chosen.shapes.items()},
        "palette": look.PALETTE,
        "frontFirst": pareto,
        "notes": list(view.notes),
        "compared": [{"name": name, "heading": f"{wording.heading(name)} {AGAINST}"} for name in view.compared],
        "footnotes": [*_remarks(view), *filter(None, [view.hypervolume_note])],
        "doubts": {flag: flags.explain(flag) for flag in doubts(view.complete)},
        "leftOut": _left_out(view),
        "control": [_chart(one) for one in charts(view)],
        "method": method(view),
    }


def _remarks(view: View) -> list[str]:
    shown = [*against_dense(view, view.front), *footnotes(view, view.complete), *on_a_dla(view.front)]
    checked = [*about_the_verification(view.complete), *about_the_reference(view)]
    return [ON_FRONT, *about_the_front(view), *shown, *checked]


def _chart(one: Chart) -> dict[str, Any]:
    points = [{**point, "said": wording.number(point["value"])} for point in to_json(one)["points"]]
    return {**to_json(one), "points": points, "heading": wording.heading(one.points[0].metric)}


def _left_out(view: View) -> list[dict[str, str]]:
    """What is not on the front, and why: a row a reason."""
    rows = [
        {"kind": group.kind, "trials": wording.some(group.trials), "count": str(len(group.trials)), "why": group.reason}
        for group in left_out(view.records)
    ]
    for line in dominated_early(view):
        early = [record.number for record in view.dominated]
        why = line.partition(": ")[2]
        rows.append({"kind": "dominated early", "trials": wording.some(early), "count": str(len(early)), "why": why})
    if beaten := len(view.complete) - len(view.front):
        near = f"; {len(view.near)} of them may belong to it all the same" if view.near else ""
        why = f"another trial is nowhere worse and somewhere better{near}"
        rows.append({"kind": "dominated", "trials": "", "count": str(beaten), "why": why})
    return rows


def _axis(view: View, name: str) -> dict[str, Any]:
    names = look.values(view, name)
    return {
        "name": name,
        "heading": wording.heading(name),
        "values": list(names),
        "colours": dict(look.colours(name, names)),
        "varies": name in view.varied,
    }


def _metric(view: View, name: str) -> dict[str, Any]:
    signs = "".join(dict.fromkeys("".join(wording.marks(record, name) for record in view.complete)))
    return {"name": name, "heading": wording.heading(name) + signs, "better": view.direction(name)}


def _trial(view: View, record: Record) -> dict[str, Any]:
    return {
        "number": record.number,
        "label": number_of(record),
        "front": record.number in view.on_front,
        "near": record in view.near,
        "probability": view.probability(record),
        "chance": wording.chance(view.probability(record)),
        "readings": view.readings(record),
        "against": {name: against_cell(record, view, name) for name in view.compared},
        "params": {name: wording.say(value) for name, value in record.params.items()},
        "metrics": {name: metric.to_json() for name, metric in record.metrics.items()},
        "said": {name: cell(record, name) for name in record.metrics},
        "flags": list(record.evaluation.flags),
    }


def _for_a_script(data: dict[str, Any]) -> str:
    """JSON that cannot end the script element it stands in, whatever a user's name contains."""
    return json.dumps(finite(data), allow_nan=False).replace("<", "\\u003c")
