"""What is known of a metric of time or energy: each trial's first reading, and the races it took part in.

trial                      0        1        2        3   …      errors of the logarithm, so shares of the value
first reading           1.79     1.63     1.13     1.43          own interval + what runs differ by, each its own
race 1                           0.000   −0.367                  covariance of the race; its level means nothing:
race 2                           0.000            −0.131         only differences within a race count
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.result import Metric, Record
from explorer.tally import Z_95

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Race = Mapping[str, Any]  # a line of races.jsonl

# Metrics whose errors are shares of their value, and that differ from run to run.
TIMED = (
    "latency_ms",
    "latency_p90_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "throughput_ips",
    "energy_mj",
    "energy_net_mj",
    "power_w",
)
# Those that a race is expected to read while there has been none.
RACED = ("latency_ms", "throughput_ips", "energy_mj")
# Races and trials that came out so are no number at all.
VOID = frozenset({"throttled", "clocks-moved"})
# Flags that say nothing about how far a time may be off.
HARMLESS = frozenset(
    {"clocks-not-locked", "no-meter", "arrival-too-short", "fewer-queries", "no-reference", "no-cuda-graph"}
)
# A doubted reading is taken to differ from run to run by twice as much.
DOUBTED = 4.0


@dataclass(frozen=True)
class Heat:
    """One race as read for one metric: who (places in the list of trials), log readings and their covariance."""

    trials: Ints
    mean: Floats
    cov: Floats


@dataclass(frozen=True)
class Readings:
    """All readings of one metric, in the order of the competing trials; logarithms and their variances.

    Attributes:
        first: of each trial's own measurement ``[n]``.
        within: its variance as its interval tells ``[n]``.
        weight: by how much the variance between runs counts for it ``[n]``: 1, or `DOUBTED`.
        heats: the races.
    """

    name: str
    first: Floats
    within: Floats
    weight: Floats
    heats: tuple[Heat, ...]

    @cached_property
    def raced(self) -> Ints:
        """Places of the trials that raced, ascending."""
        found = np.concatenate([heat.trials for heat in self.heats]) if self.heats else np.empty(0, np.int64)
        return np.asarray(np.unique(found), np.int64)

    def counts(self) -> Ints:
        """How many readings there are of each trial ``[n]``."""
        counts = np.ones(len(self.first), np.int64)
        for heat in self.heats:
            counts[heat.trials] += 1
        return counts


def readings_of(name: str, records: Sequence[Record], races: Iterable[Race]) -> Readings | None:
    """The readings of a metric, or None where it is no positive quantity of time or energy in every record, or was
    read from a table, which is all there will ever be.

    Args:
        name: the metric.
        records: the competing trials; all have the metric.
        races: lines of ``races.jsonl``; those that are void, and trials that do not compete, are passed over.
    """
    metrics = [record.metrics[name] for record in records]
    if name not in TIMED or any(not metric.value > 0 for metric in metrics):
        return None
    if any(name in record.evaluation.recorded for record in records):  # it is what the table says, and nothing else
        return None
    places = {record.number: place for place, record in enumerate(records)}
    heats = (_heat(race["readings"][name], places) for race in races if _counts(race, name))
    return Readings(
        name,
        np.log([metric.value for metric in metrics]),
        np.array([log_variance(metric) for metric in metrics]),
        np.array([DOUBTED if set(record.evaluation.flags) - HARMLESS else 1.0 for record in records]),
        tuple(heat for heat in heats if heat is not None),
    )


def log_variance(metric: Metric) -> float:
    """The variance of the logarithm that a 95 % interval stands for; 0 where the value is exact."""
    if metric.low is None or metric.high is None:
        return 0.0
    above = math.log(max(metric.high / metric.value, 1.0))
    below = math.log(metric.value / metric.low) if 0 < metric.low < metric.value else 0.0
    whole = above + below if metric.low > 0 else 2 * above
    return (whole / (2 * Z_95)) ** 2


def _counts(race: Race, name: str) -> bool:
    return name in race.get("readings", {}) and not VOID & set(race.get("flags", ()))


def _heat(reading: Mapping[str, Any], places: Mapping[int, int]) -> Heat | None:
    """The race among those that compete; nothing can be learnt from fewer than two."""
    mean, cov = np.asarray(reading["mean"], np.float64), np.asarray(reading["cov"], np.float64)
    there = [i for i, number in enumerate(reading["trials"]) if number in places and np.isfinite(mean[i])]
    if len(there) < 2:
        return None
    trials = np.array([places[reading["trials"][i]] for i in there], np.int64)
    return Heat(trials, mean[there], cov[np.ix_(there, there)])
