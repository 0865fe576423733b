"""One search on one problem: as the program's own replay counts it, and what became of refused candidates; and many of
them, in processes of their own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from families.problem import Problem
from families.refusals import NO_ROOM

from explorer.replay import course
from explorer.replay.contest import THREADS
from explorer.replay.course import Goal

PEERS = ("random", "nsga2", "tpe", "gp", "qnehvi")
SLOW = ("gp", "qnehvi")  # seconds an ask
OURS = "front"  # of `explorer.search`
# Ours alone, as it weighs what candidates cost, and as the program has it: told what an analytic model says as well.
MINE = ("ours", "by time", "foretold", "foretold by time")
SAMPLERS = {**dict(zip(PEERS, PEERS, strict=True)), "qnehvi": "qnehvi:NoisyHypervolume", **dict.fromkeys(MINE, OURS)}

__all__ = ["MINE", "OURS", "PEERS", "SAMPLERS", "SLOW", "Course", "Goal", "Job", "contest", "run_all"]


@dataclass(frozen=True)
class Course(course.Course):
    """A search from its first evaluation to its last.

    Attributes:
        refused: candidates that were impossible.
        refused_again: candidates that a rule forbids which an earlier refusal has named; memory is no such rule.
    """

    refused: int
    refused_again: int


def contest(problem: Problem, sampler: str, seed: int, *, budget: int, until: float, least: int = 0) -> Course:
    """Let a sampler search; it ends as `course.search_through` says."""
    found = course.search_through(
        problem,
        SAMPLERS[sampler],
        seed,
        budget=budget,
        until=until,
        least=least,
        by_time=sampler.endswith("by time"),
        prior=problem.foretells if sampler.startswith("foretold") else None,
    )
    refused, again = refusals_of(problem, found.rows)
    return Course(**vars(replace(found, sampler=sampler)), refused=refused, refused_again=again)


def refusals_of(problem: Problem, rows: Sequence[int]) -> tuple[int, int]:
    """How many were refused, and how many of those by a rule that had been named before."""
    reasons = [reason for reason in problem.refusals[list(rows)].tolist() if reason]
    rules = [reason for reason in reasons if reason != NO_ROOM]
    return len(reasons), len(rules) - len(set(rules))


class Job(Protocol):
    """A search to run."""

    @property
    def of(self) -> tuple[str, str]:
        """The problem, and how it is searched."""

    @property
    def seed(self) -> int: ...


class Ended(Protocol):
    """A search that was run."""

    @property
    def rows(self) -> Sequence[int]: ...

    @property
    def shares(self) -> Sequence[float]: ...


J = TypeVar("J", bound=Job)
C = TypeVar("C", bound=Ended)


def run_all(run: Callable[[J], C], jobs: Sequence[J], workers: int) -> dict[str, dict[str, list[C]]]:
    """Problem → how it is searched → courses in the order of seeds."""
    os.environ.update(dict.fromkeys(THREADS, "1"))  # for the workers, which share the cores
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        asked = {pool.submit(run, job): job for job in jobs}
        for done, future in enumerate(as_completed(asked), start=1):
            job, ended = asked[future], future.result()
            words = f"{' '.join(job.of)} {job.seed}: {len(ended.rows)} evaluations, {ended.shares[-1]:.4f}"
            print(f"[{done}/{len(jobs)}] {words}", file=sys.stderr, flush=True)
    found: dict[str, dict[str, list[C]]] = {}
    for future, job in asked.items():
        problem, how = job.of
        found.setdefault(problem, {}).setdefault(how, []).append(future.result())
    return found
