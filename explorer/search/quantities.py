"""What a study's metrics are to a sampler: logarithms where ratios matter, and on what each can depend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from explorer.result import Constraint, Metric, Objective, Record
from explorer.space import NETWORK_AXES, TRAINING_AXES
from explorer.tally import Z_95

# Metrics that are positive and matter by ratio: the sampler sees their logarithm.
LOGARITHMIC = ("throughput_ips", "latency_", "energy_", "power_w", "model_mb", "params", "macs")

TIMED = ("throughput_ips", "latency_", "energy_", "power_w")  # whose runs differ

# Metrics that come of running an engine, or of its file; every other is counted from its outputs, which its speed does
# not change.
OF_THE_ENGINE = (*LOGARITHMIC, "subjects_")
# Whose luck scores share: a checkpoint's, and that of a network that runs in one precision.
OF_NETWORKS = (TRAINING_AXES, NETWORK_AXES)
SCORES = ("accuracy", "output_error")  # what a recorded table calls so is one
# By what a model says of this metric scores are compared, instead of by these axes, from which it follows: an accuracy
# falls where too little of the network is left, whether it was cut by more or rounded to less.
SIZE, SIZED_BY = "macs", ("prune_ratio", "round_to")
_FLAT = 1e-9
_LEAST = 1e-6  # in any unit: what is less counts as this, so that nothing has a logarithm, beyond all that is measured


def scaled(metric: str, value: float) -> float:
    """The value as samplers see it: its logarithm where ratios matter."""
    return math.log(max(value, _LEAST)) if metric.startswith(LOGARITHMIC) else value


def value_of(objective: Objective, record: Record) -> float | None:
    """As the sampler sees it."""
    metric = record.metrics.get(objective.metric)
    return None if metric is None else _value_and_sd(objective.metric, metric)[0]


def gain_and_sd(objective: Objective, metric: Metric | None) -> tuple[float, float]:
    """As the sampler sees it, larger is better; NaN where it was not measured."""
    if metric is None:
        return math.nan, 0.0
    value, sd = _value_and_sd(objective.metric, metric)
    return objective.gain(value), sd


def _value_and_sd(name: str, metric: Metric) -> tuple[float, float]:
    """As samplers see them. What cannot be told from nothing, as a net energy may be, counts as its own standard
    deviation: less than that is luck, and its logarithm would be far off.
    """
    sd = 0.0 if metric.low is None or metric.high is None else (metric.high - metric.low) / (2 * Z_95)
    if not name.startswith(LOGARITHMIC):
        return metric.value, sd
    value = max(metric.value, sd, _LEAST)
    if metric.low is not None and metric.high is not None and metric.low > 0:
        return math.log(value), math.log(metric.high / metric.low) / (2 * Z_95)
    return math.log(value), sd / value


def violation_of(constraint: Constraint, record: Record) -> float | None:
    metric = record.metrics.get(constraint.metric)
    return None if metric is None else constraint.violation(metric.value)


def sizes_by_model(told: Sequence[Mapping[str, float]]) -> NDArray[np.float64] | None:
    """How large a model says each candidate's network is ``[candidates]``; None where that tells none from another."""
    sizes = np.array([one.get(SIZE, math.nan) for one in told])
    return sizes if sizes.size and np.isfinite(sizes).all() and np.ptp(sizes) > 0 else None


def foretold_by_model(metric: str, told: Sequence[Mapping[str, float]]) -> NDArray[np.float64] | None:
    """What a model says of a metric of every candidate, at mean 0 and variance 1; None where it says nothing."""
    values = np.array([scaled(metric, one.get(metric, math.nan)) for one in told])
    if not values.size or not np.isfinite(values).all() or np.ptp(values) <= _FLAT * np.abs(values).max():
        return None
    return np.asarray((values - values.mean()) / values.std())
