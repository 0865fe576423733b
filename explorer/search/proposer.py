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
        gains: their objectives, larger is better ``[n, m]``.
        refused: rows of candidates that turned out to be impossible.
        pending: rows of candidates under way.
    """

    rows: Ints
    gains: Floats
    refused: Ints = field(default_factory=lambda: np.empty(0, np.intp))
    pending: Ints = field(default_factory=lambda: np.empty(0, np.intp))


class Proposer:
    """Proposals follow from what was seen alone, in the order in which it was: whoever comes back goes on the same."""

    def __init__(self, levels: Ints, shapes: Sequence[Shape]) -> None:
        """
        Args:
            levels: of all candidates on all axes ``[candidates, axes]``.
            shapes: for each objective what it may depend on.
        """
        self._levels = levels
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
        """Expected improvement of every candidate, times the chance that it is possible at all."""
        beliefs = self._beliefs(seen)
        mean = np.stack([belief.mean for belief in beliefs], axis=1)
        sd = np.stack([belief.sd for belief in beliefs], axis=1)
        known = np.concatenate([seen.rows, seen.pending])
        worst, best = mean[known].min(axis=0), mean[known].max(axis=0)
        boxes = undominated(mean[known], worst - _BEYOND * np.maximum(best - worst, 1e-9))
        return expected_improvement(mean, sd, boxes) * chances(self._levels, seen.rows, seen.refused)

    def _beliefs(self, seen: Seen) -> list[Belief]:
        found = []
        rows = np.concatenate([seen.rows, seen.pending])
        for surrogate, values, scales in zip(self._surrogates, seen.gains.T, self._learned(seen), strict=True):
            belief = surrogate.believe(seen.rows, values, scales)
            if len(seen.pending):
                belief = surrogate.believe(rows, np.concatenate([values, belief.mean[seen.pending]]), scales)
            found.append(belief)
        return found

    def _learned(self, seen: Seen) -> list[Floats]:
        """The scales, from the first so many results: the same whoever asks, and seldom anew."""
        many = _milestone(len(seen.rows))
        if self._scales[0] != many:
            rows, gains = seen.rows[:many], seen.gains[:many]
            fits = [surrogate.scales(rows, values) for surrogate, values in zip(self._surrogates, gains.T, strict=True)]
            self._scales = many, fits
        return self._scales[1]


def _milestone(many: int) -> int:
    """The largest count up to `many` at which scales are learned."""
    if many <= 1 / (GROWTH - 1):
        return many
    return int(GROWTH ** math.floor(math.log(many) / math.log(GROWTH) + 1e-9))
