"""Intervals that contain the truth as often as they say, and metrics that follow from the raw samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from explorer.result import Metric
from explorer.statistics import Measurement, block_length, derive, mean_interval, quantile_interval, t95

scipy_signal = pytest.importorskip("scipy.signal")
scipy_stats = pytest.importorskip("scipy.stats")
Floats = NDArray[np.float64]


def autoregressive(rng: np.random.Generator, count: int, memory: float) -> Floats:
    """An AR(1) series of unit variance around zero."""
    noise = rng.standard_normal(count + 2000) * math.sqrt(1 - memory**2)
    return np.asarray(scipy_signal.lfilter([1], [1, -memory], noise)[2000:])


def coverage(
    draw: Callable[[np.random.Generator], Floats], interval: Callable[[Floats], Metric], truth: float
) -> float:
    rng = np.random.default_rng(11)
    found = [interval(draw(rng)) for _ in range(300)]
    return sum(m.low is not None and m.high is not None and m.low <= truth <= m.high for m in found) / len(found)


# Of 300 trials of a true 95 % interval, 99 % lie between 91.7 % and 98.3 %.
@pytest.mark.parametrize(("count", "memory"), [(200, 0.0), (1000, 0.0), (200, 0.5), (1000, 0.5), (3000, 0.9)])
def test_the_interval_of_a_median_covers_it_whatever_the_samples_remember(count: int, memory: float) -> None:
    """Skewed latencies (log-normal) with the memory of an AR(1); their true median is 1."""
    share = coverage(
        lambda rng: np.exp(0.3 * autoregressive(rng, count, memory)), lambda x: quantile_interval(x, 0.5), 1.0
    )
    assert 0.915 <= share <= 0.985, share


def test_an_interval_that_takes_samples_for_independent_would_not_cover() -> None:
    """The reason for the blocks: the same series, shuffled so that it has no memory, is far too sure of itself."""

    def shuffled(samples: Floats) -> Metric:
        honest = quantile_interval(samples, 0.5)
        naive = quantile_interval(np.random.default_rng(0).permutation(samples), 0.5)
        assert honest.high is not None
        return naive

    assert coverage(lambda rng: autoregressive(rng, 1000, 0.9), shuffled, 0.0) < 0.6


def test_the_interval_of_a_tail_covers_it() -> None:
    truth = float(np.exp(0.3 * scipy_stats.norm.ppf(0.9)))
    share = coverage(
        lambda rng: np.exp(0.3 * autoregressive(rng, 1000, 0.3)), lambda x: quantile_interval(x, 0.9), truth
    )
    assert 0.90 <= share <= 0.985, share


def test_the_interval_of_a_mean_of_few_windows_covers_it() -> None:
    assert 0.915 <= coverage(lambda rng: rng.normal(5, 1, 5), mean_interval, 5.0) <= 0.985


def test_blocks_are_longer_the_longer_the_memory() -> None:
    rng = np.random.default_rng(2)
    lengths = [block_length(autoregressive(rng, 4000, memory)) for memory in (0.0, 0.6, 0.9, 0.98)]
    assert lengths == sorted(lengths)
    assert lengths[0] < 15 < lengths[-1] <= 500


def test_degenerate_series_have_their_obvious_answers() -> None:
    constant = quantile_interval(np.full(100, 3.0), 0.5)
    assert (constant.low, constant.value, constant.high) == (3.0, 3.0, 3.0)
    single = quantile_interval(np.array([2.0]), 0.5)
    assert (single.low, single.value, single.high) == (2.0, 2.0, 2.0)
    pair = quantile_interval(np.array([1.0, 2.0]), 0.5)
    assert pair.low is not None
    assert pair.low <= pair.value
    assert mean_interval(np.array([4.0])) == Metric(4.0)


def test_intervals_are_the_same_every_time() -> None:
    samples = np.random.default_rng(3).random(500)
    assert quantile_interval(samples, 0.5) == quantile_interval(samples.copy(), 0.5)


@pytest.mark.parametrize("freedom", [1, 3, 10, 11, 12, 20, 50, 400])
def test_students_t_is_that_of_the_textbook(freedom: int) -> None:
    assert t95(freedom) == pytest.approx(scipy_stats.t.ppf(0.975, freedom), rel=1e-3)


def measured(count: int, *, meter: Mapping[str, Any], latency_s: float = 0.01, **series: list[float]) -> Measurement:
    """`count` windows of ten inferences of `latency_s`, half of one core busy."""
    edges = np.arange(count + 1) * latency_s * 10 + 100.0
    windows = {
        "latency_s": np.full(10 * count, latency_s),
        "window_start_s": edges[:-1],
        "window_end_s": edges[1:],
        "window_count": np.full(count, 10.0),
        "window_cpu_s": np.full(count, latency_s * 10 / 2),
    }
    header = {"meter": meter, "estimated": meter.get("estimated", False), "flags": ["disturbed"]}
    return Measurement(header, {**windows, **{name: np.asarray(data, float) for name, data in series.items()}})


DECLARED = {"name": "declared", "quantity": "model", "idle_w": 10.0, "busy_core_w": 8.0, "estimated": True, "rails": []}


def test_metrics_follow_from_the_samples() -> None:
    metrics, estimated, flags = derive(measured(5, meter=DECLARED), 4)
    assert metrics["latency_ms"].value == pytest.approx(10.0)
    assert metrics["throughput_ips"].value == pytest.approx(400.0)
    assert metrics["power_w"].value == pytest.approx(10 + 8 / 2)
    assert metrics["energy_mj"].value == pytest.approx(14e3 / 400)
    assert metrics["energy_net_mj"].value == pytest.approx(4e3 / 400)
    assert estimated == ("power_w", "energy_mj", "energy_net_mj")
    assert "disturbed" in flags


@pytest.mark.parametrize(
    ("windows", "tails"),
    [
        (4, []),
        (5, ["latency_p90_ms"]),
        (45, ["latency_p90_ms", "latency_p95_ms"]),
        (46, ["latency_p90_ms", "latency_p95_ms", "latency_p99_ms"]),
    ],
)
def test_a_tail_is_reported_only_with_the_count_it_needs(windows: int, tails: list[str]) -> None:
    metrics, _, _ = derive(measured(windows, meter=DECLARED), 1)
    assert [name for name in metrics if "_p9" in name] == tails


def test_watts_are_integrated_by_trapezoid_over_all_rails() -> None:
    times = np.arange(99.0, 101.0, 0.01)
    ramp = 3.0 + (times - 100.0)  # W
    meter = {"name": "ina", "quantity": "W", "rails": ["a", "b"], "estimated": False}
    series = {"meter_time_s": times, "meter_0": ramp, "meter_1": np.full(len(times), 2.0), "idle_s": [99.2, 99.4]}
    metrics, estimated, flags = derive(measured(5, meter=meter, **{k: list(v) for k, v in series.items()}), 1)
    assert metrics["power_w"].value == pytest.approx(5.25, rel=1e-4), "the mean of 5 … 5.5 W over half a second"
    assert metrics["energy_net_mj"].value == pytest.approx((5.25 - 4.3) * 10, rel=1e-3)
    assert estimated == ()
    assert "few-power-readings" not in flags


def test_a_counter_of_joules_is_read_off_at_the_edges() -> None:
    times = [99.0, 99.9, 100.2, 100.6]
    joules = [(t - 99.0) * 7.5 for t in times]
    meter = {"name": "rapl", "quantity": "J", "rails": ["package-0"], "estimated": False}
    metrics, _, flags = derive(measured(5, meter=meter, meter_time_s=times, meter_0=joules, idle_s=[99.0, 99.0]), 1)
    assert metrics["power_w"].value == pytest.approx(7.5)
    assert {"few-power-readings", "no-idle-baseline"} <= set(flags)


def test_no_meter_means_no_energy_and_a_word_about_it() -> None:
    metrics, estimated, flags = derive(measured(5, meter={"name": "none", "why_not": "no sensor"}), 1)
    assert not {"power_w", "energy_mj", "energy_net_mj"} & set(metrics)
    assert estimated == ()
    assert "no-meter" in flags


def test_a_meter_that_failed_midway_yields_no_energy() -> None:
    broken = measured(5, meter={"name": "rapl", "quantity": "J", "rails": ["p"], "estimated": False})
    broken = Measurement({**broken.header, "sampler_failure": "OSError: 5"}, broken.series)
    metrics, _, flags = derive(broken, 1)
    assert "energy_mj" not in metrics
    assert "meter-failed" in flags
