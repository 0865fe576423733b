"""What a meter read, as a curve: the total of its rails over time, and what lies between two times.

    watts ▲      ·  ·  ·                 readings, at their own times; trapezoids between them
          │   ·  ┌──┬──┬  ·  NaN         a reading that one rail did not give is left out, and bridged if it is short
          │ ·    │  │  │     ·   ·
          └──────┴──┴──┴──────────► s    windows: energy = area + delay · (watts at the end − watts at the start)

The last term undoes how a sensor smooths. A first-order filter of time constant τ makes r of p with p = r + τ r', so
that with delay τ it is exact; for the mean of the last W seconds, which lies W / 2 behind, it is exact where power is
steady at both edges; a mean that is held until the next one is ready lies W behind on the average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from explorer.statistics.measurement import Floats, Measurement

BRIDGED = 4  # readings that may be missing in a row
MISSING_MAX = 0.1  # share of the readings that may be missing at all


@dataclass(frozen=True)
class Curve:
    """Readings of a total: `times` in s; `joules` counted up to then; `watts` where the meter tells them. `asked` are
    the times of all readings, those without an answer too.
    """

    times: Floats
    joules: Floats
    watts: Floats | None
    asked: Floats

    def between(self, start: Floats, end: Floats) -> Floats:
        """Joules read between `start` and `end`, which `covers` has found to be covered."""
        return np.interp(end, self.times, self.joules) - np.interp(start, self.times, self.joules)

    def rise(self, start: Floats, end: Floats) -> Floats:
        """By how many watts the reading at `end` is above the one at `start`."""
        if self.watts is None:
            return np.zeros(len(start))
        return np.interp(end, self.times, self.watts) - np.interp(start, self.times, self.watts)

    def inside(self, start: float, end: float) -> Floats:
        """The times of the readings from `start` to `end`."""
        return self.times[(self.times >= start) & (self.times <= end)]

    def reaches(self, start: float, end: float) -> bool:
        """Whether the meter was asked from before `start` until after `end`."""
        return len(self.asked) > 1 and bool(self.asked[0] <= start and self.asked[-1] >= end)

    def covers(self, start: float, end: float) -> bool:
        """Whether it answered all that time, but for what can be bridged."""
        if len(self.times) < 2 or self.times[0] > start or self.times[-1] < end:
            return False
        first, last = np.searchsorted(self.times, [start, end], side="right")
        steps = np.diff(np.searchsorted(self.asked, self.times[max(first - 1, 0) : last + 1]))
        asked = np.count_nonzero((self.asked >= start) & (self.asked <= end))
        missing = asked - len(self.inside(start, end))
        return bool(steps.max(initial=1) <= BRIDGED + 1 and missing <= MISSING_MAX * asked)


def curve(measurement: Measurement, rails: list[int]) -> Curve:
    """The sum of `rails`, by their indexes."""
    series, asked = measurement.series, measurement.series["meter_time_s"]
    total = np.sum([series[f"meter_{rail}"] for rail in rails], axis=0) if rails else np.full(len(asked), np.nan)
    answered = np.isfinite(total)
    times, total = asked[answered], total[answered]
    if measurement.meter["quantity"] == "J":
        return Curve(times, total, None, asked)
    return Curve(times, _trapezoid(times, total), total, asked)


def total_rails(measurement: Measurement) -> list[int]:
    """The rails that make the total: those that the meter's policy names, or all."""
    meter = measurement.meter
    return list(meter.get("total", range(len(meter["rails"]))))


def delay_s(measurement: Measurement, readings: Curve, start: float, end: float) -> float:
    """How far the readings lie behind on the average, by what the meter says of its filter; 0 where it does not know.

    Whether a mean is held until the next one, or moves along, is seen from the readings: held, each rail changes once
    in its length.
    """
    lag_s, means = lag(measurement)
    if readings.watts is None or lag_s <= 0 or not means.startswith(("mean of", "first order")):
        return 0.0
    if means.startswith("first order"):
        return lag_s
    inside = (readings.times >= start) & (readings.times <= end)
    changes = np.count_nonzero(np.diff(readings.watts[inside]))
    held = 2 * len(total_rails(measurement)) * ((end - start) / lag_s + 1)
    return lag_s if changes <= min(held, inside.sum() / 2) else lag_s / 2


def lag(measurement: Measurement) -> tuple[float, str]:
    """How far a reading may lie behind, and by which filter; 0 for a meter that does not say."""
    return float(measurement.meter.get("lag_s") or 0.0), str(measurement.meter.get("lag_means") or "")


def settle_s(measurement: Measurement) -> float:
    """How long after a change of power a reading may still remember what was before."""
    return float(measurement.meter.get("settle_s") or 2 * lag(measurement)[0])


def step_w(measurement: Measurement, start: float, end: float) -> float:
    """What the sensors of the total cannot tell apart between `start` and `end`, all together.

    Nothing for a rail whose readings moved over several steps: their mean is finer than a step, and their spread is in
    the interval already.
    """
    steps, times = measurement.meter.get("step_w") or (), measurement.series["meter_time_s"]
    inside, total = (times >= start) & (times <= end), 0.0
    for rail in total_rails(measurement) if steps else ():
        watts = measurement.series[f"meter_{rail}"][inside]
        step = float(steps[rail] or 0.0)
        total = math.hypot(total, step if float(np.nanmax(watts) - np.nanmin(watts)) < 2 * step else 0.0)
    return total


def _trapezoid(times: Floats, watts: Floats) -> Floats:
    steps = (watts[1:] + watts[:-1]) / 2 * np.diff(times)
    return np.concatenate(([0.0], np.cumsum(steps)))[: len(times)]
