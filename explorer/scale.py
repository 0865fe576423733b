"""Equal boards are never quite equal: each is measured against its own reference engine, and brought to one scale.

    first board    reference 10.0 ± 0.1 ms ─────────── the scale of the study
    second board   reference 10.9 ± 0.1 ms ── apart ─► its times are multiplied by 10.0 / 10.9, less sure by both ±
    third board    reference 10.1 ± 0.1 ms ── overlap ─ taken as they are

Only metrics of time and of energy are brought to scale; the raw measurement stays as it was taken.

The same engine, measured beside a candidate, tells of drift: how far the board has moved since the study's first
reading. That is cancelled for times where it is seen to be common to both, and left where it is not. Where a reading
lies beyond the limits of those before it, the board was out of control, and what was measured then is flagged.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from explorer.result import Metric

Metrics = Mapping[str, Metric]

# What depends on how fast a board is and on what it draws. A tail that the reference has too few samples for goes with
# the median.
SCALED = ("latency_ms", "throughput_ips", "energy_mj", "energy_net_mj", "power_w")
_GO_WITH = {"latency_p90_ms": "latency_ms", "latency_p95_ms": "latency_ms", "latency_p99_ms": "latency_ms"}
JUDGED_BY = 8  # readings before one can be out of control
_SIGMAS = 3.0
_MAD = 1.4826  # a normal's standard deviation in median absolute deviations


@dataclass(frozen=True)
class Ratio:
    """What a metric is multiplied by, and the half-width of its 95 % interval as a share of it."""

    value: float
    share: float


@dataclass(frozen=True)
class Scale:
    """How one board's metrics are brought to the first board's; without a ratio a metric is taken as it is.

    Attributes:
        ratios: by metric.
        unknown: the board has no reference to compare.
    """

    ratios: Mapping[str, Ratio] = field(default_factory=dict)
    unknown: bool = False

    @property
    def doubts(self) -> tuple[str, ...]:
        """Flags for whatever is measured on this board."""
        return ("no-reference",) if self.unknown else ()

    def apply(self, metrics: Metrics) -> tuple[dict[str, Metric], dict[str, float]]:
        """The metrics on the first board's scale, and by what each was multiplied that was."""
        scaled = {name: ratio for name in metrics if (ratio := self.ratios.get(_GO_WITH.get(name, name)))}
        moved = {name: _multiplied(metrics[name], ratio) for name, ratio in scaled.items()}
        return {**metrics, **moved}, {name: ratio.value for name, ratio in scaled.items()}


def drift(reference: Metric, *, level: Metric) -> Scale:
    """The scale of a trial beside which the reference yielded `reference`, and `level` where the study's scale was set;
    both latencies, ms.
    """
    if not _apart(reference, level):
        return Scale()
    slower = _ratio(reference, level)
    return Scale({"latency_ms": slower, "throughput_ips": Ratio(1 / slower.value, slower.share)})


@dataclass(frozen=True)
class Limits:
    """Where readings of the reference engine are to lie."""

    centre: float
    low: float
    high: float

    def leaves_out(self, reading: Metric) -> bool:
        """Whether all of a reading's interval lies beyond."""
        low, high = (reading.value if edge is None else edge for edge in (reading.low, reading.high))
        return high < self.low or low > self.high


def limits(readings: Sequence[Metric]) -> Limits:
    """Three standard deviations of the logarithm on either side of the median, the deviation estimated by the median
    absolute one, so that what is out of control does not widen them (Shewhart's limits, 1931, made robust).
    """
    logs = [math.log(reading.value) for reading in readings]
    centre = statistics.median(logs)
    reach = _SIGMAS * _MAD * statistics.median(abs(value - centre) for value in logs)
    return Limits(math.exp(centre), math.exp(centre - reach), math.exp(centre + reach))


@dataclass
class Past:
    """What the reference engine has yielded beside trials, ms, in the order of time.

    Attributes:
        first: the board on whose scale a study is.
    """

    first: str = ""
    _readings: dict[tuple[str, str], list[Metric]] = field(default_factory=dict)

    def keep(self, board: str, mode: str, reading: Metric) -> None:
        self._readings.setdefault((board, mode), []).append(reading)

    def level(self, mode: str) -> Metric | None:
        """What it yielded where the study's scale was set, in this power mode; None before that."""
        return next(iter(self._readings.get((self.first, mode), ())), None)

    def limits(self, board: str, mode: str) -> Limits | None:
        """Where a board's readings have lain so far; None while there are too few."""
        readings = self._readings.get((board, mode), ())
        return limits(readings) if len(readings) >= JUDGED_BY else None


def scale_of(reference: Metrics, *, first: Metrics) -> Scale:
    """The scale of a board whose reference engine yielded `reference`, where the first board's yielded `first`."""
    both = [name for name in SCALED if name in reference and name in first]
    return Scale({name: _ratio(reference[name], first[name]) for name in both if _apart(reference[name], first[name])})


def _apart(one: Metric, other: Metric) -> bool:
    """Whether two intervals do not overlap; values without an interval, or that are no share of another, never are."""
    if None in (one.low, one.high, other.low, other.high) or one.value <= 0 or other.value <= 0:
        return False
    return bool(one.high < other.low or other.high < one.low)  # type: ignore[operator]  # None was excluded


def _ratio(own: Metric, first: Metric) -> Ratio:
    return Ratio(first.value / own.value, math.hypot(_share(first), _share(own)))


def _share(metric: Metric) -> float:
    """The wider half of the interval as a share of the value."""
    low, high = metric.low, metric.high
    assert low is not None
    assert high is not None
    return max(high - metric.value, metric.value - low) / metric.value


def _multiplied(metric: Metric, ratio: Ratio) -> Metric:
    """The product; its halves widen by the ratio's, as those of independent errors do (first order)."""
    value, unsure = metric.value * ratio.value, metric.value * ratio.value * ratio.share
    if metric.low is None or metric.high is None:
        return Metric(value, value - abs(unsure), value + abs(unsure))
    below, above = ((metric.value - metric.low) * ratio.value, (metric.high - metric.value) * ratio.value)
    return Metric(value, value - math.hypot(below, unsure), value + math.hypot(above, unsure))
