"""One search on one problem: ask, measure, tell, and how far it has come after each evaluation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol

import numpy as np
from families.columns import Columns
from families.problem import Problem, Progress
from families.refusals import NO_ROOM

from explorer.result import Record
from explorer.search.proposer import Proposer, Seen
from explorer.search.search import Search, baseline, scaled
from explorer.search.surrogate import Axis, Shape
from explorer.space import Candidate

PEERS = ("random", "nsga2", "tpe", "gp")
SAMPLERS = (*PEERS, "ours")
FIRST = 6  # results before `ours` believes anything


class Asked(Protocol):
    """Whoever proposes candidates: `explorer.search.search.Search`, or one that looks like it."""

    def ask(self) -> Candidate | None: ...

    def tell(self, candidate: Candidate, record: Record) -> None: ...


@dataclass(frozen=True)
class Course:
    """A search from its first evaluation to its last.

    Attributes:
        rows: of the candidates, in the order in which they were asked for.
        shares: of the full hypervolume, after each.
        hours: until each is done.
        ask_ms: of CPU time, for an ask and what it takes to tell the result, on average.
        refused_again: candidates that a rule forbids which an earlier refusal has named; memory is no such rule.
    """

    problem: str
    sampler: str
    seed: int
    size: int
    rows: Sequence[int]
    shares: Sequence[float]
    hours: Sequence[float]
    ask_ms: float
    refused: int
    refused_again: int

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


def contest(problem: Problem, sampler: str, seed: int, *, budget: int, until: float, least: int = 0) -> Course:
    """Let a sampler search.

    It ends after `budget` evaluations, at the end of the space, or as soon as it has come to `until` of the full
    hypervolume (above 1: never) with `least` evaluations or more.
    """
    asked, progress = sampler_of(problem, sampler, seed), Progress(problem)
    rows: list[int] = []
    shares: list[float] = []
    spent_s = 0.0
    while len(rows) < budget and (progress.share < until or len(rows) < least):
        began = time.process_time()
        candidate = asked.ask()
        spent_s += time.process_time() - began
        if candidate is None:
            break
        row = problem.rows[candidate.key]
        record = problem.record(len(rows), row, np.random.default_rng([seed, row]))
        rows.append(row)
        shares.append(progress.add(row))
        began = time.process_time()
        asked.tell(candidate, record)
        spent_s += time.process_time() - began
    hours = problem.hours(rows).tolist()
    ask_ms = 1e3 * spent_s / len(rows)
    refused, again = refusals_of(problem, rows)
    return Course(problem.name, sampler, seed, problem.size, rows, shares, hours, ask_ms, refused, again)


def sampler_of(problem: Problem, sampler: str, seed: int) -> Asked:
    """A sampler by its name in this benchmark; all but `ours` are those of `explorer.search`."""
    if sampler == "ours":
        return Ours(problem, seed)
    return Search(problem.space, problem.objectives, sampler=sampler, seed=seed)


def refusals_of(problem: Problem, rows: Sequence[int]) -> tuple[int, int]:
    """How many were refused, and how many of those by a rule that had been named before."""
    reasons = [reason for reason in problem.refusals[list(rows)].tolist() if reason]
    rules = [reason for reason in reasons if reason != NO_ROOM]
    return len(reasons), len(rules) - len(set(rules))


class Ours:
    """The candidate-set proposer behind the face of `Search`; accuracy knows which axes it can depend on."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._rng = np.random.default_rng(seed)
        columns = Columns(problem.space)
        shapes = [_shape(problem, columns, objective.metric) for objective in problem.objectives]
        self._proposer = Proposer(columns.all, shapes)
        self._free = np.ones(problem.size, dtype=np.bool_)
        self._asked: list[int] = []
        self._seen: list[int] = []
        self._gains: list[list[float]] = []
        self._refused: list[int] = []

    def ask(self) -> Candidate | None:
        if not self._free.any():
            return None
        row = self._next()
        self._free[row] = False
        self._asked.append(row)
        return self._problem.space.candidates[row]

    def tell(self, candidate: Candidate, record: Record) -> None:
        row = self._problem.rows[candidate.key]
        if not record.metrics:
            self._refused.append(row)
            return
        self._seen.append(row)
        values = [(o, scaled(o.metric, record.metrics[o.metric].value)) for o in self._problem.objectives]
        self._gains.append([objective.gain(value) for objective, value in values])

    def _next(self) -> int:
        if not self._asked:
            return self._problem.rows[baseline(self._problem.space.candidates).key]
        if len(self._seen) < FIRST:
            return self._proposer.first(np.array(self._asked), self._free, self._rng)
        refused = np.array(self._refused, dtype=np.intp)
        return self._proposer.propose(Seen(np.array(self._seen), np.array(self._gains), refused), self._free)


def _shape(problem: Problem, columns: Columns, metric: str) -> Shape:
    """What a metric depends on, and whose luck it shares."""
    names = problem.depends[metric]
    axes = [Axis(len(a.values), a.kind == "ordinal") for a in problem.space.axes if a.name in names]
    levels = np.stack([columns.levels(name) for name in columns.names if name in names], axis=1)
    keys = {stage.name: stage.keys for stage in problem.stages}
    return Shape(axes, levels, keys.get(problem.shares.get(metric, "")))
