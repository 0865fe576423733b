"""One search on one problem: as the program's own replay counts it, and what became of refused candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from families.problem import Problem
from families.refusals import NO_ROOM

from explorer.replay import course
from explorer.replay.course import Goal

PEERS = ("random", "nsga2", "tpe", "gp")
OURS = "front"  # of `explorer.search`
SAMPLERS = {**dict(zip(PEERS, PEERS, strict=True)), "ours": OURS, "by time": OURS}

__all__ = ["OURS", "PEERS", "SAMPLERS", "Course", "Goal", "contest"]


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
    how = {"budget": budget, "until": until, "least": least, "by_time": sampler == "by time"}
    found = course.search_through(problem, SAMPLERS[sampler], seed, **how)  # type: ignore[arg-type]
    refused, again = refusals_of(problem, found.rows)
    return Course(**vars(replace(found, sampler=sampler)), refused=refused, refused_again=again)


def refusals_of(problem: Problem, rows: Sequence[int]) -> tuple[int, int]:
    """How many were refused, and how many of those by a rule that had been named before."""
    reasons = [reason for reason in problem.refusals[list(rows)].tolist() if reason]
    rules = [reason for reason in reasons if reason != NO_ROOM]
    return len(reasons), len(rules) - len(set(rules))
