"""How plots look, on paper and on the page: which axis becomes colour, which shape, and the palette.

Colours are Okabe and Ito's ("Color Universal Design", 2008): told apart with any kind of colour vision. Known
precisions keep theirs in every study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from explorer.report import wording
from explorer.report.view import View
from explorer.result import Record

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7A7A7A")
_PRECISIONS = {
    "fp32": "#0072B2",
    "tf32": "#56B4E9",
    "fp16": "#009E73",
    "bf16": "#CC79A7",
    "int8": "#D55E00",
    "fp8": "#8C6D31",
    "best": "#E69F00",
}


class Shape(NamedTuple):
    """The same shape by matplotlib's name and by plotly's."""

    matplotlib: str
    plotly: str


SHAPES = (
    Shape("o", "circle"),
    Shape("D", "diamond"),
    Shape("s", "square"),
    Shape("^", "triangle-up"),
    Shape("v", "triangle-down"),
    Shape("P", "cross"),
    Shape("X", "x"),
)


class Look:
    """The look of each trial: precision is colour, runtime is shape; without them other axes take their place."""

    def __init__(self, view: View) -> None:
        few = [axis for axis in view.varied if len(values(view, axis)) <= len(SHAPES)]
        self.colour_axis = _first(["precision", "prune_ratio", *few], among=few)
        others = [axis for axis in few if axis != self.colour_axis]
        self.shape_axis = _first(["runtime", "placement", *others], among=others)
        self.colours = colours(self.colour_axis, values(view, self.colour_axis))
        self.shapes = dict(zip(values(view, self.shape_axis), SHAPES, strict=False))

    def colour(self, record: Record) -> str:
        return self.colours.get(wording.say(record.params.get(self.colour_axis or "")), PALETTE[0])

    def shape(self, record: Record) -> Shape:
        return self.shapes.get(wording.say(record.params.get(self.shape_axis or "")), SHAPES[0])


def values(view: View, axis: str | None) -> tuple[str, ...]:
    """The values of an axis as text: numbers and precisions in order, words as they appear; none without an axis."""
    found = dict.fromkeys(record.params[axis] for record in view.records if axis is not None and axis in record.params)
    if all(isinstance(value, (int, float)) for value in found):
        return tuple(map(wording.say, sorted(found)))
    ranks = {name: rank for rank, name in enumerate(_PRECISIONS)}
    return tuple(sorted(map(wording.say, found), key=lambda name: ranks.get(name, len(ranks))))


def colours(axis: str | None, names: Sequence[str]) -> Mapping[str, str]:
    """A colour for each value of an axis."""
    known = {name: _PRECISIONS[name] for name in names if axis == "precision" and name in _PRECISIONS}
    free = [colour for colour in PALETTE if colour not in known.values()] or list(PALETTE)
    others = [name for name in names if name not in known]
    return known | {name: free[i % len(free)] for i, name in enumerate(others)}


def _first(wanted: Sequence[str], *, among: Sequence[str]) -> str | None:
    return next((axis for axis in wanted if axis in among), None)
