"""Medians and quartiles over the seeds of a sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil, floor, isfinite
from typing import NamedTuple

from explorer.replay.course import Course, Goal

SHARES = (0.90, 0.95, 0.99)
CHECKPOINTS = (10, 25, 50, 100, 200, 400)  # evaluations
Courses = Mapping[str, Sequence[Course]]  # by sampler


class Spread(NamedTuple):
    """The median and the quartiles; infinite where a sampler did not get there."""

    median: float
    low: float
    high: float

    def said(self, digits: int) -> str:
        """``104 (90, 131)``; – where a sampler did not get there."""
        middle, low, high = (f"{value:.{digits}f}" if isfinite(value) else "–" for value in self)
        return f"{middle} ({low}, {high})"


def quantile(values: Sequence[float], share: float) -> float:
    """Of numbers that may be infinite: the middle of the two nearest where it falls between them."""
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    low, high = ranked[floor(place)], ranked[ceil(place)]
    return low if low == high else (low + high) / 2


def spread(courses: Sequence[Course], measure: Callable[[Course], float]) -> Spread:
    values = [measure(course) for course in courses]
    return Spread(*(quantile(values, share) for share in (0.5, 0.25, 0.75)))


def median(courses: Sequence[Course], measure: Callable[[Course], float]) -> float:
    return spread(courses, measure).median


def share_at(courses: Sequence[Course], evaluations: int) -> float:
    """The median share of the hypervolume after so many evaluations."""
    return median(courses, lambda course: course.share_at(evaluations))


def cost(courses: Sequence[Course], goal: Goal) -> Spread:
    """What it took to come to a goal."""
    return spread(courses, goal.cost)


def checkpoints(courses: Iterable[Course]) -> tuple[int, ...]:
    """Those that the longest course got to, and the first in any case."""
    longest = max(len(course.rows) for course in courses)
    return tuple(n for n in CHECKPOINTS if n <= max(longest, CHECKPOINTS[0]))
