"""What a study has spent, and what it may still spend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from explorer.config import Experiment, SearchPlan
from explorer.result import Objective, Record
from explorer.space import Axis, Space
from explorer.study.budget import ASKS, Budget, Stop, spent_s

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
    stop = Budget(experiment, (record(0, 4.0), record(10, 5.0))).why_done()
    assert (stop.words if stop else "") == words


def test_a_space_that_is_exhausted_needs_no_budget() -> None:
    budget = Budget(limited(trials=9), tuple(record(second, 1.0) for second in range(4)))
    assert budget.why_done() == Stop("space", "the space is exhausted: all 4 candidates have been tried")
    assert budget.planned(0) == 4


def test_candidates_under_way_count_as_begun() -> None:
    budget = Budget(limited(trials=3), (record(0, 1.0),))
    assert budget.allows(1)
    assert not budget.allows(2)
    assert budget.planned(3) == 3
    assert budget.left_s is None


def test_a_space_is_exhausted_when_what_is_left_is_impossible() -> None:
    budget = Budget(limited(trials=9), (record(0, 1.0),))
    assert budget.why_done(1) is None
    stop = budget.why_done(0)
    assert stop is not None
    assert stop.words == "the space is exhausted: 1 candidate has been tried, the other 3 of 4 are impossible"


def test_nothing_is_left_to_gain_when_that_is_expected_often_enough_in_a_row() -> None:
    budget = Budget(limited(trials=99), (record(0, 1.0),))
    for gain in [*[0.0] * (ASKS - 1), None, *[1e-4] * (ASKS - 1), 0.01, *[1e-4] * (ASKS - 1)]:
        budget.expects(gain)
    assert budget.allows(0)
    budget.expects(1e-4)
    assert not budget.allows(0)
    stop = budget.why_done(3)
    assert stop is not None
    assert (stop.name, stop.words[:23]) == ("gain", "nothing is left to gain")
    told = [{"candidates": 4, "impossible": []}, budget.told(stop)]
    again = replace(limited(trials=99), search=SearchPlan(trials=99, stop_below=0.01))
    less = replace(limited(trials=99), search=SearchPlan(trials=99, stop_below=1e-4))
    off = replace(limited(trials=99), search=SearchPlan(trials=99, stop_below=0.0))
    before = (record(0, 1.0),)
    ended = {one.search.stop_below: Budget(one, before, (), told).why_done() is not None for one in (again, less, off)}
    assert ended == {0.01: True, 1e-4: False, 0.0: False}
    assert Budget(again, (*before, record(1, 1.0)), (), told).why_done() is None, "something was tried since"
