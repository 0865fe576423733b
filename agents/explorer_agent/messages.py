"""What is said on the wire, as plain data: requests, the deployment, the plan of a measurement, and refusals.

`decode` turns a message into one of these classes: fields it does not know are ignored (the wire's law, 1), fields
of the wrong kind are refused. Only a deployment is strict about its keys: an axis this agent has never heard of must
not be passed over in silence.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Iterator, Mapping, Sequence, TypeVar

from explorer_agent.wire import ProtocolError

T = TypeVar("T")

INFEASIBLE, FAILED, BUSY, UNSUPPORTED, PROTOCOL_KIND = "infeasible", "failed", "busy", "unsupported", "protocol"


class AgentError(Exception):
    """A refusal or failure as it travels: kind is infeasible, failed, busy, unsupported or protocol.

    `cause` is for the host to act upon: "missing" when a file is not here (any more), "disk" when the board has no
    room. `because` is, too: the values of a deployment that are enough for it to end like this here, whatever the
    network and the other values; empty where that is not known for sure.
    """

    def __init__(
        self,
        kind: str,
        text: str,
        *,
        hint: str = "",
        trace: str = "",
        cause: str = "",
        sha256: str = "",
        because: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.hint = hint
        self.trace = trace
        self.cause = cause
        self.sha256 = sha256  # which file, when the cause is "missing"
        self.because = dict(because or {})

    def to_wire(self) -> dict[str, Any]:
        words = {"text": self.text[:8000], "hint": self.hint, "trace": self.trace[-8000:]}
        causes = {"cause": self.cause, "sha256": self.sha256, "because": self.because}
        return {"type": "error", "kind": self.kind, **words, **{name: told for name, told in causes.items() if told}}

    @classmethod
    def from_wire(cls, message: Mapping[str, Any]) -> AgentError:
        words = {name: str(message.get(name, "")) for name in ("hint", "trace", "cause", "sha256")}
        kind, text = str(message.get("kind", FAILED)), str(message.get("text", "no reason given"))
        return cls(kind, text, because=_values(message.get("because")), **words)


def _values(told: Any) -> dict[str, Any]:
    """Axis to value; nothing where that is not what was told."""
    whole = isinstance(told, dict) and all(isinstance(value, (str, int, float)) for value in told.values())
    return {str(axis): value for axis, value in told.items()} if whole else {}


@dataclass(frozen=True)
class Deployment:
    """How an engine is built and run. threads: of one inference, 0: every core there is, shared among the streams;
    streams: inferences in flight.
    """

    runtime: str = "onnxruntime"
    precision: str = "fp32"
    batch: int = 1
    threads: int = 0
    streams: int = 1
    placement: str = "cpu"
    power_mode: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Deployment:
        """Read a deployment.

        Raises:
            AgentError: unsupported: a key nobody here knows, or a count that is none.
            ProtocolError: a value of the wrong kind.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(given) - set(known))
        if unknown:
            text = "unknown deployment key {}".format(", ".join(map(repr, unknown)))
            raise AgentError(UNSUPPORTED, text, hint="this agent knows " + ", ".join(known))
        usual = {"placement": "gpu"} if given.get("runtime") == "tensorrt" else {}
        deployment = decode(cls, {**usual, **given})
        for name, least in (("batch", 1), ("threads", 0), ("streams", 1)):
            if getattr(deployment, name) < least:
                raise AgentError(UNSUPPORTED, f"{name} must be at least {least}, not {getattr(deployment, name)}")
        return deployment


def refuse(deployment: Deployment, capabilities: Mapping[str, Any]) -> None:
    """Refuse what cannot work on the board that said `capabilities` in its hello, before any work; host and agent
    both ask here.

    Raises:
        AgentError: unsupported or infeasible, with the reason.
    """
    runtimes = capabilities["runtimes"]
    runtime = runtimes.get(deployment.runtime)
    if runtime is None:
        raise AgentError(UNSUPPORTED, f"unknown runtime {deployment.runtime!r}", hint="known: " + ", ".join(runtimes))
    if not runtime["available"]:
        raise AgentError(INFEASIBLE, f"the runtime {deployment.runtime} cannot be used here: {runtime['why_not']}")
    for reason in _objections(deployment, runtime, capabilities):
        raise AgentError(INFEASIBLE, reason)


def _objections(deployment: Deployment, runtime: Mapping[str, Any], capabilities: Mapping[str, Any]) -> Iterator[str]:
    name, cores, modes = deployment.runtime, capabilities["cores"], capabilities["power_modes"]
    why_not = runtime["precisions"].get(deployment.precision, "it knows only " + ", ".join(runtime["precisions"]))
    if why_not:
        yield f"{name} cannot run {deployment.precision} here: {why_not}"
    if deployment.threads > cores:
        yield f"{deployment.threads} threads asked for, the board has {cores} cores"
    if deployment.streams > 1 and deployment.threads * deployment.streams > cores:
        yield f"{deployment.streams} streams of {deployment.threads} threads each, the board has {cores} cores"
    if deployment.placement not in runtime["placements"]:
        yield f"placement {deployment.placement!r}: {name} runs only on {', '.join(runtime['placements'])} here"
    if deployment.streams > runtime["streams_max"]:
        yield f"{deployment.streams} streams asked for, {name} is measured with at most {runtime['streams_max']} here"
    if deployment.power_mode and deployment.power_mode not in modes:
        yield f"power mode {deployment.power_mode!r}: this board offers {_named(deployment.power_mode, modes)}"


def _named(wanted: str, modes: Sequence[str]) -> str:
    """The board's power modes, and which of them may have been meant."""
    near = difflib.get_close_matches(wanted.upper(), modes, 1, 0.5)
    meant = f"; did you mean {near[0]}?" if near else ""
    return (", ".join(modes) or "none to choose from") + meant


@dataclass(frozen=True)
class Plan:
    """How long to warm up and to measure. Windows are added until the interval is tight enough or the budget is
    spent.
    """

    warmup_s: float = 0.2
    window_s: float = 0.1
    windows_min: int = 5
    budget_s: float = 3.0
    relative_interval: float = 0.02  # half-width of the 95 % interval over the mean
    idle_s: float = 0.5  # idle baseline before and after; only where a meter measures
    inputs: str = ""  # sha256 of an .npz; empty: seeded random numbers
    cooldown_s: float = 60.0  # wait at most so long for the temperature to settle before anything runs
    queries_min: int = 0  # inferences at least, for the percentile that is wanted
    rounds: int = 0  # interleaved rounds at most, in which this engine and those beside it take turns; 0: none
    block_s: float = 0.02  # length of one engine's turn in a round
    rate_hz: float = 0.0  # samples a second of one subject at fixed arrival; 0: this scenario is left out
    deadline_ms: float = 40.0  # within which a batch must be done at fixed arrival


@dataclass(frozen=True)
class Has:
    sha256: list[str]


@dataclass(frozen=True)
class Put:
    sha256: str
    size: int
    kind: str = "file"
    offset: int = 0


@dataclass(frozen=True)
class Build:
    source: str
    deployment: dict[str, Any] = field(default_factory=dict)
    timeout_s: float = 900.0
    memory_mb: float = 0.0  # 0: what is free when the job starts


@dataclass(frozen=True)
class Measure:
    engine: str
    deployment: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    meter: dict[str, Any] = field(default_factory=dict)  # {"name": "auto" | …, and what a declared meter needs}
    timeout_s: float = 900.0
    memory_mb: float = 0.0
    once: str = ""  # the name of this question: asked again by it, the same reply is given again
    # Engines that take turns with this one in interleaved rounds: {"engine": sha256, "deployment": {…}} each.
    beside: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Beside:
    """One of `Measure.beside`."""

    engine: str
    deployment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Infer:
    engine: str
    inputs: str
    deployment: dict[str, Any] = field(default_factory=dict)
    timeout_s: float = 900.0
    memory_mb: float = 0.0


@dataclass(frozen=True)
class Verify:
    """Run NVIDIA's own runner on an engine: since requests are named in hello, older agents do not name this one."""

    engine: str
    deployment: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)  # that of our figure: warm-up, budget and cooling down count
    no_graph: str = ""  # why ours runs without CUDA graphs; empty: it runs with them
    timeout_s: float = 900.0
    memory_mb: float = 0.0


@dataclass(frozen=True)
class Get:
    sha256: str
    offset: int = 0


@dataclass(frozen=True)
class Cancel:
    job: int


@dataclass(frozen=True)
class Lease:
    """Never answered. From now on `seconds` without a byte mean that the host is gone."""

    seconds: float


# Nothing that is said needs a negative number, nor one that a double could not hold exactly.
_AT_MOST = 1 << 53
# By the annotation's text: `from __future__ import annotations` leaves nothing else, and Python 3.8 could not
# evaluate all of it.
_KINDS = {
    "str": str,
    "int": int,
    "float": (int, float),
    "dict[str, Any]": dict,
    "list[str]": list,
    "list[dict[str, Any]]": list,
}


def decode(cls: type[T], message: Mapping[str, Any]) -> T:
    """`message` as an instance of the dataclass `cls`.

    Raises:
        ProtocolError: a field is missing or of the wrong kind.
    """
    found = {}
    for spec in fields(cls):  # type: ignore[arg-type]
        if spec.name in message:
            value = message[spec.name]
            if not isinstance(value, _KINDS[str(spec.type)]) or isinstance(value, bool):  # type: ignore[arg-type]
                raise ProtocolError(f"{cls.__name__.lower()}.{spec.name} must be {spec.type}, not {value!r:.80}")
            if isinstance(value, (int, float)) and not 0 <= value <= _AT_MOST:
                raise ProtocolError(f"{cls.__name__.lower()}.{spec.name} must be from 0 to 2^53, not {value!r}")
            found[spec.name] = value
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise ProtocolError(f"{cls.__name__.lower()} needs {spec.name}")
    return cls(**found)


def digest(data: Any) -> str:
    """sha256 of `data` as canonical JSON: the name of a question."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, allow_nan=False).encode("ascii")).hexdigest()
