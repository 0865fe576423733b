"""From what is kept of a trial to its numbers: one pure function, for the trial itself and for whoever checks it later.

    raw/0007.json.gz         series as taken, and what else counts: batch, sizes, the scale      ─┐
    raw/0007.score.json.gz   the counts behind the scores                                        ─┴─► metrics, flags, …

Nothing else goes in: no clock, no board, no data. So every figure of a record can be derived again, bit for bit, from
what lies beside it (`explorer report --recompute`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from explorer.result import Metric
from explorer.scale import Limits, Ratio, Scale, drift
from explorer.statistics import Measurement, blocks, derive
from explorer.tally import Tally

# How figures follow from what is kept. 1: batch, sizes and scale were not kept beside the series. 2: they are.
DERIVATION = 2
# A measurement that says one of these is never a number.
VOID = ("throttled", "clocks-moved")
# Another processor's last bit must not show.
DIGITS = 10

Metrics = dict[str, Metric]
Score = Mapping[str, Tally | Metric]


@dataclass(frozen=True)
class Given:
    """What the figures of a trial follow from beside its series and its score.

    Attributes:
        batch: samples an inference.
        exact: sizes and counts: model_mb, params, macs.
        scale: how the board's numbers are brought to the first board's.
        level: what the reference engine yields where the study's scale was set, ms; None where nothing is compared.
        limits: between which its readings have been so far, ms; None while there are too few.
        doubts: flags that the measurement itself does not know of.
    """

    batch: int = 1
    exact: Mapping[str, float] = field(default_factory=dict)
    scale: Scale = field(default_factory=Scale)
    level: Metric | None = None
    limits: Limits | None = None
    doubts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "format": DERIVATION,
            "batch": self.batch,
            "exact": dict(self.exact),
            "scale": {name: [ratio.value, ratio.share] for name, ratio in self.scale.ratios.items()},
            "scale_unknown": self.scale.unknown,
            "level": self.level.to_json() if self.level else None,
            "limits": asdict(self.limits) if self.limits else None,
            "doubts": list(self.doubts),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Given:
        """What `to_json` has written.

        Raises:
            KeyError: a field is missing.
        """
        ratios = {name: Ratio(*ratio) for name, ratio in data["scale"].items()}
        level = Metric.from_json(data["level"]) if data["level"] else None
        scale = Scale(ratios, unknown=data["scale_unknown"])
        limits = Limits(**data["limits"]) if data["limits"] else None
        return cls(data["batch"], data["exact"], scale, level, limits, tuple(data["doubts"]))


@dataclass(frozen=True)
class Derived:
    """What a record says, and why it may be doubted."""

    metrics: Metrics
    estimated: tuple[str, ...]
    simulated: tuple[str, ...]
    flags: tuple[str, ...]
    scaled: Mapping[str, float]

    @property
    def void(self) -> tuple[str, ...]:
        """The flags by which this is no measurement at all."""
        return tuple(flag for flag in self.flags if flag in VOID)


def derived(measurement: Measurement, given: Given, score: Score | None = None) -> Derived:
    """The figures of a trial; without a score, those that need none."""
    metrics, estimated, flags = derive(measurement, batch=given.batch)
    simulated = tuple(metrics) if measurement.simulated else ()
    metrics, scaled = _scale(measurement, metrics, given).apply(metrics)
    metrics |= {name: Metric(value) for name, value in given.exact.items()}
    doubts = (*flags, *given.scale.doubts, *_beyond(measurement, given), *given.doubts)
    told = figures({**metrics, **(score or {})})
    return Derived(told, estimated, simulated, tuple(dict.fromkeys(doubts)), scaled)


def figures(score: Score) -> Metrics:
    """What counts and metrics come to, as they are recorded."""
    return {name: rounded(told.metric() if isinstance(told, Tally) else told) for name, told in score.items()}


def _beyond(measurement: Measurement, given: Given) -> tuple[str, ...]:
    """Whether the reference beside it lay where it never did before."""
    reference = reference_level(measurement)
    beyond = reference is not None and given.limits is not None and given.limits.leaves_out(reference)
    return ("out-of-control",) if beyond else ()


def _scale(measurement: Measurement, metrics: Metrics, given: Given) -> Scale:
    """The board's scale; for times that of the reference beside, where its drift is common to the candidate too."""
    reference = reference_level(measurement)
    if reference is None or given.level is None or not _common(measurement, metrics):
        return given.scale
    others = {n: r for n, r in given.scale.ratios.items() if n not in ("latency_ms", "throughput_ips")}
    return replace(given.scale, ratios=others | dict(drift(reference, level=given.level).ratios))


def _common(measurement: Measurement, metrics: Metrics) -> bool:
    """Whether the board did the same to candidate and reference: their ratio is steadier than the candidate alone,
    which in its turns was as fast as in its windows.
    """
    rounds = blocks.Rounds.of(measurement)
    alone, ratio, windows = blocks.level(rounds, 0), blocks.ratio(rounds, 0, 1), metrics["latency_ms"]
    edges = (alone.low, alone.high, ratio.low, ratio.high, windows.low, windows.high)
    if any(edge is None for edge in edges):
        return False
    low, high, ratio_low, ratio_high, windows_low, windows_high = (float(edge or 0.0) for edge in edges)
    steadier = (ratio_high - ratio_low) / ratio.value < (high - low) / alone.value
    return steadier and windows_low <= high and low <= windows_high


def reference_level(measurement: Measurement) -> Metric | None:
    """What the reference engine beside yielded, ms; None where there was none."""
    if len(measurement.header.get("entrants", ())) < 2 or not len(measurement.series.get("block_round", ())):
        return None
    return blocks.level(blocks.Rounds.of(measurement), 1)


def rounded(metric: Metric) -> Metric:
    """To as many digits as every processor agrees on."""

    def short(value: float | None) -> float | None:
        return None if value is None else float(f"{value:.{DIGITS}g}")

    return Metric(float(f"{metric.value:.{DIGITS}g}"), short(metric.low), short(metric.high))


def raw_of(measurement: Measurement, given: Given) -> dict[str, Any]:
    """What is kept of a measurement, as plain JSON."""
    return {**measurement.raw, "derivation": given.to_json()}


def of_raw(raw: Mapping[str, Any], score: Score | None = None) -> Derived | None:
    """The figures that follow from what was kept; None where an older program did not keep all they follow from."""
    if "derivation" not in raw:
        return None
    return derived(Measurement.of_raw(raw), Given.from_json(raw["derivation"]), score)


def score_json(score: Score) -> dict[str, Any]:
    """A score as plain JSON."""
    return {name: told.to_json() for name, told in score.items()}


def score_of(data: Mapping[str, Any]) -> dict[str, Tally | Metric]:
    """What `score_json` has written."""
    return {name: Tally.from_json(d) if "kind" in d else Metric.from_json(d) for name, d in data.items()}
