"""Two devices, the same candidates: in which order does each put them? Pure functions on pairs of records.

    candidate p ──► candidate q     on device A: an effect, with its interval     both sure, opposite signs:
                                    on device B: another one                      a reversal

Effects are gains: larger is better, whatever the metric's direction. What is timed or counted is compared by its ratio
(the effect is a logarithm), shares such as accuracy by their difference. An effect is sure when the two intervals it
comes from do not overlap; nothing else is ever called a reversal.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from explorer.result import Metric, Objective, Record


class Pair(NamedTuple):
    """One candidate on both devices."""

    a: Record
    b: Record

    @property
    def params(self) -> Mapping[str, Any]:
        return self.a.params


class Effect(NamedTuple):
    """What a change gains: the logarithm of a ratio, or a difference; `low` and `high` bound it."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1: surely better, -1: surely worse, 0: cannot be told."""
        return (self.low > 0) - (self.high < 0)

    @property
    def least(self) -> float:
        """How large it is at least; 0 when not even its sign is sure."""
        return min(abs(self.low), abs(self.high)) if self.sign else 0.0


@dataclass(frozen=True)
class Reversal:
    """Two candidates that the devices surely put in opposite orders."""

    before: Pair
    after: Pair
    on_a: Effect
    on_b: Effect

    @property
    def changed(self) -> tuple[str, ...]:
        """The axes in which the two differ."""
        names = dict.fromkeys([*self.before.params, *self.after.params])
        return tuple(name for name in names if self.before.params.get(name) != self.after.params.get(name))


@dataclass(frozen=True)
class Shift:
    """A change along one axis, all else being equal, that on average gains on one device and costs on the other."""

    objective: Objective
    axis: str
    before: Any
    after: Any
    count: int  # of couples of candidates that differ in nothing else
    on_a: Effect
    on_b: Effect


@dataclass(frozen=True)
class Ranking:
    """How far two devices agree on one objective.

    Attributes:
        tau: Kendall's tau-b of the values; None where a device has the same value for all.
        same, opposite, open: couples of candidates that both devices surely put in the same order, in opposite orders,
            or of which at least one device cannot tell.
        ranked_a, ranked_b: the pairs, best first.
        reversals: those that differ in the fewest axes first, then the largest first.
        shifts: along which axes the direction changes on average.
        farthest: the largest difference of one candidate's value between the devices.
    """

    objective: Objective
    relative: bool
    tau: float | None
    same: int
    opposite: int
    open: int
    ranked_a: tuple[Pair, ...]
    ranked_b: tuple[Pair, ...]
    reversals: tuple[Reversal, ...]
    shifts: tuple[Shift, ...]
    farthest: float

    def effect(self, before: Pair, after: Pair, *, on_b: bool) -> Effect:
        """What changing from one candidate to another gains on a device."""
        return _effect(self.objective, before[on_b], after[on_b], relative=self.relative)


def ranking(objective: Objective, pairs: Sequence[Pair], values: Mapping[str, Sequence[Any]]) -> Ranking:
    """Compare two devices in one objective.

    Args:
        objective: the metric, which every record must have.
        pairs: the candidates, at least two.
        values: the axes and their values, in the order in which changes are told.
    """
    name = objective.metric
    metrics = [(pair.a.metrics[name], pair.b.metrics[name]) for pair in pairs]
    relative = not name.startswith("accuracy") and all(m.value > 0 for both in metrics for m in both)
    gains = np.array([[objective.gain(m.value) for m in both] for both in metrics])
    ordered = sorted(pairs, key=lambda pair: _place(pair.params, values))
    couples = [_contrast(objective, p, q, relative=relative) for p, q in itertools.combinations(ordered, 2)]
    counts = Counter(r.on_a.sign * r.on_b.sign for r in couples)
    reversals = [r for r in couples if r.on_a.sign * r.on_b.sign < 0]
    return Ranking(
        objective=objective,
        relative=relative,
        tau=tau_b(gains[:, 0], gains[:, 1]),
        same=counts[1],
        opposite=counts[-1],
        open=counts[0],
        ranked_a=tuple(pairs[i] for i in np.argsort(-gains[:, 0], kind="stable")),
        ranked_b=tuple(pairs[i] for i in np.argsort(-gains[:, 1], kind="stable")),
        reversals=tuple(sorted(reversals, key=lambda r: (len(r.changed), -min(r.on_a.least, r.on_b.least)))),
        shifts=tuple(_shifts(objective, couples, values)),
        farthest=float(abs(gains[:, 0] - gains[:, 1]).max()),
    )


def tau_b(first: ArrayLike, second: ArrayLike) -> float | None:
    """Kendall's rank correlation with ties (tau-b: Kendall, "The treatment of ties in ranking problems", 1945).

    Returns:
        1 for the same order, -1 for the opposite one; None where one side knows no order at all.
    """
    a, b = (_signs_of_differences(np.asarray(values, np.float64)) for values in (first, second))
    norm = math.sqrt(float((a**2).sum()) * float((b**2).sum()))
    return float((a * b).sum()) / norm if norm else None


def key_of(record: Record) -> str:
    """What two records of the same candidate have in common."""
    return json.dumps(dict(record.params), sort_keys=True)


def _signs_of_differences(values: Any) -> Any:
    return np.sign(values[:, None] - values[None, :])


def _contrast(objective: Objective, before: Pair, after: Pair, *, relative: bool) -> Reversal:
    on_a, on_b = (_effect(objective, before[side], after[side], relative=relative) for side in (0, 1))
    return Reversal(before, after, on_a, on_b)


def _effect(objective: Objective, before: Record, after: Record, *, relative: bool) -> Effect:
    """From one candidate to another on one device, at the worst ends of both intervals."""
    (was, was_low, was_high), (now, now_low, now_high) = (
        _scaled(record.metrics[objective.metric], relative=relative) for record in (before, after)
    )
    ends = objective.gain(now_low - was_high), objective.gain(now_high - was_low)
    return Effect(objective.gain(now - was), min(ends), max(ends))


def _scaled(metric: Metric, *, relative: bool) -> tuple[float, float, float]:
    """Value, low and high end; their logarithms for ratios. An end at or below zero says nothing: minus infinity."""
    ends = [metric.value if end is None else end for end in (metric.value, metric.low, metric.high)]
    if relative:
        ends = [math.log(end) if end > 0 else -math.inf for end in ends]
    return ends[0], ends[1], ends[2]


def _shifts(objective: Objective, couples: Iterable[Reversal], values: Mapping[str, Sequence[Any]]) -> Iterable[Shift]:
    """Axis by axis, each value against the first: the mean over all couples that differ in nothing else.

    The mean is over these very candidates, so its interval is the mean of theirs: no couple's error helps another's.
    """
    alone: dict[tuple[str, str], list[Reversal]] = {}
    for couple in couples:
        if len(couple.changed) == 1:
            axis = couple.changed[0]
            if axis in values and couple.before.params.get(axis) == values[axis][0]:
                alone.setdefault((axis, str(couple.after.params[axis])), []).append(couple)
    for (axis, _), found in alone.items():
        on_a, on_b = _mean([c.on_a for c in found]), _mean([c.on_b for c in found])
        if on_a.sign * on_b.sign < 0:
            before, after = found[0].before.params[axis], found[0].after.params[axis]
            yield Shift(objective, axis, before, after, len(found), on_a, on_b)


def _mean(effects: Sequence[Effect]) -> Effect:
    value, low, high = (float(np.mean([effect[i] for effect in effects])) for i in range(3))
    return Effect(value, low, high)


def _place(params: Mapping[str, Any], values: Mapping[str, Sequence[Any]]) -> tuple[int, ...]:
    """Where a candidate stands in its space; what the space does not list comes last."""
    return tuple(
        list(known).index(params[axis]) if params.get(axis) in known else len(known) for axis, known in values.items()
    )
