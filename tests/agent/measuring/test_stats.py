"""The little statistics: trends, memory, intervals that are honest where values resemble their neighbours."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from explorer_agent.measuring import stats


def test_students_t_is_that_of_the_textbook() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    for freedom in (1, 4, 15, 18, 25, 45, 100, 1000):
        exact = scipy_stats.t.ppf(0.975, freedom)
        assert exact * 0.999 <= stats.t95(freedom) <= exact * 1.025, "never narrower"


def test_the_width_of_too_few_or_equal_values() -> None:
    assert stats.relative_half_width([1.0]) == math.inf
    assert stats.relative_half_width([2.0, 2.0, 2.0]) == 0.0
    assert stats.median_half_width([1.0] * 5) == math.inf
    assert stats.median_half_width([1.0] * 6) == 0.0


def test_the_trend_is_kendalls() -> None:
    kendalltau = pytest.importorskip("scipy.stats").kendalltau
    rng = np.random.default_rng(5)
    for values in (rng.normal(size=30), rng.integers(0, 4, 30), np.arange(30) + rng.normal(0, 9, 30)):
        tau, p_value = kendalltau(np.arange(30), values, method="asymptotic")
        found = stats.trend(values.tolist())
        assert math.copysign(1, found) == math.copysign(1, tau)
        ours = math.erfc(abs(found) / math.sqrt(2))
        assert ours == pytest.approx(p_value, abs=0.03), "but for the correction of continuity, which ours has"
    assert stats.trend([1.0] * 8) == 0.0


def test_the_change_is_that_of_a_line_whatever_sticks_out() -> None:
    values = [100.0 + number for number in range(11)]
    values[4] = 900.0
    assert stats.change(values) == pytest.approx(0.095, rel=0.02)


def test_the_quantile_is_numpys() -> None:
    values = np.random.default_rng(1).normal(size=101).tolist()
    for q in (0.0, 0.5, 0.9, 0.99, 1.0):
        assert stats.quantile(values, q) == pytest.approx(np.quantile(values, q))


def test_the_interval_of_the_median_holds_it() -> None:
    rng = np.random.default_rng(3)
    for count in (6, 9, 10, 25, 60):
        draws = np.exp(rng.normal(0, 0.3, (400, count)))
        middles = [float(np.median(row)) for row in draws]
        held = [
            abs(middle - 1) <= 1.35 * stats.median_half_width(row.tolist()) * middle
            for middle, row in zip(middles, draws, strict=True)
        ]
        assert np.mean(held) > 0.92, count


def ar1(memory: float, seed: int) -> NDArray[np.float64]:
    """200 values around 1 with a standard deviation of 3 %."""
    noise = np.random.default_rng(seed).normal(size=200)
    state = noise.copy()
    for place in range(1, len(noise)):
        state[place] = memory * state[place - 1] + math.sqrt(1 - memory**2) * noise[place]
    return np.asarray(1 + 0.03 * state, np.float64)


def stops_within(memory: float, seed: int) -> bool:
    """Whether the truth is within the interval with which windows end, which are looked at one by one."""
    values: list[float] = ar1(memory, seed).tolist()
    for count in range(5, len(values) + 1):
        half_width = stats.relative_half_width(values[:count])
        if half_width <= 0.02 or count == len(values):
            mean = float(np.mean(values[:count]))
            return abs(mean - 1.0) <= half_width * mean
    raise AssertionError


@pytest.mark.parametrize(("memory", "at_least"), [(0.0, 0.92), (0.5, 0.86), (0.8, 0.63)])
def test_it_stops_honestly_although_windows_resemble_their_neighbours(memory: float, at_least: float) -> None:
    held = float(np.mean([stops_within(memory, seed) for seed in range(200)]))
    assert held >= at_least, "a memory as long as five windows is seen only later, but better than not at all (0.5)"
