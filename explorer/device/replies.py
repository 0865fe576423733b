"""What an agent says, checked before anybody here believes it; the one place where its words become ours.

    line ── message, body ──►  hello · note · missing · built · measurement · outputs · findings  ──► device
                                  │ anything else than promised: ProtocolError, in words

The agent may be broken, newer, or not ours at all, and the runtimes and meters behind it may be anybody's. Fields we do
not know are kept or ignored; those we use have the kind, the range and the size we rely on. Nothing is unpickled.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.statistics import Measurement
from explorer_agent.wire import Message, ProtocolError

# Of a measurement: no clock, meter or count goes beyond, and none of the statistics overflows within.
LARGEST, SHORTEST_S = 1e15, 1e-9
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# A terminal would obey them, and neither it nor a file takes half a surrogate pair.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_RAN: tuple[str, ...] = ("throughput_ips", "latency_ms", "compute_ms", "enqueue_ms")
_READING = re.compile(r"(meter|state)_\d+", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HEADERS: dict[Any, Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Built:
    """An engine on the device."""

    engine: str  # sha256
    seconds: float  # it took to build, when it was built
    cached: bool
    bytes: int
    layers: Mapping[str, int]  # precision it really runs in → layers that do arithmetic
    log_tail: str = ""
    parts: Mapping[str, Any] = field(default_factory=dict)  # unit → where its layers went, if the runtime tells


@dataclass(frozen=True)
class Ran:
    """What NVIDIA's own runner made of an engine.

    Attributes:
        version: of its TensorRT.
        conditions: each with the switch that brought it about, or "as it is".
        exit: its exit status; below 0, the signal that ended it.
        passed: whether it says so itself.
        why: the first of its errors.
        figures: throughput_ips, latency_ms, compute_ms, enqueue_ms: medians, as far as it told them.
        flags: what the board was meanwhile.
    """

    version: str
    command: tuple[str, ...]
    conditions: Mapping[str, str]
    exit: int
    passed: bool
    why: str
    figures: Mapping[str, float]
    flags: tuple[str, ...]


def clean(value: Any) -> Any:
    """`value` of a message, its texts without what a terminal would obey or a file would not take."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): clean(item) for key, item in value.items()}
    return value


def clean_text(text: str) -> str:
    """`text` without control characters other than tab and line end; colours of a compiler's log, for one."""
    return _UNPRINTABLE.sub("\ufffd", _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def note(message: Message) -> Message:
    """Progress, a log line or a heartbeat, as whoever watches may use it."""
    _field(message, "kind", str, "note", default="")
    _field(message, "text", str, "note", default="")
    _field(message, "fraction", float, "note", default=0.0)
    return message


def capabilities(hello: Message) -> dict[str, Any]:
    """What a board is and can do: everything that `messages.refuse` and the study look at has its kind."""
    found: dict[str, Any] = _field(hello, "capabilities", dict, "hello")
    _field(found, "fingerprint", str, "capabilities")
    _field(found, "cores", int, "capabilities", least=1)
    _items(_field(found, "power_modes", list, "capabilities"), str, "capabilities.power_modes")
    now = _field(found, "power_mode", dict, "capabilities", default={})
    _items([now.get("current", ""), now.get("lasting", "")], str, "capabilities.power_mode")
    _items(_field(found, "requests", list, "capabilities", default=[]), str, "capabilities.requests")
    _items(_field(found, "measures", list, "capabilities", default=[]), str, "capabilities.measures")
    _field(found, "memory_mb", float, "capabilities", default=0, least=0)
    for name, facts in _field(found, "plugins", dict, "capabilities", default={}).items():
        _of_kind(facts, dict, f"capabilities.plugins.{name}")
    for kind in ("runtimes", "meters"):
        for name, facts in _field(found, kind, dict, "capabilities").items():
            where = f"capabilities.{kind}.{name}"
            _of_kind(facts, dict, where)
            available = _field(facts, "available", bool, where)
            _field(facts, "why_not", str, where)
            if kind == "runtimes":
                _runtime(facts, where, available=available)
    return found


def _runtime(facts: Message, where: str, *, available: bool) -> None:
    _field(facts, "version", str, where)
    _items(list(_field(facts, "precisions", dict, where).values()), str, f"{where}.precisions")
    if available:
        _items(_field(facts, "placements", list, where), str, f"{where}.placements")
        _field(facts, "streams_max", int, where, least=1)


def missing(answer: Message, sha256: str, *, size: float = math.inf) -> int | None:
    """From where on the file `sha256` of `size` bytes has to be sent; None when the device has it."""
    if sha256 not in _items(_field(answer, "missing", list, "has"), str, "has.missing"):
        return None
    arrived = _field(_field(answer, "arrived", dict, "has", default={}), sha256, int, "has.arrived", default=0, least=0)
    if arrived > size:
        raise ProtocolError(f"has.arrived: {arrived} bytes of a file of {size}")
    return int(arrived)


def built(facts: Message, _: bytes = b"") -> Built:
    """An engine."""
    engine = _field(facts, "engine", str, "build")
    if _SHA256.fullmatch(engine) is None:
        raise ProtocolError(f"build.engine must be a sha256, not {_shown(engine)}")
    layers = _field(facts, "layers", dict, "build", default={})
    _items(list(layers.values()), int, "build.layers")
    return Built(
        engine=engine,
        seconds=_field(facts, "seconds", float, "build", least=0),
        cached=_field(facts, "cached", bool, "build"),
        bytes=_field(facts, "bytes", int, "build", least=0),
        layers=layers,
        log_tail=_field(facts, "log_tail", str, "build", default=""),
        parts=_field(facts, "parts", dict, "build", default={}),
    )


def ran(answer: Message, _: bytes = b"") -> Ran:
    """What another's runner made of an engine."""
    told = [name for name in _RAN if name in answer]
    figures = {name: float(_field(answer, name, float, "verify", least=0)) for name in told}
    _must(all(value == 0 or SHORTEST_S <= value <= LARGEST for value in figures.values()), "no figure", "verify")
    conditions = _field(answer, "conditions", dict, "verify")
    _items(list(conditions.values()), str, "verify.conditions")
    return Ran(
        version=_field(answer, "tool_version", str, "verify"),
        command=tuple(_items(_field(answer, "command", list, "verify"), str, "verify.command")),
        conditions=conditions,
        exit=_field(answer, "exit", int, "verify"),
        passed=_field(answer, "passed", bool, "verify"),
        why=_field(answer, "why", str, "verify"),
        figures=figures,
        flags=tuple(_items(_field(answer, "flags", list, "verify"), str, "verify.flags")),
    )


def findings(answer: Message, _: bytes = b"") -> list[dict[str, Any]]:
    """What a look at the board found."""
    found: list[dict[str, Any]] = _field(answer, "findings", list, "check")
    for finding in found:
        _of_kind(finding, dict, "check.findings")
        for name in ("topic", "state", "found", "advice"):
            _field(finding, name, str, "check.findings")
    return found


def measurement(header: Message, body: bytes, *, windows: bool, entrants: int) -> Measurement:
    """Raw series with all that `statistics.derive` builds on: windows that took time, inferences in every one of them,
    rails of one length.

    Args:
        header: as it came.
        body: as it came.
        windows: whether the engine was to be measured in windows, too, and not in turns alone.
        entrants: how many engines were to take turns.
    """
    series = _series(header, body)
    taken = Measurement({k: v for k, v in header.items() if k not in ("type", "id", "body")}, series)
    _items(_field(header, "flags", list, "measure"), str, "measure.flags")
    for entrant in _items(_field(header, "entrants", list, "measure", default=[]), dict, "measure.entrants"):
        _runs(_field(entrant, "runs", dict, "measure.entrants", default={}))
    _field(header, "estimated", bool, "measure")
    raced = len(series.get("block_round", ())) > 0
    _stretches(series, "window", inferences="latency_s")
    _must(taken.windows > 0 or not windows, "no windows")
    _must(raced or windows, "no turns")
    if raced:
        _turns(taken, entrants)
    if "arrival_subjects" in series:
        _arrivals(taken)
    _power(taken)
    return taken


def _runs(told: Message) -> None:
    for stream in _items(_field(told, "streams", list, "measure.entrants.runs", default=[]), dict, "runs.streams"):
        _field(stream, "no_graph", str, "runs.streams", default="")


def _stretches(series: Mapping[str, NDArray[np.float64]], kind: str, *, inferences: str) -> None:
    """Windows, or turns: each took time, and had an inference."""
    names = [f"{kind}_{what}" for what in ("start_s", "end_s", "count", "cpu_s")]
    _must(all(name in series for name in (*names, inferences)), "a series is missing")
    _must(len({len(series[name]) for name in names}) == 1, f"{kind}s of unequal number")
    counts = series[f"{kind}_count"]
    _must(bool((counts >= 1).all()) and counts.sum() == len(series[inferences]), f"{kind}_count does not add up")
    _must(bool((series[names[1]] - series[names[0]] >= SHORTEST_S).all()), f"a {kind} without time")


def _turns(taken: Measurement, entrants: int) -> None:
    """Rounds in which every entrant had one turn."""
    series = taken.series
    told = _items(_field(dict(taken.header), "entrants", list, "measure"), dict, "measure.entrants")
    _must(len(told) == entrants, f"{len(told)} entrants instead of {entrants}")
    _stretches(series, "block", inferences="block_latency_s")
    order, who = series["block_round"], series.get("block_entrant", np.empty(0))
    _must(len(order) == len(who) == len(series["block_count"]), "turns of unequal number")
    _must(len(order) % entrants == 0, "a turn is missing")
    turns, rounds = np.lexsort((who, order)), len(order) // entrants
    _must(bool((who[turns] == np.tile(np.arange(entrants), rounds)).all()), "an entrant without a turn")
    _must(bool((order[turns] == np.repeat(np.arange(rounds), entrants)).all()), "a round is missing")


def _arrivals(taken: Measurement) -> None:
    """Levels of fixed arrival, each with its batches."""
    series = taken.series
    levels, counts = series["arrival_subjects"], series.get("arrival_count", np.empty(0))
    _must(0 < len(levels) == len(counts), "arrivals: levels of unequal number")
    _must(bool((levels >= 1).all() and (counts >= 0).all()), "arrivals: a level of nobody")
    _must(counts.sum() == len(series.get("arrival_latency_s", ())), "arrivals: arrival_count does not add up")
    plan = _field(dict(taken.header), "plan", dict, "measure")
    _field(plan, "deadline_ms", float, "measure.plan", least=0)


def _series(header: Message, body: bytes) -> dict[str, NDArray[np.float64]]:
    order = {"little": "<", "big": ">"}.get(_field(header, "byte_order", str, "measure"), "")
    _must(bool(order), f"byte_order {_shown(header['byte_order'])}")
    specs = _items(_field(header, "series", list, "measure"), dict, "measure.series")
    names = [_field(spec, "name", str, "measure.series") for spec in specs]
    counts = [_field(spec, "count", int, "measure.series", least=0) for spec in specs]
    _must(len(set(names)) == len(names) > 0, "series of one name, or none")
    _must(sum(counts) * 8 == len(body), f"series of {sum(counts)} numbers in a body of {len(body)} bytes")
    data = np.frombuffer(body, f"{order}f8").astype(np.float64)
    series = dict(zip(names, np.split(data, np.cumsum(counts)[:-1]), strict=True))
    for name, numbers in series.items():
        known = ~np.isnan(numbers) if _READING.fullmatch(name) else slice(None)  # NaN: a reading that was not had
        _must(bool((np.abs(numbers[known]) <= LARGEST).all()), "a number that is none")
    return series


def _power(taken: Measurement) -> None:
    meter, series = _field(dict(taken.header), "meter", dict, "measure"), taken.series
    name = _field(meter, "name", str, "measure.meter")
    if name == "none" or _field(dict(taken.header), "sampler_failure", str, "measure", default=""):
        return
    if taken.estimated:
        for figure in ("idle_w", "busy_core_w"):
            _must(_field(meter, figure, float, "measure.meter", least=0) <= LARGEST, f"{figure} is none")
        return
    _must(_field(meter, "quantity", str, "measure.meter") in ("J", "W"), "a meter that gives neither J nor W")
    rails = [f"meter_{number}" for number, _ in enumerate(_field(meter, "rails", list, "measure.meter"))]
    readings = len(series.get("meter_time_s", ()))
    _must(readings >= 2 and len(rails) > 0, "a meter without readings")
    _must(all(len(series.get(rail, ())) == readings for rail in rails), "rails of unequal length")
    _must(bool((np.diff(series["meter_time_s"]) >= 0).all()), "readings of the meter out of order")
    _must(len(series.get("idle_s", ())) == 2, "idle_s must be two edges")
    _must(len(series.get("idle_after_s", (0, 0))) == 2, "idle_after_s must be two edges")
    _told_of_the_meter(meter, len(rails))


def _told_of_the_meter(meter: Message, rails: int) -> None:
    told = meter.get("total")
    total = _items(told, int, "measure.meter.total") if isinstance(told, list) else []  # older meters: words
    _must(all(0 <= rail < rails for rail in total) and len(set(total)) == len(total), "a total of rails that are none")
    for name in ("lag_s", "settle_s"):
        _must(_field(meter, name, float, "measure.meter", default=0.0, least=0) <= LARGEST, f"{name} is none")
    _field(meter, "lag_means", str, "measure.meter", default="")
    steps = _field(meter, "step_w", list, "measure.meter", default=[])
    _must(len(steps) in (0, rails), "step_w of another number of rails")
    for step in steps:
        if step is not None:
            _must(0 <= _of_kind(step, float, "measure.meter.step_w") <= LARGEST, "step_w is none")


def outputs(_: Message, body: bytes, *, count: int) -> dict[str, NDArray[Any]]:
    """The arrays in the .npz `body`, each with a row for each of `count` samples. Plain numbers, not compressed, of the
    very size that the file has: its headers are not believed, and nothing grows when it is unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            _must(sum(member.file_size for member in members) <= len(body), "the outputs lie about their size", "infer")
            found = {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except ProtocolError:
        raise
    except Exception as error:  # a dozen kinds come out of zipfile and numpy for such bytes
        why = f"{type(error).__name__}: {error}"
        raise ProtocolError(f"infer: the outputs are no .npz of plain arrays: {why}") from error
    _must(bool(found), "no outputs", "infer")
    for name, array in found.items():
        _must(array.shape[:1] == (count,), f"{_shown(name)} of shape {array.shape} for {count} samples", "infer")
    return found


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    name = _shown(member.filename)
    _must(member.compress_type == zipfile.ZIP_STORED, f"{name} is compressed: numpy.savez does not", "infer")
    with archive.open(member) as file:
        read_header = _HEADERS.get(np.lib.format.read_magic(file))
        if read_header is None:
            raise ProtocolError(f"infer: {name} is of an unknown version of .npy")
        shape, by_columns, dtype = read_header(file)
        _must(dtype.kind in "biuf", f"{name} holds {dtype}, not plain numbers", "infer")
        expected = math.prod(shape) * dtype.itemsize
        _must(file.tell() + expected == member.file_size, f"{name} lies about its size", "infer")
        data = np.frombuffer(file.read(expected), dtype)
    return data.reshape(shape, order="F" if by_columns else "C")


def _must(holds: bool, otherwise: str, request: str = "measure") -> None:
    if not holds:
        raise ProtocolError(f"{request}: {otherwise}")


def _field(
    message: Message, name: str, kind: type, where: str, *, default: Any = None, least: float | None = None
) -> Any:
    """The field `name` of `message`.

    Raises:
        ProtocolError: it is missing and has no default, is of another kind, or less than it can be.
    """
    if name not in message:
        if default is None:
            raise ProtocolError(f"{where} needs {name}")
        return default
    value = _of_kind(message[name], kind, f"{where}.{name}")
    if least is not None and value < least:
        raise ProtocolError(f"{where}.{name} must be at least {least}, not {_shown(value)}")
    return value


def _items(values: list[Any], kind: type, where: str) -> list[Any]:
    return [_of_kind(value, kind, where) for value in values]


def _of_kind(value: Any, kind: type, where: str) -> Any:
    fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise ProtocolError(f"{where} must be {kind.__name__}, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
