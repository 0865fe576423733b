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
# To see a sensor's delay: an idle stretch of so many seconds, that begins so soon, and such a drop.
SHOWN_MIN_S, PAUSE_MAX_S, DROP_MIN = 0.25, 0.5, 0.1


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
        """Joules read between `start` and `end`, which `covers` has to find covered; NaN where nothing was told."""
        if not len(self.times):
            return np.full(len(start), np.nan)
        return np.interp(end, self.times, self.joules) - np.interp(start, self.times, self.joules)

    def joules_of(self, start: float, end: float) -> float:
        """The same for one stretch."""
        return float(self.between(np.array([start]), np.array([end]))[0])

    def rise(self, start: Floats, end: Floats) -> Floats:
        """By how many watts the reading at `end` is above the one at `start`."""
        if self.watts is None or not len(self.times):
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
    times, total = _stepped(times, total, work_end(measurement))
    return Curve(times, _trapezoid(times, total), total, asked)


def total_rails(measurement: Measurement) -> list[int]:
    """The rails that make the total: those that the meter's policy names, or all. Older meters told of it in words."""
    told = measurement.meter.get("total")
    return list(told) if isinstance(told, list) else list(range(len(measurement.meter["rails"])))


def delay_s(measurement: Measurement, readings: Curve) -> float:
    """How far the readings lie behind on the average: as the end of the work shows it, else as the meter tells it."""
    if readings.watts is None:
        return 0.0
    shown = shown_delay_s(measurement, readings)
    if shown is not None:
        return shown
    lag_s, means = lag(measurement)
    return lag_s if means.startswith(("mean of", "first order")) else 0.0


def shown_delay_s(measurement: Measurement, readings: Curve) -> float | None:
    """The delay that the readings show when the work ends and power drops at once: what they still tell of the work
    afterwards, over the drop. It is the mean delay of any filter, whatever is told of it. None where there is no idle
    stretch right behind, or next to no drop.
    """
    end, stop = work_end(measurement), float(measurement.series.get("idle_after_s", (0.0, 0.0))[1])
    if readings.watts is None or stop - end < SHOWN_MIN_S or not readings.covers(end, stop):
        return None
    after = max(float(measurement.series["idle_after_s"][0]), stop - (stop - end) / 4)
    idle_w = readings.joules_of(after, stop) / (stop - after)
    last_w = float(np.interp(end, readings.times, readings.watts))
    pause_s = float(measurement.series["idle_after_s"][0]) - end - settle_s(measurement)
    if last_w - idle_w < DROP_MIN * last_w or pause_s > PAUSE_MAX_S:
        return None
    return max(0.0, (readings.joules_of(end, stop) - idle_w * (stop - end)) / (last_w - idle_w))


def lags_more_than_told(measurement: Measurement, readings: Curve) -> bool:
    """Whether the readings fall more slowly at the end of the work than the meter tells, or so slowly that they are
    not seen to arrive.
    """
    shown = shown_delay_s(measurement, readings)
    if shown is None:
        return False
    watched_s = float(measurement.series["idle_after_s"][1]) - work_end(measurement)
    return shown > max(1.3 * lag(measurement)[0], 0.2 * watched_s)


def work_end(measurement: Measurement) -> float:
    """When the last window, or the last turn of a round, ended."""
    ends = [measurement.series[name] for name in ("window_end_s", "block_end_s") if name in measurement.series]
    return max(float(end[-1]) for end in ends if len(end))


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


def _stepped(times: Floats, watts: Floats, end: float) -> tuple[Floats, Floats]:
    """The readings, and two more: the last of the work holds until its `end`, from there on the next one does. That is
    where power drops, not half-way between two readings.
    """
    place = int(np.searchsorted(times, end, side="right"))
    if not 0 < place < len(times):
        return times, watts
    edge = [end, np.nextafter(end, np.inf)]
    return np.insert(times, place, edge), np.insert(watts, place, watts[place - 1 : place + 1])


def _trapezoid(times: Floats, watts: Floats) -> Floats:
    steps = (watts[1:] + watts[:-1]) / 2 * np.diff(times)
    return np.concatenate(([0.0], np.cumsum(steps)))[: len(times)]
