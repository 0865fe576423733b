"""A finite space whose truth is known: what a search may ask it, and how far a search has come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from explorer.pareto import hypervolume
from explorer.replay.course import gain
from explorer.result import Constraint, Evaluation, Metric, Objective, Record, StageTime
from explorer.space import Candidate, Space

from .refusals import NO_ROOM, forbidden

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

MEASURE_S, SHORT_S = 20.0, 4.0
SHORT_NOISE = 3.0  # times that of a full measurement


@dataclass(frozen=True)
class Stage:
    """Work that candidates share.

    Attributes:
        keys: ``[candidates]``, equal for those that one run of it serves.
        seconds: of one run.
    """

    name: str
    keys: Ints
    seconds: float


@dataclass(frozen=True)
class Noise:
    """How far off a measurement is; relative, but for scores, which are off by an absolute amount.

    Attributes:
        relative: standard deviation of the logarithm.
        outliers: share of measurements that something else disturbed.
        outlier: by how much more those are off.
        score: standard deviation of accuracy.
    """

    relative: float = 0.0
    outliers: float = 0.0
    outlier: float = 6.0
    score: float = 0.0


@dataclass(frozen=True)
class Problem:
    """Candidates in the order of `space.candidates`, and all there is to know about them.

    Attributes:
        truth: metric → value of every candidate ``[candidates]``; NaN where a candidate is impossible.
        refusals: ``[candidates]`` why a candidate is impossible, a rule in words; "" for possible ones.
        stages: in the order of work; the last is the measurement.
        reached: ``[candidates]`` how many stages are run before a candidate is done, or known to be impossible.
        reference: gain of each objective from which hypervolume is counted.
        constraints: what the user of the study demands; a search is told of them.
        depends: metric → names of the axes it can depend on.
        shares: metric → name of the stage whose luck candidates share.
        prior: metric → what an analytic model says of every candidate before anything is run: biased, and free.
        foreseen: what a rule forbids is known before anything is run, as an oracle knows it; only memory is found out.
        subset: how many samples the host scores a network on before any board has seen it.
    """

    name: str
    space: Space
    objectives: tuple[Objective, ...]
    truth: Mapping[str, Floats]
    refusals: NDArray[np.str_]
    stages: tuple[Stage, ...]
    reached: Ints
    reference: Floats
    constraints: tuple[Constraint, ...] = ()
    noise: Noise = field(default_factory=Noise)
    depends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shares: Mapping[str, str] = field(default_factory=dict)
    prior: Mapping[str, Floats] = field(default_factory=dict)
    foreseen: bool = False
    subset: int = 200

    @property
    def size(self) -> int:
        return len(self.refusals)

    @cached_property
    def possible(self) -> NDArray[np.bool_]:
        """``[candidates]``."""
        return np.asarray(self.refusals == "")

    @cached_property
    def known_impossible(self) -> Set[tuple[object, ...]]:
        """Keys of the candidates of which everybody knows beforehand that they cannot be."""
        by_rule = ~self.possible & (self.refusals != NO_ROOM) & self.foreseen
        return {self.space.candidates[row].key for row in np.flatnonzero(by_rule)}

    @cached_property
    def rows(self) -> Mapping[tuple[object, ...], int]:
        """Key of a candidate → its place."""
        return {candidate.key: row for row, candidate in enumerate(self.space.candidates)}

    @cached_property
    def gains(self) -> Floats:
        """``[candidates, objectives]`` as a sampler would see them without noise, larger is better; NaN: impossible."""
        return np.stack([gain(o, self.truth[o.metric]) for o in self.objectives], axis=1)

    @cached_property
    def full(self) -> float:
        """Hypervolume of the true front: the best a search can come to."""
        return hypervolume(self.gains[self.possible], self.reference)

    def foretells(self, candidate: Candidate) -> Mapping[str, float]:
        """What the analytic model says of a candidate."""
        row = self.rows[candidate.key]
        return {metric: float(values[row]) for metric, values in self.prior.items()}

    def hours(self, rows: Sequence[int]) -> Floats:
        """Hours until the first 1, 2, … of these candidates are done, each stage once for all that share it."""
        asked = np.asarray(rows, dtype=np.intp)
        spent_s = np.zeros(len(asked))
        for place, stage in enumerate(self.stages):
            runs = np.flatnonzero(self.reached[asked] > place)
            _, first = np.unique(stage.keys[asked[runs]], return_index=True)
            spent_s[runs[first]] += stage.seconds
        return np.cumsum(spent_s) / 3600

    def measure(self, row: int, rng: np.random.Generator, *, short: bool = False) -> dict[str, float]:
        """Metric → what a measurement yields (a short one: `SHORT_S` instead of `MEASURE_S`, and noisier).

        Raises:
            ValueError: the candidate is impossible.
        """
        if not self.possible[row]:
            raise ValueError(f"candidate {row} of {self.name} is impossible and yields nothing: {self.refusals[row]}")
        return {metric: self._read(metric, float(true[row]), rng, short) for metric, true in self.truth.items()}

    def host_accuracy(self, row: int, rng: np.random.Generator) -> float:
        """Accuracy on a subset, computed on the host once the checkpoint is made: no time of a board.

        Raises:
            ValueError: the candidate is impossible.
        """
        true = float(self.truth["accuracy"][row])
        if math.isnan(true):
            raise ValueError(f"candidate {row} of {self.name} is impossible and yields nothing: {self.refusals[row]}")
        return float(rng.binomial(self.subset, true)) / self.subset

    def record(self, number: int, row: int, rng: np.random.Generator) -> Record:
        """How a study writes down a candidate: measured, refused, or measured and not what the user demands."""
        candidate: Candidate = self.space.candidates[row]
        if not self.possible[row]:
            refused, why = {"feasible": 1.0}, str(self.refusals[row])
            because = forbidden(why, candidate.params)
            return Record(
                number, "infeasible", candidate.params, self.name, "", 0.0, Evaluation(), refused, why, because
            )
        metrics = {metric: Metric(value) for metric, value in self.measure(row, rng).items()}
        kept = {str(c): c.violation(metrics[c.metric].value) for c in self.constraints}
        state = "infeasible" if any(amount > 0 for amount in kept.values()) else "complete"
        evaluation = Evaluation(metrics, stages={s.name: StageTime(s.seconds, cached=False) for s in self.stages})
        return Record(number, state, candidate.params, self.name, "", MEASURE_S, evaluation, kept)  # type: ignore[arg-type]

    def _read(self, metric: str, true: float, rng: np.random.Generator, short: bool) -> float:
        times = SHORT_NOISE if short else 1.0
        if metric == "accuracy":
            return float(np.clip(true + self.noise.score * rng.standard_normal(), 0.0, 1.0))
        off = self.noise.relative * times * rng.standard_normal()
        if rng.random() < self.noise.outliers:
            off *= self.noise.outlier
        return true * math.exp(off)
