"""What a study has spent, and what it may still spend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from explorer.config import Experiment, SearchPlan
from explorer.result import Objective, Record
from explorer.space import Axis, Space
from explorer.study.budget import Budget, spent_s

EXPERIMENT = Experiment(
    study="s",
    model=None,
    space=Space((Axis("batch", (1, 2, 3, 4)),)),
    objectives=(Objective("throughput_ips", "max"),),
    path=Path("space.yaml"),
    folder=Path(),
)


def record(second: int, seconds: float, device: str = "one") -> Record:
    return Record(0, "complete", {}, device, f"2026-11-21T08:00:{second:02d}.000+00:00", seconds)


def limited(trials: int | None = None, seconds: float | None = None) -> Experiment:
    return replace(EXPERIMENT, search=SearchPlan(trials=trials, seconds=seconds))


def test_what_boards_do_at_the_same_time_is_spent_once() -> None:
    one_after_the_other = (record(0, 4.0), record(10, 5.0))
    assert spent_s(one_after_the_other) == pytest.approx(9)
    together = (record(0, 4.0), record(2, 5.0, "two"), record(3, 1.0, "three"))
    assert spent_s(together) == pytest.approx(7)
    assert spent_s(()) == 0


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        (limited(trials=2), "the budget of 2 trials is spent"),
        (limited(trials=3, seconds=8.0), "the time is up"),
        (limited(trials=3, seconds=80.0), ""),
        (limited(), ""),
    ],
)
def test_why_there_is_nothing_left_to_do(experiment: Experiment, words: str) -> None:
    assert Budget(experiment, (record(0, 4.0), record(10, 5.0))).why_done() == words


def test_a_space_that_is_exhausted_needs_no_budget() -> None:
    budget = Budget(limited(trials=9), tuple(record(second, 1.0) for second in range(4)))
    assert "exhausted: all 4" in budget.why_done()
    assert budget.planned(0) == 4


def test_candidates_under_way_count_as_begun() -> None:
    budget = Budget(limited(trials=3), (record(0, 1.0),))
    assert budget.allows(1)
    assert not budget.allows(2)
    assert budget.planned(3) == 3
    assert budget.left_s is None
