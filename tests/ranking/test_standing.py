"""Where trials stand: fronts that are never empty, probabilities that are what they say, and whom to race."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from explorer import pareto
from explorer.ranking import front, next_race, standing
from explorer.result import Metric, Objective, Record
from explorer.tally import Tally
from tests.ranking.boards import OBJECTIVES, race, trial


def answers(right: np.ndarray) -> Tally:
    return Tally("share", right.astype(float)[:, None], np.ones((len(right), 1)))


def with_tallies(records: list[Record], rights: list[np.ndarray]) -> tuple[list[Record], dict[int, dict[str, Tally]]]:
    tallies = {record.number: {"accuracy": answers(right)} for record, right in zip(records, rights, strict=True)}
    measured = [
        replace(
            r,
            evaluation=replace(r.evaluation, metrics={**r.metrics, "accuracy": tallies[r.number]["accuracy"].metric()}),
        )
        for r in records
    ]
    return measured, tallies


def test_without_a_complete_trial_nobody_stands_anywhere() -> None:
    nothing = standing([replace(trial(0, latency_ms=1.0), state="infeasible")], OBJECTIVES)
    assert (nothing.front, dict(nothing.probability), next_race(nothing)) == ((), {}, ())


def test_clear_cases_are_certain() -> None:
    found = standing([trial(0, accuracy=0.9, latency_ms=1.0), trial(1, accuracy=0.8, latency_ms=2.0)], OBJECTIVES)
    assert found.front == (0,)
    assert dict(found.probability) == {0: 1.0, 1: 0.0}
    assert found.undecided == ()


def test_two_as_good_as_each_other_are_undecided_and_race() -> None:
    found = standing([trial(n, latency_ms=ms) for n, ms in ((0, 1.0), (1, 1.001), (2, 3.0))], OBJECTIVES)
    assert found.front == (0,)
    assert found.probability[0] == pytest.approx(0.5, abs=0.1)
    assert found.probability[0] + found.probability[1] == pytest.approx(1.0)
    assert set(found.undecided) == {0, 1} == set(next_race(found))


def test_exact_ties_share_the_front() -> None:
    records = [trial(n, params=1.0) for n in range(3)]
    exact = [
        replace(r, evaluation=replace(r.evaluation, metrics={"accuracy": Metric(0.9), "params": Metric(5.0)}))
        for r in records
    ]
    found = standing(exact, (OBJECTIVES[0], Objective("params", "min")))
    assert found.front == (0, 1, 2)
    assert set(found.probability.values()) == {1.0}
    assert found.undecided == ()


def test_a_race_decides() -> None:
    records = [trial(0, latency_ms=1.0), trial(1, latency_ms=1.01)]
    found = standing(records, OBJECTIVES, races=[race((0, 1), (0.03, 0.0), sd=0.0005) for _ in range(3)])
    assert found.front == (1,)
    assert found.undecided == ()
    assert dict(found.readings) == {0: 4, 1: 4}
    low, high = found.metrics[1]["latency_ms"].low, found.metrics[1]["latency_ms"].high
    assert low is not None
    assert high is not None
    assert low < found.metrics[1]["latency_ms"].value < high
    assert "learnt from 3 races" in found.spreads["latency_ms"].source


def test_metrics_of_whoever_never_raced_are_its_records() -> None:
    records = [trial(n, latency_ms=1.0 + n) for n in range(3)]
    found = standing(records, OBJECTIVES, races=[race((0, 1), (0.0, 0.7))])
    assert found.metrics[2] == dict(records[2].metrics)
    assert found.metrics[0] != dict(records[0].metrics)


def test_accuracy_is_resampled_alike_for_all() -> None:
    """Two networks that differ in one answer of 200: what is uncertain of either alone hardly matters."""
    right = np.random.default_rng(0).random(200) < 0.8
    better = right.copy()
    better[np.flatnonzero(~right)[0]] = True
    records, tallies = with_tallies([trial(0, latency_ms=1.0), trial(1, latency_ms=1.5)], [right, better])
    found = standing(records, OBJECTIVES, tallies=tallies)
    assert found.probability[1] == pytest.approx(1 - np.exp(-1), abs=0.05)  # the chance that the one answer is drawn
    apart = standing(records, OBJECTIVES)
    assert apart.probability[1] == pytest.approx(0.5, abs=0.06)


def test_what_only_more_test_subjects_could_decide_is_not_raced() -> None:
    right = np.random.default_rng(1).random(100) < 0.8
    records, tallies = with_tallies([trial(0, latency_ms=1.0), trial(1, latency_ms=2.0)], [right, np.roll(right, 7)])
    found = standing(records, OBJECTIVES, tallies=tallies)
    assert 0.05 < found.probability[1] < 0.95
    assert found.undecided == ()


def test_the_same_network_ties_in_accuracy_in_every_draw() -> None:
    right = np.random.default_rng(2).random(100) < 0.8
    records, tallies = with_tallies([trial(n, latency_ms=ms) for n, ms in ((0, 1.0), (1, 2.0))], [right, right])
    assert dict(standing(records, OBJECTIVES, tallies=tallies).probability) == {0: 1.0, 1: 0.0}


def test_a_doubted_trial_is_less_sure_of_its_place() -> None:
    def certainty(*flags: str) -> float:
        return standing([trial(0, latency_ms=1.0, flags=flags), trial(1, latency_ms=1.06)], OBJECTIVES).probability[0]

    assert certainty("disturbed") < certainty() - 0.03


def test_whom_to_race_is_limited_grouped_and_told_whom_to_leave_out() -> None:
    found = standing([trial(n, latency_ms=1.0 + n / 1000) for n in range(9)], OBJECTIVES)
    assert len(set(next_race(found))) == 6
    assert len(next_race(found, most=3)) == 3
    groups = {n: n % 2 for n in range(9)}
    assert len({groups[n] for n in next_race(found, groups=groups)}) == 1
    assert not {0, 1} & set(next_race(found, without={0, 1}))
    assert next_race(found, without=set(range(8))) == ()


def test_rivals_are_asked_along() -> None:
    """1 and 2 are a close pair, 0 and 3 are far from anybody."""
    found = standing(
        [trial(n, latency_ms=ms, accuracy=a) for n, ms, a in ((0, 1, 0.5), (1, 2, 0.9), (2, 2.01, 0.9), (3, 9, 0.95))],
        OBJECTIVES,
    )
    assert sorted(next_race(found)) == [1, 2]


def test_the_order_of_records_does_not_matter() -> None:
    records = [trial(n, latency_ms=1.0 + n / 200, accuracy=0.9 - n / 100) for n in range(20)]
    assert standing(records, OBJECTIVES) == standing(records[::-1], OBJECTIVES)


def test_a_thousand_trials_in_three_objectives() -> None:
    rng = np.random.default_rng(4)
    three = (*OBJECTIVES, Objective("energy_mj", "min"))
    records = [
        trial(n, accuracy=round(float(a), 2), latency_ms=float(t), energy_mj=float(e))
        for n, (a, t, e) in enumerate(np.stack([rng.random(1000), *np.exp(rng.normal(0, 0.5, (2, 1000)))], axis=1))
    ]
    found = standing(records, three)
    assert found.front
    assert all(found.probability[number] > 0.2 for number in found.front)
    assert sum(found.probability.values()) == pytest.approx(len(found.front), rel=0.3)


def test_the_share_of_draws_is_that_of_the_front_of_every_draw() -> None:
    gains = np.random.default_rng(5).integers(0, 6, (3, 40, 70)).astype(float)
    each = np.array([pareto.front(gains[:, draw].T) for draw in range(40)])
    np.testing.assert_allclose(front.shares(gains), each.mean(axis=0))
