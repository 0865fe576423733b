"""Rounds: ratios without what is common, and intervals that contain the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.statistics import Measurement
from explorer.statistics.blocks import Rounds, contrasts, level, ratio


def rounds(seed: int, *, count: int = 12, noise: float = 0.01, drift: float = 0.2) -> Rounds:
    """Engines of 1, 1.2 and 0.9 ms on a board that drifts by `drift` (log) over the rounds."""
    rng = np.random.default_rng(seed)
    common = np.linspace(0, drift, count)[:, None] + rng.normal(0, 0.05, (count, 1))
    return Rounds(np.log([1e-3, 1.2e-3, 0.9e-3]) + common + rng.normal(0, noise, (count, 3)))


def test_a_ratio_is_that_of_the_rounds_and_its_interval_covers() -> None:
    found = [ratio(rounds(seed), 1, 0) for seed in range(400)]
    assert np.median([metric.value for metric in found]) == pytest.approx(1.2, rel=0.002)
    covered = np.mean([(m.low or 0) <= 1.2 <= (m.high or 0) for m in found])
    assert 0.92 <= covered <= 0.99


def test_of_few_rounds_there_is_no_interval() -> None:
    assert level(rounds(1, count=5), 0).low is None
    assert level(rounds(1, count=6), 0).low is not None


def test_contrasts_forget_what_is_common_and_know_their_own_error() -> None:
    truth = np.log([1.0, 1.2, 0.9])
    errors, stated = [], []
    for seed in range(300):
        mean, cov = contrasts(rounds(seed))
        errors.append((mean[1] - mean[0]) - (truth[1] - truth[0]))
        stated.append(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    assert np.mean(errors) == pytest.approx(0, abs=0.001)
    assert 0.9 < np.mean(stated) / np.var(errors) < 1.6, "of few rounds it errs to the wide side"


def test_turns_are_put_where_they_belong() -> None:
    series = {
        "block_round": [0, 0, 1, 1],
        "block_entrant": [1, 0, 0, 1],
        "block_start_s": [0.0, 1.0, 2.0, 3.0],
        "block_end_s": [1.0, 1.5, 2.5, 4.0],
        "block_count": [10, 10, 10, 10],
    }
    taken = Measurement({"entrants": [{}, {}]}, {name: np.array(data, float) for name, data in series.items()})
    assert np.exp(Rounds.of(taken).table) == pytest.approx(np.array([[0.05, 0.1], [0.05, 0.1]]))
