"""Hypervolume against evaluations and against hours: a PNG a problem, medians and quartiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from contest import Course
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def draw(name: str, courses: Mapping[str, Sequence[Course]], folder: Path) -> Path:
    """The file it made: ``folder/name.png``."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    by_evaluations, by_hours = figure.subplots(1, 2, sharey=True)
    colours = mpl.color_sequences["tab10"]
    for colour, (sampler, all_) in zip(colours, courses.items(), strict=False):
        _band(by_evaluations, [np.arange(1.0, len(c.rows) + 1) for c in all_], all_, sampler, colour)
        _band(by_hours, [np.asarray(c.hours) for c in all_], all_, sampler, colour)
    by_evaluations.set(xlabel="distinct evaluations", ylabel="share of the exhaustive hypervolume", ylim=(0.5, 1.005))
    by_hours.set(xlabel="hours")
    by_hours.legend(loc="lower right")
    figure.suptitle(f"{name}: median and quartiles of the seeds")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.png"
    figure.savefig(file, dpi=120)
    return file


def _band(axes: Axes, places: Sequence[Floats], courses: Sequence[Course], label: str, colour: object) -> None:
    """A search that has ended keeps what it had."""
    grid = np.geomspace(min(p[0] for p in places), max(p[-1] for p in places), 300)
    found = np.array([_reached(place, course.shares, grid) for place, course in zip(places, courses, strict=True)])
    low, middle, high = np.quantile(found, (0.25, 0.5, 0.75), axis=0)
    axes.plot(grid, middle, label=label, color=colour)
    axes.fill_between(grid, low, high, alpha=0.2, color=colour, linewidth=0)
    axes.set_xscale("log")


def _reached(place: Floats, shares: Sequence[float], grid: Floats) -> Floats:
    known = np.concatenate([[0.0], shares])
    return np.asarray(known[np.searchsorted(place, grid, side="right")])
