"""One panel of a plot: two metrics against each other, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from explorer import pareto
from explorer.report import wording
from explorer.report.control import Chart
from explorer.report.labels import Label
from explorer.report.look import PALETTE, Look, Shape
from explorer.report.view import View
from explorer.result import Objective, Record

INK, _FAINT, _GRID = "#222222", "#999999", "#E8E8E8"
_PALE = 0.25
_LOG_FROM = 8.0  # an axis whose largest value is this many times its smallest is logarithmic


@dataclass(frozen=True)
class Panel:
    """Which metrics; `x` is None where there is one objective only: then the trials stand in a row."""

    x: str | None
    y: str

    @property
    def names(self) -> tuple[str, ...]:
        return (self.y,) if self.x is None else (self.x, self.y)

    def holds(self, record: Record) -> bool:
        """Whether the record has a point in this panel."""
        return all(name in record.metrics and np.isfinite(record.metrics[name].value) for name in self.names)

    def point(self, record: Record) -> tuple[float, float]:
        x = float(record.number) if self.x is None else record.metrics[self.x].value
        return x, record.metrics[self.y].value


def draw(axes: Axes, view: View, panel: Panel, *, pale: bool) -> list[Label]:
    """Draw the panel; with `pale`, dominated points step back.

    Returns:
        Labels that still want a place, once the layout of the figure is settled.
    """
    look = Look(view)
    drawn = [record for record in view.complete if panel.holds(record)]
    front = [record for record in drawn if record.number in view.on_front]
    near = [record for record in view.near if panel.holds(record)]
    rest = [record for record in drawn if record not in front and record not in near]
    alpha = _PALE if pale else 0.9
    _points(axes, look, panel, rest, markersize=6.5, markeredgecolor="none", alpha=alpha, zorder=2)
    _bars(axes, look, panel, front)
    _points(axes, look, panel, near, markersize=7.5, markerfacecolor="none", markeredgewidth=1.2, zorder=3)
    _points(axes, look, panel, front, markersize=9.5, markeredgecolor="white", zorder=4)
    _edge(axes, view, panel, drawn)
    _dress(axes, view, panel, drawn)
    return _labels(axes, view, panel, drawn, front)


def draw_over_time(axes: Axes, chart: Chart) -> None:
    """Draw a control chart: readings of the reference engine in their order, the centre, the limits, what is beyond."""
    for out, marker, colour, size in ((False, "o", PALETTE[0], 4), (True, "X", PALETTE[1], 8)):
        at = [i for i, point in enumerate(chart.points) if point.out == out]
        axes.plot(at, [chart.points[i].value for i in at], marker, color=colour, markersize=size)
    for level, dash in ((chart.centre, "-"), (chart.low, "--"), (chart.high, "--")):
        axes.axhline(level, color=_FAINT, linewidth=1, linestyle=dash, zorder=1)
    axes.set_ylabel(wording.heading(chart.points[0].metric), fontsize=10, color=INK)
    axes.set_xlabel("readings of the reference engine, in their order", fontsize=10, color=INK)
    _plain(axes)


def _points(axes: Axes, look: Look, panel: Panel, records: Iterable[Record], **style: Any) -> None:
    for (colour, shape), alike in _by_style(look, records).items():
        xs, ys = zip(*map(panel.point, alike), strict=True)
        axes.plot(xs, ys, shape.matplotlib, color=colour, **style)


def _bars(axes: Axes, look: Look, panel: Panel, records: Iterable[Record]) -> None:
    """95 % intervals, thin."""
    for (colour, _), alike in _by_style(look, records).items():
        xs, ys = zip(*map(panel.point, alike), strict=True)
        across, along = _intervals(alike, panel.x), _intervals(alike, panel.y)
        axes.errorbar(xs, ys, along, across, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.55, zorder=3)


def _by_style(look: Look, records: Iterable[Record]) -> dict[tuple[str, Shape], list[Record]]:
    groups: dict[tuple[str, Shape], list[Record]] = {}
    for record in records:
        groups.setdefault((look.colour(record), look.shape(record)), []).append(record)
    return groups


def _intervals(records: Sequence[Record], name: str | None) -> NDArray[np.float64] | None:
    """How far the intervals reach below and above, ``[2, n]``; nothing where a value is exact."""
    if name is None:
        return None
    metrics = [record.metrics[name] for record in records]
    reach = [
        (m.value - m.low, m.high - m.value) if m.low is not None and m.high is not None else (0, 0) for m in metrics
    ]
    return np.clip(np.array(reach, dtype=np.float64).T, 0.0, None)


def _edge(axes: Axes, view: View, panel: Panel, records: Sequence[Record]) -> None:
    """The edge of what can be had of these two metrics alone."""
    wishes = [Objective(name, view.direction(name) or "max") for name in panel.names]
    if len(wishes) < 2 or not records:
        return
    gains = [[wish.gain(record.metrics[wish.metric].value) for wish in wishes] for record in records]
    best = sorted(panel.point(r) for r, kept in zip(records, pareto.front(gains), strict=True) if kept)
    steps = "steps-pre" if wishes[0].direction == "max" else "steps-post"
    axes.plot(*zip(*best, strict=True), color=INK, linewidth=1.1, alpha=0.5, drawstyle=steps, zorder=1)


def _dress(axes: Axes, view: View, panel: Panel, records: Sequence[Record]) -> None:
    axes.set_ylabel(_axis_label(view, panel.y, ("↑", "↓")), fontsize=11, color=INK)
    axes.set_xlabel(_axis_label(view, panel.x, ("→", "←")) if panel.x else "trial", fontsize=11, color=INK)
    _plain(axes)
    axes.margins(0.1)
    for name, axis, set_scale in ((panel.x, axes.xaxis, axes.set_xscale), (panel.y, axes.yaxis, axes.set_yscale)):
        if name and _is_wide([record.metrics[name].value for record in records]):
            set_scale("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: wording.number(value)))


def _plain(axes: Axes) -> None:
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=10, color=_FAINT, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)


def _is_wide(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) >= _LOG_FROM


def _axis_label(view: View, name: str, arrows: tuple[str, str]) -> str:
    """``throughput [1/s]   → better``, with the marks that its values bear."""
    larger, smaller = arrows
    better = {"max": f"   {larger} better", "min": f"   {smaller} better"}.get(view.direction(name) or "", "")
    signs = "".join(dict.fromkeys("".join(wording.marks(record, name) for record in view.complete)))
    return f"{wording.heading(name)}{signs}{better}"


def _labels(axes: Axes, view: View, panel: Panel, drawn: Sequence[Record], front: Sequence[Record]) -> list[Label]:
    """The net as it was, the best of the front in each of the panel's metrics, and the balanced choice."""
    texts: dict[int, str] = {}
    for name in panel.names if front else ():
        wish = Objective(name, view.direction(name) or "max")
        texts[_best(front, wish).number] = ""
    if view.balanced is not None and len(view.front) > 2:
        texts[view.balanced.number] = "balanced: "
    labels = [Label(*panel.point(r), texts[r.number] + view.in_short(r)) for r in front if r.number in texts]
    base = view.baseline
    if base is not None and base in drawn:
        labels = [label for label in labels if label[:2] != panel.point(base)]
        x, y = panel.point(base)
        axes.plot(x, y, marker="*", color=INK, markersize=14, markeredgecolor="white", zorder=5)
        labels.append(Label(x, y, "dense fp32"))
    return labels


def _best(records: Sequence[Record], wish: Objective) -> Record:
    return max(records, key=lambda record: wish.gain(record.metrics[wish.metric].value))
