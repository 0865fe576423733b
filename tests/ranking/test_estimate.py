"""One value a trial from all its readings, against the textbook's solution and against known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from explorer.ranking import spread
from explorer.ranking.estimate import estimate
from explorer.ranking.readings import Readings, log_variance, readings_of
from explorer.result import Metric
from tests.ranking.boards import race, trial


def readings(records: list, races: list) -> Readings:
    found = readings_of("latency_ms", records, races)
    assert found is not None
    return found


def test_whoever_never_raced_keeps_its_reading() -> None:
    known = estimate(readings([trial(3, latency_ms=2.0), trial(5, latency_ms=4.0)], []))
    np.testing.assert_allclose(np.exp(known.mean), [2.0, 4.0])
    assert known.sd == pytest.approx(0.02, rel=0.6)


def test_a_race_corrects_a_lucky_reading_as_far_as_both_are_sure() -> None:
    records = [trial(number, latency_ms=2.0) for number in range(3)]
    known = estimate(readings(records, [race((0, 1), (0.0, 0.03), sd=0.0005)]))
    assert known.mean[1] - known.mean[0] == pytest.approx(0.03, abs=0.006)
    assert known.mean[0] + known.mean[1] == pytest.approx(2 * math.log(2.0))
    assert known.mean[2] == math.log(2.0)


def test_the_level_of_a_race_means_nothing() -> None:
    records = [trial(number, latency_ms=2.0) for number in range(2)]
    one, other = (estimate(readings(records, [race((0, 1), (level, level + 0.01))])) for level in (0.0, 5.0))
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-9)
    np.testing.assert_allclose(one.sd, other.sd, rtol=1e-6)


def test_it_is_the_textbooks_generalised_least_squares() -> None:
    """Against the dense solution with the races' levels as unknowns, at every point of the grid."""
    rng = np.random.default_rng(0)
    records = [trial(number, latency_ms=float(np.exp(rng.normal(0, 0.02)))) for number in range(5)]
    heats = [race(who, rng.normal(0, 0.01, len(who)), sd=0.004) for who in ((0, 1, 2), (2, 4), (1, 2, 4))]
    known = readings(records, heats)
    np.testing.assert_array_equal(known.raced, [0, 1, 2, 4])
    again = [a for a in spread.AGAIN_GRID**2 for _ in [0]]
    for point in estimate(known).points:
        errors = [np.abs(point.mean - _dense(known, point.once, a)).max() for a in again]
        assert min(errors) < 1e-9


def _dense(known: Readings, once: float, again: float) -> np.ndarray:
    raced, rows, values, precisions = list(known.raced), [], [], []
    width = len(raced) + len(known.heats)
    for place, number in enumerate(raced):
        rows.append(np.eye(width)[place])
        values.append(known.first[number])
        precisions.append(np.array([[1 / (known.within[number] + once)]]))
    for level, heat in enumerate(known.heats):
        rows += [np.eye(width)[raced.index(t)] + np.eye(width)[len(raced) + level] for t in heat.trials]
        values += heat.mean.tolist()
        precisions.append(np.linalg.inv(heat.cov + again * np.eye(len(heat.trials))))
    weight = np.zeros((len(rows),) * 2)
    at = 0
    for block in precisions:
        weight[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    design = np.array(rows)
    return np.linalg.solve(design.T @ weight @ design, design.T @ weight @ np.array(values))[: len(raced)]


@pytest.mark.parametrize(("once", "again"), [(0.005, 0.002), (0.04, 0.002), (0.04, 0.03)])
def test_what_runs_differ_by_is_learnt_from_races(once: float, again: float) -> None:
    rng = np.random.default_rng(1)
    records = [trial(number, latency_ms=float(np.exp(rng.normal(0, once)))) for number in range(30)]
    pairs = [rng.choice(30, 6, replace=False).tolist() for _ in range(25)]
    heats = [race(who, rng.normal(0, again, 6), sd=0.001) for who in pairs]
    learnt = estimate(readings(records, heats)).spread
    assert learnt.once == pytest.approx(once, rel=0.5)
    assert learnt.again == pytest.approx(again, rel=0.6)
    assert "25 races" in learnt.source


def test_intervals_of_differences_contain_the_truth_while_the_spread_is_still_unknown() -> None:
    rng, held, count = np.random.default_rng(2), 0, 60
    for _ in range(count):
        once, again = rng.choice([0.01, 0.03]), rng.choice([0.002, 0.008])
        records = [trial(number, latency_ms=float(np.exp(rng.normal(0, once)))) for number in range(6)]
        heats = [race(range(6), rng.normal(0, math.hypot(again, 0.002), 6), sd=0.002) for _ in range(2)]
        drawn = estimate(readings(records, heats)).draw(400, np.random.default_rng(0))
        low, high = np.quantile(drawn[:, 0] - drawn[:, 1], (0.025, 0.975))
        held += bool(low <= 0 <= high)
    assert 0.9 <= held / count <= 1


def test_a_doubted_reading_counts_for_less() -> None:
    sure, doubted = (
        estimate(readings([trial(0, latency_ms=1.0, flags=flags), trial(1, latency_ms=1.0)], [])).sd[0]
        for flags in ((), ("unstable",))
    )
    assert doubted > 1.8 * sure


def test_void_races_and_trials_that_do_not_compete_are_passed_over() -> None:
    records = [trial(0, latency_ms=1.0), trial(1, latency_ms=1.0)]
    void = {**race((0, 1), (0.0, 0.5)), "flags": ["throttled"]}
    assert not readings(records, [void, race((1, 7), (0.0, 0.5))]).heats
    assert len(readings(records, [race((0, 7, 1), (0.0, 0.3, 0.1))]).heats[0].trials) == 2


def test_hundreds_of_trials_and_dozens_of_races_are_solved_where_they_raced() -> None:
    rng = np.random.default_rng(3)
    records = [trial(number, latency_ms=float(np.exp(rng.normal(0, 1)))) for number in range(600)]
    heats = [race(rng.choice(40, 6, replace=False).tolist(), rng.normal(0, 0.01, 6)) for _ in range(30)]
    known = estimate(readings(records, heats))
    assert len(known.points[0].mean) <= 40
    assert known.draw(50, rng).shape == (50, 600)


def test_an_interval_as_a_variance_of_the_logarithm() -> None:
    assert log_variance(Metric(2.0)) == 0
    assert log_variance(Metric(2.0, 2.0 / math.e**0.196, 2.0 * math.e**0.196)) == pytest.approx(0.01, rel=1e-3)
    assert log_variance(Metric(2.0, -1.0, 2.0 * math.e**0.196)) == pytest.approx(0.01, rel=1e-3)


def test_what_is_no_positive_time_has_no_readings() -> None:
    assert readings_of("accuracy", [trial(0)], []) is None
    assert readings_of("energy_net_mj", [trial(0, energy_net_mj=-1.0)], []) is None
