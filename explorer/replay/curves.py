"""Share of the hypervolume over trials and over hours: medians, and the quartiles as a band, drawn with matplotlib."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from explorer.replay.course import UNTIL, Course, Floats
from explorer.replay.problem import Replayed
from explorer.replay.summary import Courses
from explorer.replay.text import about, footnotes
from explorer.report.look import PALETTE

LEAST = 0.5  # shares below are of no interest
_INK, _GREY = "#1f2328", "#555555"


def as_png(problem: Replayed, courses: Courses) -> bytes:
    """The picture as a file's content."""
    ended, hours = list(footnotes(problem, courses))[1:3]
    said = [*about(problem, courses), ended, *([] if problem.assumed else [hours])]
    return _saved(figure(problem.name, courses, said, hours=not problem.assumed), format="png", dpi=160)


def as_svg(problem: Replayed, courses: Courses) -> str:
    """The picture for a page that says the rest itself."""
    drawn = figure("", courses, (), hours=not problem.assumed)
    with rc_context({"svg.hashsalt": problem.name, "svg.fonttype": "none"}):
        return _saved(drawn, format="svg", metadata={"Date": None}, transparent=True).decode()


def figure(title: str, courses: Courses, said: Sequence[str] = (), *, hours: bool = True) -> Figure:
    """A panel over trials and, with `hours`, one over hours; `said` below them."""
    lines = [line for text in said for line in textwrap.wrap(text, 150 if hours else 92)]
    foot = 0.18 * len(lines)
    height = 4.4 + foot + 0.35 * bool(title)
    drawing = Figure(figsize=(11.0 if hours else 6.5, height), layout="constrained")
    FigureCanvasAgg(drawing)
    engine = drawing.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, (foot + 0.15 * bool(said)) / height, 1, 1 - (foot + 0.15 * bool(said)) / height))  # type: ignore[call-arg]
    panels = drawing.subplots(1, 1 + hours, sharey=True, squeeze=False)[0]
    draw(panels[0], courses, [[np.arange(1.0, len(c.rows) + 1) for c in all_] for all_ in courses.values()])
    panels[0].set(xlabel="trials", ylabel="share of the exhaustive hypervolume", ylim=(LEAST, 1.005))
    if hours:
        draw(panels[1], courses, [[np.asarray(c.hours) for c in all_] for all_ in courses.values()])
        panels[1].set(xlabel="hours")
    panels[-1].legend(loc="lower right", frameon=False)
    if title:
        drawing.suptitle(f"{title}: median and quartiles of the searches", color=_INK, fontweight="bold")
    drawing.text(0.1 / 6.5, 0.1 / height, "\n".join(lines), fontsize=9, color=_GREY, va="bottom", linespacing=1.3)
    return drawing


def draw(axes: Axes, courses: Courses, places: Sequence[Sequence[Floats]]) -> None:
    """A line and a band for each sampler; `places` says where each of its courses was after each evaluation."""
    ends = [place[-1] for each in places for place in each]
    begins = [place[place > 0][0] for each in places for place in each if (place > 0).any()]
    grid = np.geomspace(min(begins, default=1.0), max([*ends, 1e-9]), 300)
    for colour, (sampler, all_), each in zip(_colours(len(courses)), courses.items(), places, strict=True):
        found = np.array([_reached(place, course, grid) for place, course in zip(each, all_, strict=True)])
        low, middle, high = np.quantile(found, (0.25, 0.5, 0.75), axis=0)
        axes.plot(grid, middle, label=sampler, color=colour, linewidth=1.8)
        axes.fill_between(grid, low, high, alpha=0.18, color=colour, linewidth=0)
    axes.axhline(UNTIL, color=_GREY, linewidth=0.6, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(visible=True, color="#e6e6e6")
    axes.spines[["top", "right"]].set_visible(False)


def _reached(place: Floats, course: Course, grid: Floats) -> Floats:
    """A search that has ended keeps what it had."""
    known = np.concatenate([[0.0], course.shares])
    return np.asarray(known[np.searchsorted(place, grid, side="right")])


def _colours(count: int) -> list[str]:
    return [PALETTE[i % len(PALETTE)] for i in range(count)]


def _saved(drawing: Figure, **how: Any) -> bytes:
    file = io.BytesIO()
    drawing.savefig(file, **how)
    return file.getvalue()
