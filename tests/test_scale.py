"""One scale for boards that are not quite equal: known ratios, and intervals that keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.result import Metric
from explorer.scale import JUDGED_BY, Past, Scale, drift, limits, scale_of


def around(value: float, share: float) -> Metric:
    return Metric(value, value * (1 - share), value * (1 + share))


FIRST = {"latency_ms": around(10.0, 0.01), "throughput_ips": around(100.0, 0.01), "power_w": around(8.0, 0.02)}
SLOWER = {"latency_ms": around(12.5, 0.02), "throughput_ips": around(80.0, 0.02), "power_w": around(8.1, 0.02)}


def test_what_lies_apart_is_multiplied_and_what_overlaps_is_left_alone() -> None:
    own = {"latency_ms": around(25.0, 0.0), "power_w": Metric(9.0), "accuracy": Metric(0.9), "model_mb": Metric(3.0)}
    metrics, scaled = scale_of(SLOWER, first=FIRST).apply(own)
    assert scaled == {"latency_ms": pytest.approx(0.8)}
    assert metrics["latency_ms"].value == pytest.approx(20.0)
    assert {name: metrics[name] for name in ("power_w", "accuracy", "model_mb")} == {
        name: own[name] for name in ("power_w", "accuracy", "model_mb")
    }


def test_tails_go_with_the_median() -> None:
    metrics, scaled = scale_of(SLOWER, first=FIRST).apply({"latency_p99_ms": around(30.0, 0.1)})
    assert metrics["latency_p99_ms"].value == pytest.approx(24.0)
    assert list(scaled) == ["latency_p99_ms"]


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Three independent normal errors of 1, 1 and 2 %: the product's 95 % interval covers 95 % of 20 000 draws."""
    rng, covered = np.random.default_rng(7), 0
    for first, own, value in rng.normal(1, (0.01, 0.01, 0.02), (20_000, 3)) * (10.0, 12.5, 25.0):
        reference = {"latency_ms": around(own, 1.96 * 0.01)}
        scale = scale_of(reference, first={"latency_ms": around(first, 1.96 * 0.01)})
        found = scale.apply({"latency_ms": around(value, 1.96 * 0.02)})[0]["latency_ms"]
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 20.0 <= found.high
    assert covered / 20_000 == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(
    "reference", [{}, {"latency_ms": Metric(12.5)}, {"energy_net_mj": around(-0.1, 0.1)}], ids=["none", "exact", "sign"]
)
def test_nothing_is_scaled_without_two_intervals_to_compare(reference: dict[str, Metric]) -> None:
    first = FIRST | {"energy_net_mj": around(0.2, 0.1)}
    assert scale_of(reference, first=first).ratios == {}


def test_a_board_without_a_reference_says_so() -> None:
    assert Scale(unknown=True).doubts == ("no-reference",)
    assert Scale().doubts == ()


def test_drift_of_the_reference_is_taken_from_times_and_from_nothing_else() -> None:
    metrics = {"latency_ms": around(22.0, 0.01), "throughput_ips": around(50.0, 0.01), "power_w": around(8.0, 0.01)}
    told, scaled = drift(around(11.0, 0.01), level=around(10.0, 0.01)).apply(metrics)
    assert scaled == {"latency_ms": pytest.approx(10 / 11), "throughput_ips": pytest.approx(1.1)}
    assert told["latency_ms"].value == pytest.approx(20.0)
    assert told["throughput_ips"].value == pytest.approx(55.0)
    assert drift(around(10.1, 0.01), level=around(10.0, 0.01)).ratios == {}, "not apart: left, and charted"


def test_limits_hold_what_wanders_and_leave_out_what_broke_away() -> None:
    readings = [around(10 + 0.1 * (number % 5), 0.005) for number in range(20)]
    within = limits([*readings, around(14.0, 0.005)])
    assert within.centre == pytest.approx(10.2)
    assert not any(within.leaves_out(reading) for reading in readings)
    assert within.leaves_out(around(14.0, 0.005))
    assert within.leaves_out(around(8.0, 0.005))
    assert not within.leaves_out(around(14.0, 0.4)), "its interval reaches the limits"
    assert within.leaves_out(Metric(14.0)), "a reading without an interval is itself"


def test_the_level_is_the_first_boards_whoever_is_read_first_and_limits_are_each_boards_own() -> None:
    past = Past(first="one")
    past.keep("two", "15W", around(20.0, 0.01))
    assert past.level("15W") is None, "the second board was faster with its first trial"
    past.keep("one", "15W", around(10.0, 0.01))
    past.keep("one", "15W", around(11.0, 0.01))
    assert past.level("15W") == around(10.0, 0.01)
    assert past.level("MAXN") is None
    for _ in range(JUDGED_BY - 2):
        past.keep("two", "15W", around(20.0, 0.01))
    assert past.limits("two", "15W") is None
    past.keep("two", "15W", around(20.0, 0.01))
    known = past.limits("two", "15W")
    assert known is not None
    assert known.centre == pytest.approx(20.0)
    assert past.limits("one", "15W") is None
