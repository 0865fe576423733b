"""From raw samples to metrics, each with its 95 % interval."""

from __future__ import annotations

from explorer.result import Metric
from explorer.statistics.arrivals import subjects
from explorer.statistics.intervals import BLOCKS_MIN, around, block_length, quantile_interval
from explorer.statistics.measurement import Measurement
from explorer.statistics.power import energy

# MLPerf Inference: with 99 % confidence and no query over the latency, a percentile needs so many queries.
TAILS = {"latency_p90_ms": (0.90, 44), "latency_p95_ms": (0.95, 90), "latency_p99_ms": (0.99, 459)}


def derive(measurement: Measurement, batch: int) -> tuple[dict[str, Metric], tuple[str, ...], tuple[str, ...]]:
    """The metrics that follow from a measurement of batches of `batch` samples.

    Returns:
        Metrics by name; the names of those that come from a declared model instead of a meter; and the reasons for
        doubt.
    """
    latency_ms = measurement.series["latency_s"] * 1e3
    metrics = {"latency_ms": quantile_interval(latency_ms, 0.5), "throughput_ips": _throughput(measurement, batch)}
    for name, (percentile, count) in TAILS.items():
        if len(latency_ms) >= count:
            metrics[name] = quantile_interval(latency_ms, percentile)
    joules, doubts = energy(measurement, batch)
    if block_length(latency_ms <= metrics["latency_ms"].value) * BLOCKS_MIN > len(latency_ms) - BLOCKS_MIN:
        doubts = (*doubts, "few-independent-samples")
    served, late = subjects(measurement)
    doubts = tuple(dict.fromkeys((*measurement.flags, *doubts, *late)))
    return {**metrics, **joules, **served}, tuple(joules) if measurement.estimated else (), doubts


def _throughput(measurement: Measurement, batch: int) -> Metric:
    """Samples per second: all of them over all the time, its interval from the windows."""
    series = measurement.series
    seconds = series["window_end_s"] - series["window_start_s"]
    value = float(series["window_count"].sum() * batch / seconds.sum())
    return around(value, series["window_count"] * batch / seconds)
