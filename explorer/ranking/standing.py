"""Where every trial stands: its value from all readings, on the front or not, and how surely.

Only complete trials compete: one that broke a constraint is out, however narrowly. The front is the non-dominated set
of the best values, so it is never empty; how far to trust each of its points is what its probability says, and a
point outside has one too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from explorer import pareto
from explorer.ranking import draws, front
from explorer.ranking.estimate import Estimate, estimate
from explorer.ranking.readings import RACED, Race, readings_of
from explorer.ranking.spread import Spread
from explorer.result import Metric, Objective, Record
from explorer.tally import Z_95, Tally

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 2000
SEED = 0
# A trial whose probability lies between is undecided.
UNSURE = (0.02, 0.98)
_SIGMAS = 5.0  # beyond so many standard deviations a draw is not waited for


@dataclass(frozen=True)
class Duels:
    """What racing may decide: undecided trials, and by whom they may be beaten, accuracy and the like held.

    Attributes:
        numbers: the contenders ``[c]``.
        probability: of being on the front by what racing can decide ``[c]``.
        doubt: how much hangs on the comparison of two contenders ``[c, c]``, symmetric, 0 where nothing does.
    """

    numbers: Ints
    probability: Floats
    doubt: Floats


@dataclass(frozen=True)
class Standing:
    """Where the complete trials of a study stand; all by the trial's number.

    Attributes:
        objectives: what they compete in.
        metrics: of each trial all its metrics: an objective that raced as combined from all readings, its interval
            including what runs differ by; any other as its record has it.
        front: the trials that no other dominates by these values, ascending.
        probability: of each trial to be on the front.
        undecided: trials whose place on the front measuring again may decide, the least decided first.
        readings: how many readings there are of each trial, its own measurement included.
        spreads: by metric of time or energy, what runs differ by and whence that is known.
        duels: what `next_race` goes by.
    """

    objectives: tuple[Objective, ...]
    metrics: Mapping[int, Mapping[str, Metric]] = field(default_factory=dict)
    front: tuple[int, ...] = ()
    probability: Mapping[int, float] = field(default_factory=dict)
    undecided: tuple[int, ...] = ()
    readings: Mapping[int, int] = field(default_factory=dict)
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    duels: Duels | None = field(default=None, repr=False, compare=False)


def standing(
    records: Iterable[Record],
    objectives: Sequence[Objective],
    *,
    races: Sequence[Race] = (),
    tallies: Mapping[int, Mapping[str, Tally]] | None = None,
    draws: int = DRAWS,
) -> Standing:
    """Where the complete trials stand, by all that is known; the same input gives the same answer.

    Args:
        records: trials of any state; those that are not complete, or lack an objective, do not compete.
        objectives: what is wanted.
        races: lines of ``races.jsonl``: ``{"flags": […], "readings": {metric: {"trials": [number…], "mean": […],
            "cov": [[…]]}}}``, in logarithms of the metric; only differences within a race count.
        tallies: of each trial, what its scores were counted from, by metric.
        draws: how many joint draws the probabilities are shares of.
    """
    wanted = tuple(objectives)
    able = sorted((r for r in records if _competes(r, wanted)), key=lambda record: record.number)
    if not able or not wanted:
        return Standing(wanted)
    return _Board(tuple(able), wanted, tuple(races), tallies or {}, draws).standing()


def _competes(record: Record, objectives: Sequence[Objective]) -> bool:
    there = (record.metrics.get(objective.metric) for objective in objectives)
    return record.state == "complete" and all(m is not None and math.isfinite(m.value) for m in there)


@dataclass(frozen=True)
class _Board:
    """What competes, and in what."""

    records: tuple[Record, ...]
    objectives: tuple[Objective, ...]
    races: tuple[Race, ...]
    tallies: Mapping[int, Mapping[str, Tally]]
    count: int

    def standing(self) -> Standing:
        numbers = [record.number for record in self.records]
        inside = pareto.front(self.values.T)
        drawn = self._draws()
        probability = np.zeros(len(numbers))
        probability[drawn.places] = front.shares(drawn.gains)
        alike = np.array_equal(drawn.gains, drawn.held)
        duels = self._duels(drawn, probability[drawn.places] if alike else front.shares(drawn.held))
        return Standing(
            self.objectives,
            {record.number: self._combined(place) for place, record in enumerate(self.records)},
            tuple(number for number, kept in zip(numbers, inside, strict=True) if kept),
            dict(zip(numbers, probability.tolist(), strict=True)),
            _undecided(duels),
            dict(zip(numbers, self._counts.tolist(), strict=True)),
            {name: found.spread for name, found in self.estimates.items()},
            duels,
        )

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        names = dict.fromkeys(objective.metric for objective in self.objectives)
        found = {name: readings_of(name, self.records, self.races) for name in names}
        return {name: estimate(readings) for name, readings in found.items() if readings is not None}

    @cached_property
    def values(self) -> Floats:
        """Gains by the best values ``[m, n]``."""
        return np.array([self._sign(o) * self._values(o.metric) for o in self.objectives])

    def _values(self, name: str) -> Floats:
        own = np.array([record.metrics[name].value for record in self.records])
        found = self.estimates.get(name)
        if found is not None:
            own[found.readings.raced] = np.exp(found.mean[found.readings.raced])
        return own

    @staticmethod
    def _sign(objective: Objective) -> float:
        return objective.gain(1.0)

    def _combined(self, place: int) -> dict[str, Metric]:
        metrics = dict(self.records[place].metrics)
        for name, found in self.estimates.items():
            if place in found.readings.raced:
                middle, half = float(found.mean[place]), Z_95 * float(found.sd[place])
                metrics[name] = Metric(*(math.exp(edge) for edge in (middle, middle - half, middle + half)))
        return metrics

    @property
    def _counts(self) -> Ints:
        counts = [found.readings.counts() for found in self.estimates.values()]
        return np.asarray(np.max([np.ones(len(self.records), np.int64), *counts], axis=0), np.int64)

    # Draws

    def _draws(self) -> _Drawn:
        """Draws of whoever may be on the front, with and without the doubt that no race can take away."""
        rng = np.random.default_rng(SEED)
        timed = {name: np.exp(found.draw(self.count, rng)) for name, found in self.estimates.items()}
        places = np.flatnonzero(self._contenders(timed))
        gains, held = (np.empty((len(self.objectives), self.count, len(places))) for _ in range(2))
        for row, objective in enumerate(self.objectives):
            name, sign = objective.metric, self._sign(objective)
            drawn = timed[name][:, places] if name in timed else self._drawn(name, places, rng)
            gains[row] = sign * drawn
            held[row] = sign * drawn if name in self._deciding else self.values[row, places]
        return _Drawn(places, gains, held)

    @cached_property
    def _deciding(self) -> frozenset[str]:
        """Metrics that a race reads: those that races have read, or are expected to while there was none."""
        read = {name for race in self.races for name in race.get("readings", {})}
        return frozenset(read if read else RACED) & frozenset(self.estimates)

    def _drawn(self, name: str, places: Ints, rng: np.random.Generator) -> Floats:
        records = [self.records[place] for place in places]
        tallies = draws.tallied(name, records, self.tallies)
        if tallies is not None:
            return draws.resampled(tallies, self.count, rng)
        return draws.plain([record.metrics[name] for record in records], self.count, rng)

    def _contenders(self, timed: Mapping[str, Floats]) -> NDArray[np.bool_]:
        lowest, highest = (np.empty_like(self.values) for _ in range(2))
        same = np.empty(self.values.shape, np.int64)
        for row, objective in enumerate(self.objectives):
            name = objective.metric
            if name in timed:
                edges = [self._sign(objective) * edge for edge in (timed[name].min(axis=0), timed[name].max(axis=0))]
                same[row] = np.arange(len(self.records))
            else:
                reach = self._reach(name)
                edges = [self.values[row] - reach, self.values[row] + reach]
                same[row] = self._same(name)
            lowest[row], highest[row] = np.minimum(*edges), np.maximum(*edges)
        return front.contenders(lowest, highest, np.flatnonzero(pareto.front(self.values.T)), same=same)

    def _reach(self, name: str) -> Floats:
        """How far from its value a draw may lie ``[n]``."""
        return np.array([draws.half_width(record.metrics[name]) for record in self.records]) * (_SIGMAS / Z_95)

    def _same(self, name: str) -> Ints:
        tallies = draws.tallied(name, self.records, self.tallies)
        return np.arange(len(self.records)) if tallies is None else draws.groups(tallies)

    # What racing may decide

    def _duels(self, drawn: _Drawn, shares: Floats) -> Duels:
        there = np.flatnonzero(shares > 0)  # whoever never is on the front has betters that decide in its stead
        held, probability = drawn.held[:, :, there], shares[there]
        numbers = np.array([self.records[place].number for place in drawn.places[there]], np.int64)
        unsure = np.flatnonzero((probability > UNSURE[0]) & (probability < UNSURE[1]))
        doubt = np.zeros((len(numbers),) * 2)
        if len(unsure):
            by = front.dominations(held, unsure)
            alone = by.sum(axis=0)[None] - by == 0  # nobody else dominates
            pivotal = alone.mean(axis=1)
            loses = np.divide((alone & by).mean(axis=1), pivotal, out=np.zeros_like(pivotal), where=pivotal > 0)
            doubt[:, unsure] = pivotal * loses * (1 - loses)
        return Duels(numbers, probability, doubt + doubt.T)


@dataclass(frozen=True)
class _Drawn:
    """Gains of the contenders ``[m, draw, c]``; in `held` only what racing can decide varies."""

    places: Ints
    gains: Floats
    held: Floats


def _undecided(duels: Duels) -> tuple[int, ...]:
    distance = np.abs(duels.probability - 0.5)
    order = np.argsort(distance, kind="stable")
    low, high = UNSURE
    return tuple(int(duels.numbers[i]) for i in order if low < duels.probability[i] < high)
