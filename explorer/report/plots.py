"""The front on paper: one panel for each pair of objectives, drawn with matplotlib.

Large and outlined: on the front; pale: dominated. Colour is the precision, shape the runtime, thin bars the 95 %
intervals. The line is the edge of what can be had of the two objectives of its panel.
"""

from __future__ import annotations

import io
import itertools
import math
import textwrap
from collections.abc import Iterator, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from explorer.report import wording
from explorer.report.labels import place
from explorer.report.look import Look
from explorer.report.panel import INK, Panel, draw
from explorer.report.view import View, footnotes

_PANELS = 3  # more do not fit side by side
_GREY = "#555555"


class Picture(Figure):
    """A figure that a notebook can show without a backend of pyplot."""

    def _repr_png_(self) -> bytes:
        return _png(self, dpi=110)


def as_png(view: View, *, pareto: bool) -> bytes:
    """The picture as a file's content; with `pareto`, what is dominated is pale."""
    return _png(figure(view, pale=pareto), dpi=160)


def panels(view: View) -> list[Panel]:
    """The pairs of objectives worth a panel: all of two or three, the first against the next ones of more."""
    names = [o.metric for o in view.objectives]
    if len(names) == 1:
        return [Panel(None, names[0])]
    pairs = itertools.combinations(names, 2) if len(names) <= _PANELS else ((names[0], other) for other in names[1:])
    return [Panel(x, y) for y, x in itertools.islice(pairs, _PANELS)]


def figure(view: View, shown: Sequence[Panel] | None = None, *, pale: bool = True) -> Figure:
    """A figure of these panels; where there is nothing to draw, it says why in a sentence."""
    shown = panels(view) if shown is None else shown
    if not view.complete:
        return _sentence(view)
    drawing = _canvas(view, width=2.0 + 4.5 * len(shown))
    bottom = _below(drawing, view, shown)
    drawing.set_layout_engine(ConstrainedLayoutEngine(rect=(0.005, bottom, 0.99, 0.89 - bottom), w_pad=0.12))
    grid = drawing.subplots(1, len(shown), squeeze=False)[0]
    labels = [draw(axes, view, panel, pale=pale) for axes, panel in zip(grid, shown, strict=True)]
    drawing.draw_without_rendering()  # settles the layout, so that labels can be placed in it
    drawing.set_layout_engine("none")
    for axes, wanted in zip(grid, labels, strict=True):
        place(axes, wanted)
    return drawing


def _sentence(view: View) -> Figure:
    drawing = _canvas(view, width=6.5, height=2.6)
    text = textwrap.fill(" ".join(view.notes), width=64)
    drawing.text(0.05, 0.4, text, fontsize=11, color=INK, va="center", linespacing=1.5)
    return drawing


def _canvas(view: View, *, width: float, height: float = 6.0) -> Figure:
    """An empty figure, sizes in inches, with the study's name and its counts above."""
    drawing = Picture(figsize=(width, height))
    FigureCanvasAgg(drawing)
    name, _, counts = view.headline.partition(": ")
    left, top = 0.15 / width, 1 - 0.14 / height
    drawing.text(left, top, name, fontsize=14, fontweight="bold", color=INK, va="top")
    drawing.text(left, top - 0.3 / height, counts, fontsize=10.5, color=_GREY, va="top")
    return drawing


def _below(drawing: Figure, view: View, shown: Sequence[Panel]) -> float:
    """Write legend and footnotes below the panels; returns where the panels may begin, as a share of the height."""
    metrics = list(dict.fromkeys(name for panel in shown for name in panel.names))
    remarks = [*footnotes(view, view.front, metrics), *filter(None, [view.key_to_short_names]), *view.notes]
    lines = [line for remark in remarks for line in textwrap.wrap(remark, width=65 * len(shown) + 15)]
    width, height = drawing.get_size_inches()
    drawing.text(0.15 / width, 0.1 / height, "\n".join(lines), fontsize=9, color=_GREY, va="bottom", linespacing=1.3)
    handles = list(_legend(view))
    columns = min(len(handles), 3 * len(shown) + 1)
    foot = 0.1 + 0.19 * len(lines)
    corner = (0.0, foot / height)
    drawing.legend(handles=handles, loc="lower left", bbox_to_anchor=corner, ncols=columns, frameon=False, fontsize=10)
    return float((foot + 0.25 + 0.21 * math.ceil(len(handles) / columns)) / height)


def _legend(view: View) -> Iterator[Line2D]:
    look = Look(view)
    for name, colour in look.colours.items():
        yield _key("o", colour, _said(look.colour_axis, name))
    for name, shape in look.shapes.items():
        yield _key(shape.matplotlib, _GREY, _said(look.shape_axis, name))
    if view.baseline is not None:
        yield _key("*", INK, "dense fp32", size=11)
    yield Line2D([], [], color=INK, alpha=0.5, linewidth=1.1, label="best of the two")


def _key(marker: str, colour: str, label: str, *, size: float = 8) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=size, label=label)


def _said(axis: str | None, value: str) -> str:
    """A value as a legend says it: numbers with their axis."""
    return value if not axis or not value[:1].isdigit() else f"{wording.title(axis)[0]} {value}"


def _png(drawing: Figure, *, dpi: int) -> bytes:
    file = io.BytesIO()
    drawing.savefig(file, format="png", dpi=dpi, facecolor="white")
    return file.getvalue()
