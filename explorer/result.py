"""What came out: metrics with their intervals, and the record that is one line of ``trials.jsonl``. All frozen.

Metric names carry units: accuracy (fraction 0–1), throughput_ips (samples per second), latency_ms (median per batch),
latency_p99_ms, energy_mj (per sample, gross), energy_net_mj, power_w, model_mb, params, macs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# The format of a record. 1: first. 2: may be dominated. A record has the least that can say what it says, so that an
# older program reads whatever it understands.
RECORD_FORMAT = 2
_FORMATS = {"dominated": 2}

State = Literal["complete", "dominated", "infeasible", "failed"]
# What a candidate has been through: its score on the host, a short measurement, a whole one.
Rung = Literal["preview", "short bench", "full bench"]
Direction = Literal["max", "min"]


@dataclass(frozen=True)
class Metric:
    """A value with its 95 % interval; `low` and `high` are None where the value is exact (a count, a size)."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        return {"value": self.value, "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Metric:
        return cls(data["value"], data.get("low"), data.get("high"))


@dataclass(frozen=True)
class Objective:
    """A metric to make large or small."""

    metric: str
    direction: Direction

    def gain(self, value: float) -> float:
        """`value` turned so that larger is better."""
        return value if self.direction == "max" else -value


@dataclass(frozen=True)
class Constraint:
    """``metric <= bound`` or ``metric >= bound``."""

    metric: str
    op: Literal["<=", ">="]
    bound: float

    _PATTERN = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=)\s*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)\s*")

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read ``"accuracy >= 0.85"``.

        Raises:
            ValueError: the text is not of that form.
        """
        match = cls._PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"not a constraint: {text!r}; write it like 'accuracy >= 0.85'")
        metric, op, bound = match.groups()
        return cls(metric, "<=" if op == "<=" else ">=", float(bound))

    def violation(self, value: float) -> float:
        """How far `value` lies beyond the bound, in the metric's unit; zero or less when it is kept."""
        return value - self.bound if self.op == "<=" else self.bound - value

    def __str__(self) -> str:
        return f"{self.metric} {self.op} {self.bound:g}"


@dataclass(frozen=True)
class StageTime:
    """Seconds a stage took when it ran, and whether this trial found it done already."""

    seconds: float
    cached: bool


@dataclass(frozen=True)
class Evaluation:
    """Everything learned about one candidate."""

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    estimated: tuple[str, ...] = ()  # names of metrics that were modelled, not measured
    simulated: tuple[str, ...] = ()  # names of metrics that come from a virtual board
    recorded: tuple[str, ...] = ()  # names of metrics that were read from a table that was measured before
    stages: Mapping[str, StageTime] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)  # kind → sha256
    flags: tuple[str, ...] = ()  # why a number deserves doubt: "unstable", …
    # where it ran, when a DLA was asked for: shares of layers and of multiply-accumulates, who fell back and why
    units: Mapping[str, Any] = field(default_factory=dict)
    # what an 8-bit network learnt its ranges from: samples (how many), source (of what)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    # metric → by what it was multiplied to bring one board's numbers to the scale of the study's first board
    scaled: Mapping[str, float] = field(default_factory=dict)
    # What NVIDIA's own runner made of the engine and how ours compares, or why not; empty where nobody asked.
    verified: Mapping[str, Any] = field(default_factory=dict)
    # metric → on how many samples: scored on the host, not on the board; never in a complete record
    previewed: Mapping[str, int] = field(default_factory=dict)
    # The measurement as taken and what the score was counted from, both as plain JSON and kept beside.
    raw: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    score: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    reference: Metric | None = field(default=None, compare=False)  # latency of the reference engine beside it, ms


@dataclass(frozen=True)
class Stopped:
    """Where a dominated candidate was stopped, and the chance that it is dominated, 0–1."""

    after: Rung
    confidence: float

    def to_json(self) -> dict[str, Any]:
        return {"after": self.after, "confidence": self.confidence}


@dataclass(frozen=True)
class Record:
    """One line of ``trials.jsonl``."""

    number: int
    state: State
    params: Mapping[str, Any]
    device: str
    started: str  # UTC, ISO 8601
    seconds: float
    evaluation: Evaluation = field(default_factory=Evaluation)
    constraints: Mapping[str, float] = field(default_factory=dict)  # name → violation, ≤ 0 when kept
    reason: str = ""  # why dominated, infeasible or failed
    # axis → value: every candidate with these is as infeasible; empty where no such rule is known
    because: Mapping[str, Any] = field(default_factory=dict)
    stopped: Stopped | None = None  # when dominated

    @property
    def ran(self) -> bool:
        """Whether it is known to work: a board has run it, to the end or until it was stopped."""
        benched = self.stopped is not None and self.stopped.after != "preview"
        return self.state == "complete" or (self.state == "dominated" and benched)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return self.evaluation.metrics

    def to_json(self) -> dict[str, Any]:
        """The record as the stable JSON object others script against."""
        e = self.evaluation
        return {
            "format": _FORMATS.get(self.state, 1),
            "number": self.number,
            "state": self.state,
            "params": dict(self.params),
            "metrics": {name: metric.to_json() for name, metric in e.metrics.items()},
            "constraints": dict(self.constraints),
            "device": self.device,
            "estimated": list(e.estimated),
            "simulated": list(e.simulated),
            "recorded": list(e.recorded),
            "flags": list(e.flags),
            "units": dict(e.units),
            "calibration": dict(e.calibration),
            "scaled": {name: round(ratio, 6) for name, ratio in e.scaled.items()},
            "verified": dict(e.verified),
            "stages": {name: {"seconds": round(t.seconds, 4), "cached": t.cached} for name, t in e.stages.items()},
            "artifacts": dict(e.artifacts),
            "started": self.started,
            "seconds": round(self.seconds, 4),
            "reason": self.reason,
            **({"because": dict(self.because)} if self.because else {}),
            **({"previewed": dict(e.previewed)} if e.previewed else {}),
            **({"stopped": self.stopped.to_json()} if self.stopped else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """Read a record of any format up to ours; unknown fields are ignored.

        Raises:
            ValueError: the format is newer than this program.
            KeyError: a field is missing.
        """
        if data["format"] > RECORD_FORMAT:
            raise ValueError(
                f"record format {data['format']} is newer than {RECORD_FORMAT}, the newest this explorer reads"
            )
        evaluation = Evaluation(
            metrics={name: Metric.from_json(m) for name, m in data["metrics"].items()},
            estimated=tuple(data["estimated"]),
            simulated=tuple(data["simulated"]),
            recorded=tuple(data.get("recorded", ())),
            stages={name: StageTime(s["seconds"], s["cached"]) for name, s in data["stages"].items()},
            artifacts=data["artifacts"],
            flags=tuple(data.get("flags", ())),
            units=data.get("units", {}),
            calibration=data.get("calibration", {}),
            scaled=data.get("scaled", {}),
            verified=data.get("verified", {}),
            previewed=data.get("previewed", {}),
        )
        stopped = data.get("stopped")
        return cls(
            number=data["number"],
            state=data["state"],
            params=data["params"],
            device=data["device"],
            started=data["started"],
            seconds=data["seconds"],
            evaluation=evaluation,
            constraints=data["constraints"],
            reason=data.get("reason", ""),
            because=data.get("because", {}),
            stopped=Stopped(stopped["after"], stopped["confidence"]) if stopped else None,
        )
