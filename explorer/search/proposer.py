"""Which candidate of a finite space to try next: the one whose expected hypervolume improvement is largest.

    seen ──► a surrogate per objective ──► mean, sd of every candidate ─┐
         └─► feasibility by levels, and by pairs of them ──────────────┴─► improvement · chance ──► the best untried

A candidate under way counts as seen with what is expected of it (the believer of Ginsbourger, Le Riche and Carraro,
"Kriging is well-suited to parallelize optimization", 2010), so that several boards look in different places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from explorer.search.feasibility import chances
from explorer.search.improvement import expected_improvement, undominated
from explorer.search.surrogate import Belief, Shape, Surrogate

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

GROWTH = 1.1  # scales are learned again when so many times as much has been seen
_BEYOND = 0.05  # of the range that was seen, the reference lies below the worst
_LOOKED_AT = 512  # candidates, for a first one far from others


@dataclass(frozen=True)
class Seen:
    """What is known of a study so far.

    Attributes:
        rows: of candidates with results ``[n]``.
        values: what was measured of each quantity ``[n, q]``: gains of the objectives, larger is better, then by how
            much each constraint is broken, ≤ 0 where it is kept; NaN where it was not measured.
        refused: rows of candidates that turned out to be impossible.
        pending: rows of candidates under way.
    """

    rows: Ints
    values: Floats
    refused: Ints = field(default_factory=lambda: np.empty(0, np.intp))
    pending: Ints = field(default_factory=lambda: np.empty(0, np.intp))


class Proposer:
    """Proposals follow from what was seen alone, in the order in which it was: whoever comes back goes on the same."""

    def __init__(self, levels: Ints, shapes: Sequence[Shape], *, objectives: int) -> None:
        """
        Args:
            levels: of all candidates on all axes ``[candidates, axes]``.
            shapes: for each quantity what it may depend on.
            objectives: how many of the quantities are; the rest are constraints.
        """
        self._levels, self._objectives = levels, objectives
        self._places = levels / np.maximum(1, levels.max(axis=0))
        self._surrogates = [Surrogate(shape) for shape in shapes]
        self._scales: tuple[int, list[Floats]] = (0, [])

    def first(self, taken: Ints, free: Bools, rng: np.random.Generator) -> int:
        """A candidate far from all that are taken, while too little is known for more."""
        rows = np.flatnonzero(free)
        rows = rng.choice(rows, min(len(rows), _LOOKED_AT), replace=False)
        if not len(taken):
            return int(rows[0])
        apart = np.abs(self._places[rows][:, None] - self._places[taken]).sum(axis=2).min(axis=1)
        return int(rows[np.argmax(apart)])

    def propose(self, seen: Seen, free: Bools) -> int:
        """The row of the best untried candidate."""
        return int(np.argmax(np.where(free, self.scores(seen), -np.inf)))

    def scores(self, seen: Seen) -> Floats:
        """Expected improvement of every candidate, times the chance that it is possible and keeps the constraints."""
        beliefs = self._beliefs(seen)
        mean = np.stack([belief.mean for belief in beliefs[: self._objectives]], axis=1)
        sd = np.stack([belief.sd for belief in beliefs[: self._objectives]], axis=1)
        found = chances(self._levels, seen.rows, seen.refused)
        for belief in beliefs[self._objectives :]:
            found *= ndtr(-belief.mean / belief.sd)
        known = np.concatenate([self._useful(seen), seen.pending])
        if not len(known):
            return found
        worst, best = mean[known].min(axis=0), mean[known].max(axis=0)
        boxes = undominated(mean[known], worst - _BEYOND * np.maximum(best - worst, 1e-9))
        return found * expected_improvement(mean, sd, boxes)

    def _useful(self, seen: Seen) -> Ints:
        """Rows that may be on the front: measured, and with every constraint kept."""
        gains, broken = seen.values[:, : self._objectives], seen.values[:, self._objectives :]
        return seen.rows[np.isfinite(gains).all(axis=1) & (broken <= 0).all(axis=1)]

    def _beliefs(self, seen: Seen) -> list[Belief]:
        return [
            _believed(surrogate, seen, values, scales)
            for surrogate, values, scales in zip(self._surrogates, seen.values.T, self._learned(seen), strict=True)
        ]

    def _learned(self, seen: Seen) -> list[Floats]:
        """The scales, from the first so many results: the same whoever asks, and seldom anew."""
        many = _milestone(len(seen.rows))
        if self._scales[0] != many:
            early = [_measured(seen.rows[:many], values[:many]) for values in seen.values.T]
            fits = [surrogate.scales(*given) for surrogate, given in zip(self._surrogates, early, strict=True)]
            self._scales = many, fits
        return self._scales[1]


def _believed(surrogate: Surrogate, seen: Seen, values: Floats, scales: Floats) -> Belief:
    """With what is under way taken for what is expected of it."""
    rows, told = _measured(seen.rows, values)
    belief = surrogate.believe(rows, told, scales)
    if not len(seen.pending):
        return belief
    expected = np.concatenate([told, belief.mean[seen.pending]])
    return surrogate.believe(np.concatenate([rows, seen.pending]), expected, scales)


def _measured(rows: Ints, values: Floats) -> tuple[Ints, Floats]:
    there = np.isfinite(values)
    return rows[there], values[there]


def _milestone(many: int) -> int:
    """The largest count up to `many` at which scales are learned."""
    if many <= 1 / (GROWTH - 1):
        return many
    return int(GROWTH ** math.floor(math.log(many) / math.log(GROWTH) + 1e-9))
