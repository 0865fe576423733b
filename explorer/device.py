"""A device: typed calls over a transport. The only file of the host that speaks the wire.

    study's thread   ── request ──►  agent
                     ◄── queue ──   reader thread   ◄── notes, reply, error

The host times out on silence, not on length: while a job runs the agent says so every second. A device that has gone
silent or away raises DeviceLost from then on; connect again for a new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import queue
import threading
import weakref
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import DeviceLost, Infeasible, JobFailed, NoDevice
from explorer.statistics import Measurement
from explorer.transports import Transport
from explorer.transports.boards import start
from explorer_agent.messages import AgentError, Deployment, refuse
from explorer_agent.wire import PROTOCOL, Message, ProtocolError, Reader, Writer

START_S = 120.0  # until hello: a slow board imports its libraries first
SILENCE_S = 30.0
JOB_S = 900.0
OLDEST_PROTOCOL = 1

Reply = tuple[Message, bytes]


@dataclass(frozen=True)
class Built:
    """An engine on the device."""

    engine: str  # sha256
    seconds: float  # it took to build, when it was built
    cached: bool
    bytes: int
    layers: Mapping[str, int]  # precision it really runs in → layers that do arithmetic
    log_tail: str = ""


class Device:
    """One agent that has said hello. One thread at a time may use it; `cancel` and `close` may come from another."""

    def __init__(
        self, name: str, transport: Transport, *, shares_host: bool, meter: Mapping[str, Any] | None = None
    ) -> None:
        """Wait for the agent's hello.

        Args:
            name: for messages and records.
            transport: the agent, started.
            shares_host: whether measuring and compressing use the same processor.
            meter: ``{"name": "auto" | …, "idle_w": …, "busy_core_w": …}``: which meter to use, and what to tell it.

        Raises:
            NoDevice: no hello, or not one we understand, or the device is in use.
        """
        self.name = name
        self.shares_host = shares_host
        self._meter = dict(meter or {})
        self._line = _Line(name, transport)
        self._sent: set[str] = set()
        self._last_inputs: tuple[weakref.ref[NDArray[Any]], str] | None = None
        hello = self._line.hello()
        self.agent_sha = str(hello.get("agent_sha", ""))
        self.capabilities: Mapping[str, Any] = hello["capabilities"]
        if why_not := _no_meter(self._meter, self.capabilities["meters"]):
            self.close()
            raise NoDevice(f"{name}: {why_not}")

    def check(self, deployment: Mapping[str, Any]) -> None:
        """Refuse what cannot work on this device, before any work.

        Raises:
            Infeasible: with the reason.
        """
        try:
            refuse(Deployment.of(deployment), self.capabilities)
        except (AgentError, ProtocolError) as error:
            raise _ending(error, self.name) from error

    def build(self, source: Path, deployment: Mapping[str, Any], *, timeout_s: float = JOB_S) -> Built:
        """Compile the ONNX file `source` on the device, or find it compiled there already.

        Raises:
            Infeasible: it cannot be built like that on this device.
            JobFailed: the build crashed, took too long or ran out of memory.
            DeviceLost: the device went away.
        """
        data = source.read_bytes()
        sha256 = self._put(data, "network")
        facts, _ = self._line.ask("build", source=sha256, deployment=dict(deployment), timeout_s=timeout_s)
        words = {"layers": facts.get("layers", {}), "log_tail": facts.get("log_tail", "")}
        return Built(facts["engine"], facts["seconds"], facts["cached"], facts["bytes"], **words)

    def measure(
        self,
        built: Built,
        deployment: Mapping[str, Any],
        plan: Mapping[str, Any],
        *,
        inputs: NDArray[Any] | None = None,
    ) -> Measurement:
        """Measure an engine.

        Args:
            built: the engine.
            deployment: how to run it.
            plan: `explorer_agent.messages.Plan` by name: warmup_s, window_s, windows_min, budget_s, relative_interval.
            inputs: samples to run it on [count, …]; seeded random numbers without.

        Raises:
            Infeasible, JobFailed, DeviceLost: as for `build`.
        """
        plan = dict(plan, inputs=self._put_inputs(inputs)) if inputs is not None else dict(plan)
        header, body = self._line.ask(
            "measure", engine=built.engine, deployment=dict(deployment), plan=plan, meter=self._meter, timeout_s=JOB_S
        )
        return _measurement(header, body)

    def infer(
        self, built: Built, deployment: Mapping[str, Any], inputs: NDArray[Any], *, timeout_s: float = JOB_S
    ) -> NDArray[Any] | dict[str, NDArray[Any]]:
        """The engine's outputs for all of `inputs` [count, …]: an array, or a dict of them if the network has several.

        The array is made read-only: its sha256 is remembered, so that asking with the same array again costs nothing.

        Raises:
            Infeasible, JobFailed, DeviceLost: as for `build`.
        """
        sha256 = self._put_inputs(inputs)
        _, body = self._line.ask(
            "infer", engine=built.engine, deployment=dict(deployment), inputs=sha256, timeout_s=timeout_s
        )
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            outputs = {name: file[name] for name in file.files}
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def get(self, sha256: str) -> bytes:
        """A file of the device, an engine for instance.

        Raises:
            JobFailed: it is not there.
            DeviceLost: the device went away.
        """
        return self._line.ask("get", sha256=sha256)[1]

    def watch(self, note: Callable[[Mapping[str, Any]], None]) -> None:
        """Have `note` hear what the agent tells while it works: progress, log lines, heartbeats."""
        self._line.on_note = note

    def cancel(self) -> None:
        """End the job under way, from another thread; the call that waits for it raises JobFailed."""
        self._line.cancel()

    def close(self) -> None:
        """End the agent and leave nothing of it behind."""
        self._line.close()

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put_inputs(self, inputs: NDArray[Any]) -> str:
        if self._last_inputs is not None and self._last_inputs[0]() is inputs and not inputs.flags.writeable:
            return self._last_inputs[1]
        inputs.setflags(write=False)
        sha256 = self._put(_npz(inputs), "inputs")
        self._last_inputs = (weakref.ref(inputs), sha256)
        return sha256

    def _put(self, data: bytes, kind: str) -> str:
        """Send `data` unless the device has it, from where an earlier transfer stopped."""
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 not in self._sent:
            answer, _ = self._line.ask("has", sha256=[sha256])
            if sha256 in answer["missing"]:
                offset = int(answer.get("arrived", {}).get(sha256, 0))
                self._line.ask("put", data[offset:], sha256=sha256, kind=kind, size=len(data), offset=offset)
            self._sent.add(sha256)
        return sha256


class _Line:
    """Questions and answers over a transport, and what ends them."""

    def __init__(self, name: str, transport: Transport) -> None:
        self._name = name
        self._transport = transport
        self._writer = Writer(transport.outgoing)
        self._ids = itertools.count(1)
        self._current = 0
        self._lost = ""
        self._arrivals: queue.Queue[Reply | str] = queue.Queue()
        self.on_note: Callable[[Mapping[str, Any]], None] = lambda _: None
        threading.Thread(target=self._read, name=f"reader of {name}", daemon=True).start()

    def hello(self) -> Message:
        """The agent's first words.

        Raises:
            NoDevice: they do not come, or cannot be understood.
        """
        try:
            hello, _ = self._next(START_S)
        except DeviceLost as error:
            self.close()
            raise NoDevice(str(error)) from error
        problem = _objection_to(hello)
        if problem:
            self.close()
            raise NoDevice(f"{self._name}: {problem}")
        return hello

    def ask(self, request: str, body: bytes = b"", **fields: Any) -> Reply:
        """The reply to one request, its notes having been told."""
        if self._lost:
            raise DeviceLost(self._lost)
        self._current = number = next(self._ids)
        try:
            self._writer.write({"type": request, "id": number, **fields}, body)
        except OSError as error:
            raise self._gone(f"{self._name} does not listen any more ({error.strerror})") from error
        while True:
            message, reply = self._next(SILENCE_S)
            if message["type"] == "note":
                self.on_note(message)
            elif message.get("id") == number or message.get("id") is None:
                if message["type"] == "error":
                    raise _ending(AgentError.from_wire(message), self._name)
                return message, reply

    def cancel(self) -> None:
        with contextlib.suppress(OSError):  # nobody there to cancel anything: whoever waits is told so
            self._writer.write({"type": "cancel", "id": next(self._ids), "job": self._current})

    def close(self) -> None:
        self._lost = self._lost or f"{self._name} was closed"
        self._transport.close()

    def _next(self, patience_s: float) -> Reply:
        try:
            arrived = self._arrivals.get(timeout=patience_s)
        except queue.Empty:
            raise self._gone(f"{self._name} has been silent for {patience_s:.0f} s") from None
        if isinstance(arrived, str):
            raise self._gone(f"{self._name} went away: {arrived}")
        return arrived

    def _gone(self, why: str) -> DeviceLost:
        words = self._transport.last_words()
        self.close()
        self._lost = why
        return DeviceLost(f"{why}\n{words}" if words else why)

    def _read(self) -> None:
        """The reader thread: frames into the queue until the stream ends; a str says why it did."""
        reader = Reader(self._transport.incoming)
        try:
            while (frame := reader.read()) is not None:
                self._arrivals.put((frame.message, frame.body.read()))
            self._arrivals.put("its stream ended")
        except (ProtocolError, OSError, ValueError) as error:  # ValueError: closed under our eyes
            self._arrivals.put(str(error))


def connect(
    spec: str,
    *,
    cache: Path,
    options: Mapping[str, Any] | None = None,
    holder: str = "",
    search: Path | None = None,
) -> Device:
    """Start the agent that `spec` names, and wait for its hello.

    Args:
        spec: ``local:``, ``ssh://user@board``, or a board described in a file (see agents/devices).
        cache: root of the host's cache; the agent's bundle and, for this machine, its home lie below.
        options: over what the board's description says: `meter` {"name", "idle_w", "busy_core_w"}, `plugins` (modules
            that bring runtimes or meters), `runtimes` (only these, of all there are), `python` (the interpreter that
            runs the agent), `wait_s` (how long to wait for a device that is in use), and more: see
            `explorer.transports.boards`.
        holder: who asks, in words that are the same when the same study comes back: it takes over from its own earlier
            session, and nobody else's.
        search: folder of the space file, for what it names by path.

    Raises:
        NoDevice: it cannot be reached or is in use.
        BadInput: an option nobody knows.
    """
    started = start(spec, cache=cache, options=options or {}, holder=holder, search=search)
    return Device(spec, started.transport, shares_host=started.shares_host, meter=started.settings.get("meter"))


def _objection_to(hello: Message) -> str:
    """Why we cannot talk to this agent; empty when we can."""
    if hello["type"] == "error":
        error = AgentError.from_wire(hello)
        return f"{error.text}. {error.hint}".strip()
    if hello["type"] != "hello" or not isinstance(hello.get("protocol"), int):
        return f"expected hello, heard {hello['type']!r}"
    if not OLDEST_PROTOCOL <= hello["protocol"] <= PROTOCOL:
        return f"the agent speaks protocol {hello['protocol']}, this explorer {OLDEST_PROTOCOL} to {PROTOCOL}"
    return ""


def _no_meter(wanted: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Why the meter asked for by name cannot be used; empty when it can, or when any will do."""
    name = wanted.get("name", "auto")
    if name not in ("auto", "declared", *known):
        return f"unknown meter {name!r}; known: auto, {', '.join(known)}"
    if name == "declared":
        missing = [key for key in ("idle_w", "busy_core_w") if not isinstance(wanted.get(key), (int, float))]
        return f"the meter 'declared' needs {' and '.join(missing)}, in watts" if missing else ""
    return (
        f"the meter {name!r} cannot be used: {known[name]['why_not']}"
        if name in known and known[name]["why_not"]
        else ""
    )


def _ending(error: AgentError | ProtocolError, name: str) -> Infeasible | JobFailed:
    """What an agent's error means for the candidate."""
    if isinstance(error, ProtocolError):
        return Infeasible(f"{name}: {error}")
    text = f"{error.text} ({error.hint})" if error.hint else error.text
    if error.kind in ("infeasible", "unsupported"):
        return Infeasible(text)
    return JobFailed(f"{name}: {text}", log_tail=error.trace)


def _measurement(header: Message, body: bytes) -> Measurement:
    order = "<" if header["byte_order"] == "little" else ">"
    data = np.frombuffer(body, f"{order}f8").astype(np.float64)
    counts = [spec["count"] for spec in header["series"]]
    pieces = np.split(data, np.cumsum(counts)[:-1])
    series = {spec["name"]: piece for spec, piece in zip(header["series"], pieces, strict=True)}
    return Measurement({k: v for k, v in header.items() if k not in ("type", "id", "body")}, series)


def _npz(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("input.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
