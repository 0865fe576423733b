"""The front on paper: one panel for each pair of objectives, drawn with matplotlib.

Large and outlined: on the front; hollow: off it by its values, but may well belong to it; pale: dominated. Colour is
the precision, shape the runtime, thin bars the 95 % intervals. The line is the edge of what can be had of the two
objectives of its panel.
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
from explorer.report.control import about_the_reference, charts
from explorer.report.labels import place
from explorer.report.look import Look
from explorer.report.panel import INK, Panel, draw, draw_over_time
from explorer.report.remarks import about_the_front, dominated_early, footnotes, not_on_the_front
from explorer.report.view import View

_PANELS = 3  # more do not fit side by side
_PANEL, _STRIP = 4.7, 1.9  # inches: the panels with the headline, and the control chart below them
_SIDES, _WIDE = 2.0, 4.5  # inches: beside all panels together, and each panel
_KEY, _LETTER = 0.65, 0.075  # inches: a key of the legend, and a letter behind it
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
    chosen = panels(view) if shown is None else shown
    if not view.complete:
        return _sentence(view)
    over_time = charts(view)[:1] if shown is None else ()
    below = _Below(view, chosen)
    height = _PANEL + _STRIP * len(over_time) + below.height
    drawing = _canvas(view, width=_SIDES + _WIDE * len(chosen), height=height)
    below.write(drawing)
    bottom = (below.height + _STRIP * len(over_time)) / height
    top = 1 - 0.66 / height
    drawing.set_layout_engine(ConstrainedLayoutEngine(rect=(0.005, bottom, 0.99, top - bottom), w_pad=0.12))
    grid = drawing.subplots(1, len(chosen), squeeze=False)[0]
    labels = [draw(axes, view, panel, pale=pale) for axes, panel in zip(grid, chosen, strict=True)]
    drawing.draw_without_rendering()  # settles the layout, so that labels can be placed in it
    drawing.set_layout_engine("none")
    for axes, wanted in zip(grid, labels, strict=True):
        place(axes, wanted)
    for one in over_time:
        left, right = (grid[i].get_position() for i in (0, -1))
        strip = (left.x0, (below.height + 0.45) / height, right.x1 - left.x0, (_STRIP - 0.85) / height)
        draw_over_time(drawing.add_axes(strip), one)
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


class _Below:
    """Legend and remarks below the panels, and how much room they need, in inches."""

    def __init__(self, view: View, shown: Sequence[Panel]) -> None:
        metrics = list(dict.fromkeys(name for panel in shown for name in panel.names))
        said = [*about_the_front(view), *footnotes(view, view.front, metrics)]
        said += [*dominated_early(view), *not_on_the_front(view)]
        said += [*about_the_reference(view), *filter(None, [view.key_to_short_names]), *view.notes]
        self._lines = [line for remark in said for line in textwrap.wrap(remark, width=65 * len(shown) + 15)]
        self._handles = list(_legend(view))
        widest = _KEY + _LETTER * max(len(str(handle.get_label())) for handle in self._handles)
        fitting = int((_SIDES + _WIDE * len(shown)) / widest)
        self._columns = max(1, min(len(self._handles), 3 * len(shown) + 1, fitting))
        self._foot = 0.1 + 0.175 * len(self._lines)
        self.height = self._foot + 0.25 + 0.21 * math.ceil(len(self._handles) / self._columns)

    def write(self, drawing: Figure) -> None:
        width, height = drawing.get_size_inches()
        text = "\n".join(self._lines)
        drawing.text(0.15 / width, 0.1 / height, text, fontsize=9, color=_GREY, va="bottom", linespacing=1.3)
        drawing.legend(
            handles=self._handles,
            loc="lower left",
            bbox_to_anchor=(0.0, self._foot / height),
            ncols=self._columns,
            frameon=False,
            fontsize=10,
        )


def _legend(view: View) -> Iterator[Line2D]:
    look = Look(view)
    for name, colour in look.colours.items():
        yield _key("o", colour, _said(look.colour_axis, name))
    for name, shape in look.shapes.items():
        yield _key(shape.matplotlib, _GREY, _said(look.shape_axis, name))
    if view.near:
        yield Line2D(
            [], [], color=_GREY, marker="o", markerfacecolor="none", linestyle="none", label="may belong to it"
        )
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
