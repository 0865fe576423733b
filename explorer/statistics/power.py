"""Watts and joules of a measurement: from a meter's readings, or from what is declared of the machine."""

from __future__ import annotations

import numpy as np

from explorer.result import Metric
from explorer.statistics.intervals import around
from explorer.statistics.measurement import Floats, Measurement

READINGS_MIN = 50  # of a power meter, for an integral worth its name


def energy(measurement: Measurement, batch: int) -> tuple[dict[str, Metric], tuple[str, ...]]:
    """Power, energy a sample, and that above idle; nothing, and the reason, where there is no meter."""
    series = measurement.series
    seconds = series["window_end_s"] - series["window_start_s"]
    samples = series["window_count"] * batch
    if measurement.meter["name"] == "none":
        return {}, ("no-meter",)
    if measurement.header.get("sampler_failure"):
        return {}, ("meter-failed",)
    joules, idle_w, doubts = _declared(measurement, seconds) if measurement.estimated else _metered(measurement)
    net = joules - idle_w * seconds
    return {
        "power_w": around(float(joules.sum() / seconds.sum()), joules / seconds),
        "energy_mj": around(float(joules.sum() / samples.sum()) * 1e3, joules / samples * 1e3),
        "energy_net_mj": around(float(net.sum() / samples.sum()) * 1e3, net / samples * 1e3),
    }, doubts


def _declared(measurement: Measurement, seconds: Floats) -> tuple[Floats, float, tuple[str, ...]]:
    """Joules a window by the declared model, and the idle watts in it."""
    idle_w, busy_core_w = float(measurement.meter["idle_w"]), float(measurement.meter["busy_core_w"])
    return idle_w * seconds + busy_core_w * measurement.series["window_cpu_s"], idle_w, ()


def _metered(measurement: Measurement) -> tuple[Floats, float, tuple[str, ...]]:
    """Joules a window by the meter's readings, all rails together, and the idle watts of the stretch before."""
    series, times = measurement.series, measurement.series["meter_time_s"]
    total = np.sum([series[f"meter_{rail}"] for rail in range(len(measurement.meter["rails"]))], axis=0)
    if measurement.meter["quantity"] == "W":  # trapezoid
        total = np.concatenate(([0.0], np.cumsum((total[1:] + total[:-1]) / 2 * np.diff(times))))
    starts, ends = (np.interp(series[name], times, total) for name in ("window_start_s", "window_end_s"))
    edges = np.interp(series["idle_s"], times, total)
    idle_s = float(np.diff(series["idle_s"])[0])
    idle_w = float(edges[1] - edges[0]) / idle_s if idle_s > 0.05 else 0.0
    inside = (times >= series["window_start_s"][0]) & (times <= series["window_end_s"][-1])
    doubts = [("few-power-readings", inside.sum() < READINGS_MIN), ("no-idle-baseline", idle_s <= 0.05)]
    return ends - starts, idle_w, tuple(doubt for doubt, raised in doubts if raised)
