"""What a race came to: the entrants' logarithms, the common part taken out, with a covariance that is true."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.derivation.race import Entrant, raw_of, readings, readings_of
from explorer.statistics import Measurement

LATENCY_S = (1e-3, 1.2e-3, 0.9e-3)
ENTRANTS = (Entrant(7, batch=1), Entrant(3, batch=4), Entrant(11, batch=1, streams=2))


def raced(seed: int, *, rounds: int = 10, noise: float = 0.01) -> Measurement:
    """Three engines in turns on a board that changes by 20 % from round to round."""
    rng = np.random.default_rng(seed)
    count = rounds * len(LATENCY_S)
    common = np.repeat(rng.normal(0, 0.2, rounds), len(LATENCY_S))
    each = np.tile(LATENCY_S, rounds) * np.exp(common + rng.normal(0, noise, count))
    counts = np.full(count, 20.0)
    ends = np.cumsum(each * counts)
    series = {
        "latency_s": np.empty(0),
        "block_start_s": ends - each * counts,
        "block_end_s": ends,
        "block_count": counts,
        "block_cpu_s": each * counts,
        "block_latency_s": np.repeat(each, 20),
        "block_round": np.repeat(np.arange(float(rounds)), len(LATENCY_S)),
        "block_entrant": np.tile([0.0, 1.0, 2.0], rounds),
    }
    meter = {"name": "declared", "quantity": "model", "rails": [], "idle_w": 2.0, "busy_core_w": 8.0}
    return Measurement({"flags": [], "estimated": True, "meter": meter, "entrants": [{}] * 3}, series)


def test_entrants_differ_by_what_they_do_and_not_by_what_the_board_did() -> None:
    found = readings(raced(1, rounds=40), ENTRANTS)
    assert sorted(found) == ["energy_mj", "energy_net_mj", "latency_ms", "throughput_ips"]
    for name, expected in (
        ("latency_ms", np.log([1.0, 1.2, 1.8])),  # two at once: each waits for the other
        ("throughput_ips", np.log([1 / 1.0, 4 / 1.2, 1 / 0.9])),
        ("energy_mj", np.log([10.0, 12.0 / 4, 9.0])),
        ("energy_net_mj", np.log([8.0, 9.6 / 4, 7.2])),
    ):
        told = found[name]
        assert told["trials"] == [7, 3, 11]
        assert told["mean"] == pytest.approx(expected - expected.mean(), abs=0.008), name


def test_the_stated_covariance_is_that_of_many_races() -> None:
    told = [readings(raced(seed), ENTRANTS)["latency_ms"] for seed in range(400, 800)]
    seen = np.cov([one["mean"] for one in told], rowvar=False)
    stated = np.mean([one["cov"] for one in told], axis=0)
    assert 0.85 < np.trace(stated) / np.trace(seen) < 1.2


def test_of_too_few_rounds_nothing_is_told() -> None:
    assert readings(raced(1, rounds=5), ENTRANTS) == {}
    assert readings(raced(1, rounds=6), ENTRANTS) != {}


def test_what_is_kept_gives_the_same_readings_bit_for_bit() -> None:
    measurement = raced(2)
    assert readings_of(raw_of(measurement, ENTRANTS)) == readings(measurement, ENTRANTS)
