"""Watts and joules of a measurement: from a meter's readings, or from what is declared of the machine.

        idle      load, warm-up      windows                        idle
    ├─────────┤├───────────────┤├──────┬──────┬ … ┬──────┤├╌╌╌╌╌╌┤├─────────┤
       before   └── settle ──┘    those of a slow sensor's   settle    after
                                  lead-in are not used

Energy a sample = energy of the windows used / samples completed in these same windows. The net figure has what the
idle board would have drawn taken off, interpolated between before and after; what reading the meter costs is in both
and drops out of it. A rail of the total that does not answer leaves no number at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from explorer.result import Metric
from explorer.statistics.intervals import around, block_length, t95
from explorer.statistics.measurement import Floats, Measurement
from explorer.statistics.readings import (
    Curve,
    curve,
    delay_s,
    lag,
    lags_more_than_told,
    settle_s,
    step_w,
    total_rails,
)

READINGS_MIN = 50  # of a power meter, for an integral worth its name
LAGS_MIN = 5  # so many lags a measurement must last
GAP_MAX = 0.1  # share of the windows that may lie between two readings
IDLE_MIN_S = 0.05

Doubts = tuple[str, ...]


@dataclass(frozen=True)
class Account:
    """What was drawn, window by window. `read` are the joules as the sensor told them, its lag not undone: their total
    differs a little at the edges, but no window's noise is blown up. `step_w`: what the sensor cannot tell apart.
    """

    used: slice
    joules: Floats
    read: Floats
    idle_w: Floats | None
    idle_half_w: float = 0.0
    step_w: float = 0.0
    block_s: float = 0.0  # windows nearer to each other than that are not independent


def energy(measurement: Measurement, batch: int) -> tuple[dict[str, Metric], Doubts]:
    """Power, energy a sample, and that above idle; those that cannot be known are missing, and the reason is told.

    Args:
        measurement: as taken.
        batch: samples an inference.

    Returns:
        ``power_w`` (W), ``energy_mj`` and ``energy_net_mj`` (mJ a sample), and reasons for doubt.
    """
    if measurement.meter["name"] == "none":
        return {}, ("no-meter",)
    if _failure(measurement):
        return {}, ("meter-failed",)
    account, doubts = _declared(measurement) if measurement.estimated else _metered(measurement)
    return ({}, doubts) if account is None else (_metrics(measurement, account, batch), doubts)


def rail_watts(measurement: Measurement) -> dict[str, float | None]:
    """Mean watts of each rail over all windows; None for one that did not answer."""
    start, end = _span(measurement, slice(None))
    found: dict[str, float | None] = {}
    for number, name in enumerate(measurement.meter.get("rails", ())):
        readings = curve(measurement, [number])
        joules = _undone(measurement, readings, np.array([start]), np.array([end]))
        found[name] = float(joules[0]) / (end - start) if readings.covers(start, end) else None
    return found


def _failure(measurement: Measurement) -> str:
    return str(measurement.header.get("sampler_failure") or "")


def _metrics(measurement: Measurement, account: Account, batch: int) -> dict[str, Metric]:
    seconds = _seconds(measurement)[account.used]
    samples = measurement.series["window_count"][account.used] * batch
    at_least = max(1, math.ceil(account.block_s / float(np.median(seconds))))
    floor_w = account.step_w / 2
    watts = _ratio(account.joules, account.read, seconds, at_least)
    joules = _ratio(account.joules, account.read, samples, at_least)
    each_s = float(seconds.sum() / samples.sum())
    found = {"power_w": _widened(watts, floor_w), "energy_mj": _scaled(_widened(joules, floor_w * each_s))}
    if account.idle_w is not None:
        idle = account.idle_w * seconds
        net = _ratio(account.joules - idle, account.read - idle, samples, at_least)
        half_w = math.hypot(account.idle_half_w, floor_w, floor_w)  # both levels are known to half a step
        found["energy_net_mj"] = _scaled(_widened(net, half_w * each_s))
    return found


def _ratio(joules: Floats, read: Floats, base: Floats, at_least: int) -> Metric:
    """Joules for one of `base`, its interval by Student's t over blocks of windows that are long enough to be
    independent of each other.
    """
    value = float(joules.sum() / base.sum())
    length = max(1, min(max(at_least, block_length(read / base)), len(base) // 2))
    blocks = len(base) // length
    sums = [np.add.reduceat(series, np.arange(blocks) * length) for series in (read, base)]
    return around(value, sums[0] / sums[1])


def _widened(metric: Metric, half: float) -> Metric:
    """`metric` with an error of `half` beside the one it has."""
    if metric.low is None or metric.high is None or half == 0:
        return metric
    down, up = (math.hypot(metric.value - metric.low, half), math.hypot(metric.high - metric.value, half))
    return Metric(metric.value, metric.value - down, metric.value + up)


def _scaled(metric: Metric) -> Metric:
    """J as mJ."""
    low, high = (None if edge is None else edge * 1e3 for edge in (metric.low, metric.high))
    return Metric(metric.value * 1e3, low, high)


def _declared(measurement: Measurement) -> tuple[Account, Doubts]:
    """The declared model: idle watts, and those of each busy core."""
    idle_w, busy_core_w = float(measurement.meter["idle_w"]), float(measurement.meter["busy_core_w"])
    seconds = _seconds(measurement)
    joules = idle_w * seconds + busy_core_w * measurement.series["window_cpu_s"]
    return Account(slice(None), joules, joules, np.full(len(seconds), idle_w)), ()


def _metered(measurement: Measurement) -> tuple[Account | None, Doubts]:
    used, long_enough = _used(measurement)
    start, end = _span(measurement, used)
    readings = curve(measurement, total_rails(measurement))
    if not readings.reaches(start, end):
        return None, ("meter-failed",)
    if not readings.covers(start, end):
        return None, ("rail-missing",)
    starts, ends = measurement.series["window_start_s"][used], measurement.series["window_end_s"][used]
    read = readings.between(starts, ends)
    joules = _undone(measurement, readings, starts, ends)
    idle_w, idle_half_w = _idle(measurement, readings, (starts + ends) / 2)
    doubts = [
        ("power-lags", not long_enough or lags_more_than_told(measurement, readings)),
        ("few-power-readings", _too_few(readings, start, end)),
        ("no-idle-baseline", idle_w is None),
    ]
    account = Account(
        used, joules, read, idle_w, idle_half_w, step_w(measurement, start, end), block_s=lag(measurement)[0]
    )
    return account, tuple(doubt for doubt, raised in doubts if raised)


def _undone(measurement: Measurement, readings: Curve, starts: Floats, ends: Floats) -> Floats:
    """Joules between `starts` and `ends`, without what the sensor's lag made of them."""
    return readings.between(starts, ends) + delay_s(measurement, readings) * readings.rise(starts, ends)


def _used(measurement: Measurement) -> tuple[slice, bool]:
    """The windows whose readings remember nothing from before the work began, and whether they last long enough; all
    of them when they would not.

    A first-order filter needs no lead-in: it is undone exactly.
    """
    header, series = measurement.header, measurement.series
    lag_s, means = lag(measurement)
    begun = (
        float(series.get("idle_s", (0.0, 0.0))[1])
        + float(header.get("load_s", 0.0))
        + float(header.get("first_s", 0.0))
    )
    lead_in_s = 0.0 if means.startswith("first order") else settle_s(measurement)
    first = int(np.searchsorted(series["window_start_s"], begun + lead_in_s))
    seconds = _seconds(measurement)[first:]
    enough = len(seconds) >= min(2, measurement.windows) and bool(seconds.sum() >= LAGS_MIN * lag_s)
    return (slice(first, None), True) if enough else (slice(None), False)


def _too_few(readings: Curve, start: float, end: float) -> bool:
    inside = readings.inside(start, end)
    if readings.watts is None:  # a counter misses nothing between two readings
        return len(inside) < READINGS_MIN
    return len(inside) < READINGS_MIN or bool(np.diff(inside).max() > GAP_MAX * (end - start))


def _idle(measurement: Measurement, readings: Curve, middles: Floats) -> tuple[Floats | None, float]:
    """What the idle board drew, interpolated to the middle of each window, and half its 95 % interval; None when it
    was not measured.
    """
    after = float(measurement.series["window_end_s"][-1]) + settle_s(measurement)
    found: list[tuple[float, float, float]] = []
    for name, earliest in (("idle_s", -math.inf), ("idle_after_s", after)):
        start, end = measurement.series.get(name, (0.0, 0.0))
        start = max(float(start), earliest)
        if end - start > IDLE_MIN_S and readings.covers(start, end):
            watts = readings.joules_of(start, end) / (end - start)
            found.append(((start + end) / 2, watts, _half(measurement, readings, start, end)))
    if not found:
        return None, 0.0
    times, levels, halves = np.array(found).T
    return np.interp(middles, times, levels), float(np.hypot.reduce(halves) / len(halves))


def _half(measurement: Measurement, readings: Curve, start: float, end: float) -> float:
    """Half the 95 % interval of mean watts from `start` to `end`, of readings that the sensor's lag makes alike."""
    if readings.watts is None:
        return 0.0
    inside = readings.watts[(readings.times >= start) & (readings.times <= end)]
    if len(inside) < 2:
        return 0.0
    alike = 1 + int(2 * lag(measurement)[0] / (end - start) * len(inside))
    independent = max(2, len(inside) // max(alike, block_length(inside)))
    return t95(independent - 1) * float(inside.std(ddof=1)) / math.sqrt(independent)


def _seconds(measurement: Measurement) -> Floats:
    return np.asarray(measurement.series["window_end_s"] - measurement.series["window_start_s"], np.float64)


def _span(measurement: Measurement, used: slice) -> tuple[float, float]:
    return float(measurement.series["window_start_s"][used][0]), float(measurement.series["window_end_s"][used][-1])
