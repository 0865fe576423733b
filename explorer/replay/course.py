"""One search on a space whose truth is known: ask, look up, tell, and how far it has come after each evaluation."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from explorer.pareto import Front, hypervolume
from explorer.result import Constraint, Objective, Record
from explorer.search.quantities import scaled
from explorer.search.search import Prior, Search
from explorer.space import Space

Floats = NDArray[np.float64]
UNTIL = 0.99  # of the hypervolume of all there is: then a search has found what there is to find


class Problem(Protocol):
    """A finite space and all there is to know about it; rows in the order of `space.candidates`."""

    @property
    def name(self) -> str: ...

    @property
    def space(self) -> Space: ...

    @property
    def objectives(self) -> tuple[Objective, ...]: ...

    @property
    def constraints(self) -> tuple[Constraint, ...]: ...

    @property
    def known_impossible(self) -> Collection[tuple[object, ...]]:
        """Keys of the candidates of which everybody knows beforehand that they cannot be."""

    @property
    def rows(self) -> Mapping[tuple[object, ...], int]:
        """Key of a candidate → its row."""

    @property
    def possible(self) -> NDArray[np.bool_]:
        """``[candidates]``."""

    @property
    def gains(self) -> Floats:
        """``[candidates, objectives]`` as samplers see them, larger is better; NaN: impossible."""

    @property
    def reference(self) -> Floats:
        """``[objectives]`` from which hypervolume is counted."""

    @property
    def full(self) -> float:
        """Hypervolume of the front of all candidates."""

    def record(self, number: int, row: int, rng: np.random.Generator) -> Record:
        """How a study writes a candidate down; `rng` draws the noise, where there is any."""

    def hours(self, rows: Sequence[int]) -> Floats:
        """Hours until the first 1, 2, … of these candidates are done."""


@dataclass(frozen=True)
class Course:
    """A search from its first evaluation to its last.

    Attributes:
        size: how many candidates there are.
        rows: of the candidates, in the order in which they were asked for.
        shares: of the full hypervolume, after each.
        hours: until each is done.
        ask_ms: of CPU time, for an ask and what it takes to tell the result, on average.
    """

    problem: str
    sampler: str
    seed: int
    size: int
    rows: Sequence[int]
    shares: Sequence[float]
    hours: Sequence[float]
    ask_ms: float

    @property
    def repeated(self) -> int:
        return len(self.rows) - len(set(self.rows))

    def share_at(self, evaluations: int) -> float:
        """After so many; a search that ended before keeps what it had."""
        return self.shares[min(evaluations, len(self.shares)) - 1]


@dataclass(frozen=True)
class Goal:
    """A share of the full hypervolume, and in what the way to it is counted."""

    share: float
    unit: Literal["evaluations", "hours"]

    def cost(self, course: Course) -> float:
        """Infinite where it was not reached."""
        return next(
            (cost for cost, got in zip(self._costs(course), course.shares, strict=True) if got >= self.share), inf
        )

    def least(self, course: Course) -> float:
        """The cost, or that of all there was where it was not reached."""
        return min(self.cost(course), self._costs(course)[-1])

    def _costs(self, course: Course) -> Sequence[float]:
        return course.hours if self.unit == "hours" else [n + 1.0 for n in range(len(course.rows))]


class Progress:
    """How far a search has come, judged by true values."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._front = Front(len(problem.objectives))
        self.share = 0.0

    def add(self, row: int) -> float:
        """Share of the full hypervolume that the front makes up, with one more candidate."""
        problem = self._problem
        useful = problem.possible[row] and (problem.gains[row] > problem.reference).all()
        if useful and self._front.add(problem.gains[row]):
            self.share = hypervolume(self._front.points, problem.reference) / problem.full
        return self.share


def search_through(
    problem: Problem,
    sampler: str,
    seed: int,
    *,
    budget: int,
    until: float = UNTIL,
    least: int = 0,
    by_time: bool = False,
    earlier: Sequence[Sequence[Record]] = (),
    prior: Prior | None = None,
) -> Course:
    """Let a sampler search.

    It ends after `budget` evaluations, at the end of the space, or as soon as it has come to `until` of the full
    hypervolume (above 1: never) with `least` evaluations or more. `by_time` asks it to weigh what candidates cost.
    Records of earlier studies may warm it, and so may a model.
    """
    search = Search(
        problem.space,
        problem.objectives,
        sampler=sampler,
        seed=seed,
        constraints=problem.constraints,
        impossible=problem.known_impossible,
        by_time=by_time,
        earlier=earlier,
        prior=prior,
    )
    progress = Progress(problem)
    rows: list[int] = []
    shares: list[float] = []
    spent_s = 0.0
    while len(rows) < budget and (progress.share < until or len(rows) < least):
        began = time.process_time()
        candidate = search.ask()
        spent_s += time.process_time() - began
        if candidate is None:
            break
        row = problem.rows[candidate.key]
        record = problem.record(len(rows), row, np.random.default_rng([seed, row]))
        rows.append(row)
        shares.append(progress.add(row))
        began = time.process_time()
        search.tell(candidate, record)
        search.rule_out(record.because)
        spent_s += time.process_time() - began
    hours, ask_ms = problem.hours(rows).tolist(), 1e3 * spent_s / len(rows)
    return Course(problem.name, sampler, seed, problem.space.size, rows, shares, hours, ask_ms)


def gain(objective: Objective, values: Floats) -> Floats:
    """The values as samplers see them (logarithms where ratios matter), turned so that larger is better."""
    seen = np.array([scaled(objective.metric, value) for value in values.tolist()])
    return seen if objective.direction == "max" else -seen
