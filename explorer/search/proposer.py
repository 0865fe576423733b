"""Which candidate of a finite space to try next: the one whose expected hypervolume improvement is largest.

    seen ──► a surrogate per objective ──► mean, sd of every candidate ─┐
         └─► feasibility by levels, and by pairs of them ──────────────┴─► improvement · chance ──► the best untried

A candidate under way counts as seen with what is expected of it (the believer of Ginsbourger, Le Riche and Carraro,
"Kriging is well-suited to parallelize optimization", 2010), so that several boards look in different places.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from explorer.pareto import hypervolume
from explorer.search.feasibility import chances
from explorer.search.improvement import expected_improvement, undominated
from explorer.search.kernel import Shape
from explorer.search.prospect import Prospect
from explorer.search.surrogate import NOTHING, Belief, Learned, Results, Surrogate

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

GROWTH = 1.2  # scales are learned again when so many times as much has been seen
_BEYOND = 0.05  # of the range, the reference lies below the worst
_FAR = 10.0  # ranges below the worst, where nothing is too bad to be on a front
_APART = 1e-3  # a range is taken for at least such a share of its values
_LIKELY = 0.5  # chance of being possible, from which on a candidate is reckoned with
_WORTH = 0.1  # of the largest improvement, from which on a candidate may be chosen for its price
_AGAIN = 256  # candidates that are looked at again
_MANY, _LOOKS = 8, 1000  # drawn scales; at most so many times results
_LOOKED_AT = 8  # candidates, for a first one far from others: the farthest of many are mostly corners


@dataclass(frozen=True)
class Seen:
    """What is known of a study so far.

    Attributes:
        rows: of candidates with results ``[n]``.
        values: what was measured of each quantity ``[n, q]``: gains of the objectives, larger is better, then by how
            much each constraint is broken, ≤ 0 where it is kept; NaN where it was not measured.
        refused: rows of candidates that turned out to be impossible.
        pending: rows of candidates under way.
        off: variance of each value beside the noise that all of its quantity have ``[n, q]``; left out: nothing.
    """

    rows: Ints
    values: Floats
    refused: Ints = field(default_factory=lambda: np.empty(0, np.intp))
    pending: Ints = field(default_factory=lambda: np.empty(0, np.intp))
    off: Floats = field(default_factory=lambda: np.empty((0, 0)))

    def __post_init__(self) -> None:
        if not len(self.off):
            object.__setattr__(self, "off", np.zeros_like(self.values))

    def until(self, many: int) -> Seen:
        """The first so many results alone."""
        return Seen(self.rows[:many], self.values[:many], off=self.off[:many])

    def of(self, quantity: int) -> Results:
        """What of a quantity was measured."""
        there = np.isfinite(self.values[:, quantity])
        return Results(self.rows[there], self.values[there, quantity], self.off[there, quantity])


class Proposer:
    """Proposals follow from what was seen alone, in the order in which it was: whoever comes back goes on the same."""

    def __init__(
        self, levels: Ints, shapes: Sequence[Shape], *, objectives: int, limits: Mapping[int, float] | None = None
    ) -> None:
        """
        Args:
            levels: of all candidates on all axes ``[candidates, axes]``.
            shapes: for each quantity what it may depend on.
            objectives: how many of the quantities are; the rest are constraints.
            limits: objective → the gain from which on a candidate is of any use.
        """
        self._levels, self._objectives = levels, objectives
        self._limits = np.full(objectives, -np.inf)
        for objective, limit in (limits or {}).items():
            self._limits[objective] = limit
        self._places = levels / np.maximum(1, levels.max(axis=0))
        self._surrogates = [Surrogate(shape) for shape in shapes]
        self._scales = [(-1, NOTHING)] * len(shapes)
        self._corner = np.zeros(objectives)

    def first(self, taken: Ints, free: Bools, rng: np.random.Generator) -> int:
        """A candidate rather far from all that are taken, while too little is known for more."""
        rows = np.flatnonzero(free)
        rows = rng.choice(rows, min(len(rows), _LOOKED_AT), replace=False)
        if not len(taken):
            return int(rows[0])
        apart = np.abs(self._places[rows][:, None] - self._places[taken]).sum(axis=2).min(axis=1)
        return int(rows[np.argmax(apart)])

    def propose(self, seen: Seen, free: Bools, seconds: Floats | None = None) -> tuple[int, float]:
        """The row of the best untried candidate, and the largest improvement that is expected of any.

        Args:
            seen: so far.
            free: who is untried ``[candidates]``.
            seconds: that each would take ``[candidates]``: then the best is the one that improves most per second, of
                those that improve enough. So the dear ones wait, and are not forgotten.
        """
        scores = np.where(free, self.scores(seen, free), -np.inf)
        most = float(scores.max())
        if seconds is not None:
            scores = np.where(scores >= _WORTH * most, scores / seconds, -np.inf)
        return int(np.argmax(scores)), most

    def scores(self, seen: Seen, free: Bools | None = None) -> Floats:
        """Expected improvement of every candidate, times the chance that it is possible and keeps the constraints.

        A first look takes the most likely scales; the best are looked at again, with the scales in doubt.
        """
        told = self._told(seen)
        chance = chances(self._levels, seen.rows, seen.refused)
        known = np.concatenate([self._useful(seen), seen.pending])
        first = [one.belief for one in told]
        self._corner = self._reference(first, chance) if len(known) else self._corner
        found = self._judged(first, np.stack([one.belief.mean[known] for one in told], axis=1), chance)
        looks = _LOOKS // max(1, len(seen.rows)) // 2 * 2
        if looks < 2:
            return found
        ranked = np.argsort(-(found if free is None else np.where(free, found, -np.inf)), kind="stable")[:_AGAIN]
        again, own = zip(*(one.again(ranked, known, min(looks, _MANY)) for one in told), strict=True)
        second = np.zeros(len(found))
        second[ranked] = self._judged(again, np.stack(own, axis=1), chance[ranked])
        return second

    def _judged(self, beliefs: Sequence[Belief], known: Floats, chance: Floats) -> Floats:
        """Scores of some candidates, beside what is believed of those that are known or under way ``[k, q]``."""
        mean, sd, chance = self._looked(beliefs, chance)
        if not len(known):
            return np.asarray(chance * ndtr((mean - self._limits) / sd).prod(axis=1))
        return chance * expected_improvement(mean, sd, undominated(known[:, : self._objectives], self._corner))

    def _looked(self, beliefs: Sequence[Belief], chance: Floats) -> tuple[Floats, Floats, Floats]:
        """Means and sds of the objectives ``[candidates, objectives]``, and the chance that all else is well."""
        mean = np.stack([belief.mean for belief in beliefs[: self._objectives]], axis=1)
        sd = np.stack([belief.sd for belief in beliefs[: self._objectives]], axis=1)
        for belief in beliefs[self._objectives :]:
            chance = chance * ndtr(-belief.mean / belief.sd)
        return mean, sd, chance

    def prospect(self, row: int, seen: Seen) -> Prospect:
        """What one candidate may come to, by what was measured of others: what is under way is not known yet."""
        measured = replace(seen, pending=seen.pending[:0])
        known = self._useful(measured)
        looks = max(2, min(_MANY, _LOOKS // max(1, len(seen.rows)) // 2 * 2))
        told = [one.again(np.array([row]), known, looks) for one in self._told(measured)[: self._objectives]]
        mean, sd = (
            np.array([part[0] for part in parts]) for parts in zip(*((b.mean, b.sd) for b, _ in told), strict=True)
        )
        front = np.stack([own for _, own in told], axis=1)
        worst = np.minimum(front.min(axis=0, initial=np.inf), mean)
        far = worst - _FAR * np.maximum(np.ptp(np.vstack([front, mean]), axis=0), sd)
        return Prospect(mean, sd, undominated(front, np.where(np.isfinite(self._limits), self._limits, far)))

    def dominated(self, seen: Seen) -> float:
        """The volume that what was measured dominates, above the reference of the last proposal."""
        return hypervolume(seen.values[self._is_useful(seen), : self._objectives], self._corner)

    def _reference(self, beliefs: Sequence[Belief], chance: Floats) -> Floats:
        """The limits; where there is none the worst that is expected of any candidate that is of use."""
        mean, _, chance = self._looked(beliefs, chance)
        useful = (chance > _LIKELY) & (mean > self._limits).all(axis=1)
        expected = mean[useful] if useful.any() else mean
        worst, best = expected.min(axis=0), expected.max(axis=0)
        least = _APART * np.maximum(1.0, np.abs(worst))
        return np.where(np.isfinite(self._limits), self._limits, worst - _BEYOND * np.maximum(best - worst, least))

    def _useful(self, seen: Seen) -> Ints:
        """Rows that may be on the front."""
        return seen.rows[self._is_useful(seen)]

    def _is_useful(self, seen: Seen) -> Bools:
        """``[n]``, measured, and with every constraint kept."""
        gains, broken = seen.values[:, : self._objectives], seen.values[:, self._objectives :]
        return np.asarray((np.isfinite(gains) & (gains >= self._limits)).all(axis=1) & (broken <= 0).all(axis=1))

    def _told(self, seen: Seen) -> list[_Told]:
        gentle = self._gentle(seen)
        both = enumerate(zip(self._surrogates, self._learned(seen), strict=True))
        return [_Told.by(surrogate, learned, gentle.of(j), seen.pending) for j, (surrogate, learned) in both]

    def _gentle(self, seen: Seen) -> Seen:
        """Values below a limit by the logarithm of how far: how useless they are matters little."""
        told = seen.values.copy()
        for j in np.flatnonzero(np.isfinite(self._limits)):
            gains, limit = told[:, j], self._limits[j]
            spread = max(float(np.nanmax(gains, initial=limit)) - limit, 1e-9)
            below = gains < limit
            gains[below] = limit - spread * np.log1p((limit - gains[below]) / spread)
        return replace(seen, values=told)

    def _learned(self, seen: Seen) -> list[Learned]:
        """The scales, from the first so many results: the same whoever asks, and seldom anew."""
        for j, (one, (already, _)) in enumerate(zip(self._surrogates, self._scales, strict=True)):
            many = milestone(len(seen.rows), j)
            if already != many:
                self._scales[j] = many, one.learn(self._gentle(seen.until(many)).of(j))
        return [learned for _, learned in self._scales]


@dataclass(frozen=True)
class _Told:
    """One quantity's surrogate and what it was told, with what is under way taken for what is expected of it."""

    surrogate: Surrogate
    learned: Learned
    results: Results
    belief: Belief

    @classmethod
    def by(cls, surrogate: Surrogate, learned: Learned, results: Results, pending: Ints) -> _Told:
        belief = surrogate.believe(results, learned)
        if not len(pending):
            return cls(surrogate, learned, results, belief)
        results = results.and_expected(pending, belief.mean[pending])
        return cls(surrogate, learned, results, surrogate.believe(results, learned))

    def again(self, some: Ints, known: Ints, many: int) -> tuple[Belief, Floats]:
        """What is believed of some candidates, and the means of those that are known or under way, once more."""
        belief, own = self.surrogate.believe_of(some, self.results, self.learned, many)
        place = {row: number for number, row in enumerate(self.results.rows.tolist())}
        return belief, own[[place[row] for row in known.tolist()]]


def milestone(many: int, quantity: int = 0) -> int:
    """The largest count up to `many` at which a quantity's scales are learned: by turns, for it takes time."""
    count = many - quantity
    if count <= 1 / (GROWTH - 1):
        return many
    return quantity + int(GROWTH ** math.floor(math.log(count) / math.log(GROWTH) + 1e-9))
