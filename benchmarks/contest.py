"""One search on one problem: ask, measure, tell, and how far it has come after each evaluation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np
from families.problem import Problem, Progress
from families.refusals import NO_ROOM

from explorer.search.search import Search

PEERS = ("random", "nsga2", "tpe", "gp")
OURS = "front"  # of `explorer.search`
SAMPLERS = {**dict(zip(PEERS, PEERS, strict=True)), "ours": OURS}


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
    search = Search(
        problem.space, problem.objectives, sampler=SAMPLERS[sampler], seed=seed, constraints=problem.constraints
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
        spent_s += time.process_time() - began
    hours = problem.hours(rows).tolist()
    ask_ms = 1e3 * spent_s / len(rows)
    refused, again = refusals_of(problem, rows)
    return Course(problem.name, sampler, seed, problem.size, rows, shares, hours, ask_ms, refused, again)


def refusals_of(problem: Problem, rows: Sequence[int]) -> tuple[int, int]:
    """How many were refused, and how many of those by a rule that had been named before."""
    reasons = [reason for reason in problem.refusals[list(rows)].tolist() if reason]
    rules = [reason for reason in reasons if reason != NO_ROOM]
    return len(reasons), len(rules) - len(set(rules))
