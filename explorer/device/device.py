"""Typed calls to the agent on a board.

    connect ──► Device.check ──► build ──► measure ──► verify ──► infer
                                   │ what the board does not have yet is sent first, once
A device that has gone silent or away raises DeviceLost from then on; connect again for a new one.
"""

from __future__ import annotations

import os
import statistics
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from explorer.artifacts import sha256_of
from explorer.device import meters, replies
from explorer.device.line import Line, Note, Reply
from explorer.device.parcel import Parcel, of_array, of_bytes, of_file
from explorer.device.replies import Built, Ran
from explorer.errors import DeviceLost, Infeasible, JobFailed, NoDevice, on_board
from explorer.statistics import Measurement
from explorer.transports import Transport
from explorer.transports.boards import start
from explorer_agent.messages import AgentError, Deployment, refuse
from explorer_agent.wire import Message, ProtocolError

T = TypeVar("T")

JOB_S = 900.0


class Device:
    """One agent that has said hello. One thread at a time may use it; `cancel` and `close` may come from another.

    Attributes:
        capabilities: what the board is and can do, as it said in its hello.
        fingerprint: equal for boards that one engine and one front are true of.
        agent_sha: sha256 of all code that measures there.
        hello_s: seconds that its agent took to begin.
        shares_host: whether measuring and compressing use the same processor.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        shares_host: bool,
        meter: Mapping[str, Any] | None = None,
        note: Note | None = None,
    ) -> None:
        """Wait for the agent's hello.

        Args:
            name: for messages and records.
            transport: the agent, started.
            shares_host: whether measuring and compressing use the same processor.
            meter: ``{"name": "auto" | …, "idle_w": …, "busy_core_w": …}``: which meter to use, and what to tell it.
            note: hears what the agent tells; see `watch`.

        Raises:
            NoDevice: no hello, or not one we understand, or the device is in use.
        """
        self.name = name
        self.shares_host = shares_host
        self._meter = dict(meter or {})
        self._line = Line(name, transport, on_note=note)
        self._sent: set[str] = set()
        self._last_inputs: tuple[weakref.ref[NDArray[Any]], Parcel] | None = None
        started = time.perf_counter()
        hello = self._line.hello()
        self.hello_s = time.perf_counter() - started
        self.agent_sha = str(hello.get("agent_sha", ""))
        try:
            self.capabilities: Mapping[str, Any] = replies.capabilities(hello)
            why_not = meters.why_unusable(self._meter, self.capabilities["meters"])
        except ProtocolError as error:
            why_not = f"its agent does not keep to the protocol: {error}"
        if why_not:
            self.close()
            raise NoDevice(on_board(name, why_not))
        self.fingerprint = str(self.capabilities["fingerprint"])
        if "lease" in self.capabilities.get("requests", ()) and not shares_host:
            self._line.keep_lease()

    @property
    def sent_bytes(self) -> int:
        """Bytes of files sent to the device in this session."""
        return self._line.sent_bytes

    @property
    def better_meter(self) -> str:
        """A meter that would be taken if something were mended on the board, and what; empty when there is none."""
        return meters.better(self._meter, self.capabilities["meters"])

    @property
    def can_race(self) -> bool:
        """Whether several engines can be measured in turns."""
        return "beside" in self.capabilities.get("measures", ())

    @property
    def can_verify(self) -> bool:
        """Whether its agent knows what it means to verify."""
        return "verify" in self.capabilities.get("requests", ())

    def sha256_of(self, inputs: NDArray[Any]) -> str:
        """The name under which the device knows `inputs`."""
        return self._inputs(inputs).sha256

    def build(
        self, source: Path, deployment: Mapping[str, Any], *, sha256: str | None = None, timeout_s: float = JOB_S
    ) -> Built:
        """Compile the ONNX file `source` on the device, or find it compiled there already.

        Args:
            source: the file.
            deployment: how it will run.
            sha256: the file's, where it is known already.
            timeout_s: how long the compiler may take.

        Raises:
            Infeasible: it cannot be built like that on this device.
            JobFailed: the build crashed, took too long or ran out of memory.
            DeviceLost: the device went away, or has no room left.
        """
        parcel = of_file(source, sha256 or sha256_of(source))
        words: dict[str, Any] = {"source": parcel.sha256, "deployment": dict(deployment), "timeout_s": timeout_s}
        return self._ask("build", parcel, replies.built, **words)

    def send(self, source: Path, *, sha256: str | None = None) -> None:
        """Have the file `source` on the device: what is there already is not sent again.

        Raises:
            JobFailed: it was refused.
            DeviceLost: the device went away, or has no room left.
        """
        self._ask("has", of_file(source, sha256 or sha256_of(source)), _heard, sha256=[])

    def keep(self, data: bytes) -> None:
        """Have a file of these bytes on the device, as with `send`.

        Raises:
            JobFailed, DeviceLost: as for `send`.
        """
        self._ask("has", of_bytes(data), _heard, sha256=[])

    def holds(self, sha256: str) -> bool:
        """Whether a file is on the device already.

        Raises:
            DeviceLost: the device went away.
        """
        return self._ask("has", None, lambda answer, _: replies.missing(answer, sha256) is None, sha256=[sha256])

    def measure(
        self,
        built: Built,
        deployment: Mapping[str, Any],
        plan: Mapping[str, Any],
        *,
        inputs: NDArray[Any] | None = None,
        once: str = "",
        beside: Sequence[tuple[Built, Mapping[str, Any]]] = (),
    ) -> Measurement:
        """Measure an engine.

        Args:
            built: the engine.
            deployment: how to run it.
            plan: `explorer_agent.messages.Plan` by name: warmup_s, window_s, windows_min, budget_s, relative_interval.
            inputs: samples to run it on [count, …]; seeded random numbers without.
            once: a name for this question. Asked again under the same name, the device answers what it answered
                before, even if that answer was lost on the way; without, it measures anew.
            beside: other engines, and how to run them, that take turns with this one in the plan's rounds. Ask
                `can_race` first: an agent that does not know them would measure without.

        Raises:
            Infeasible, JobFailed, DeviceLost: as for `build`.
            ValueError: there is somebody beside, and this agent cannot.
        """
        if beside and not self.can_race:
            raise ValueError(on_board(self.name, "its agent measures one engine at a time"))
        parcel = None if inputs is None else self._inputs(inputs)
        plan = dict(plan, inputs=parcel.sha256) if parcel is not None else dict(plan)
        words: dict[str, Any] = {"engine": built.engine, "deployment": dict(deployment), "plan": plan, "once": once}
        if beside:
            words["beside"] = [{"engine": other.engine, "deployment": dict(how)} for other, how in beside]
        read = partial(replies.measurement, windows=plan.get("budget_s", 1.0) > 0, entrants=1 + len(beside))
        return self._ask("measure", parcel, read, **words, meter=self._meter, timeout_s=JOB_S)

    def infer(
        self, built: Built, deployment: Mapping[str, Any], inputs: NDArray[Any], *, timeout_s: float = JOB_S
    ) -> NDArray[Any] | dict[str, NDArray[Any]]:
        """The engine's outputs for all of `inputs` [count, …]: an array, or a dict of them if the network has several.

        The array is made read-only: its sha256 is remembered, so that asking with the same array again costs nothing.

        Raises:
            Infeasible, JobFailed, DeviceLost: as for `build`.
        """
        parcel = self._inputs(inputs)
        words: dict[str, Any] = {"engine": built.engine, "deployment": dict(deployment), "inputs": parcel.sha256}
        read = partial(replies.outputs, count=len(inputs))
        outputs = self._ask("infer", parcel, read, **words, timeout_s=timeout_s)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def verify(
        self,
        built: Built,
        deployment: Mapping[str, Any],
        plan: Mapping[str, Any],
        *,
        no_graph: str = "",
        timeout_s: float = JOB_S,
    ) -> Ran:
        """Have NVIDIA's own runner run an engine. Ask `can_verify` first.

        Args:
            built: the engine.
            deployment: how ours was run.
            plan: of our measurement; its warm-up, its budget and its cooling down count.
            no_graph: why ours ran without CUDA graphs; empty: it ran with them.
            timeout_s: how long it may take from when it is begun.

        Raises:
            Infeasible: it cannot be run there, or not like that.
            JobFailed, DeviceLost: as for `build`.
        """
        words: dict[str, Any] = {"engine": built.engine, "deployment": dict(deployment), "plan": dict(plan)}
        return self._ask("verify", None, replies.ran, **words, no_graph=no_graph, timeout_s=timeout_s)

    def get(self, sha256: str) -> bytes:
        """A file of the device, an engine for instance.

        Raises:
            JobFailed: it is not there.
            DeviceLost: the device went away.
        """
        return self._ask("get", None, lambda _, body: body, sha256=sha256)

    def findings(self) -> list[dict[str, Any]]:
        """What a look at the board found: {"topic", "state": ok | note | warn | bad, "found", "advice"} each.

        Raises:
            JobFailed: this agent cannot look.
            DeviceLost: the device went away.
        """
        return self._ask("check", None, replies.findings)

    def round_trip_s(self, times: int = 21) -> float:
        """Median seconds from a question to its answer."""
        taken = []
        for _ in range(times):
            started = time.perf_counter()
            self._ask("has", None, _heard, sha256=[])
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)

    def upload_s(self, size: int) -> float:
        """Seconds that `size` random bytes take to get there; nothing of them is kept."""
        data = os.urandom(size)
        started = time.perf_counter()
        self._ask("has", None, _heard, body=data, sha256=[])
        self._ask("has", None, _heard, sha256=[])  # answered when the bytes have been read
        return time.perf_counter() - started

    def watch(self, note: Note) -> None:
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

    def _ask(self, request: str, parcel: Parcel | None, read: Callable[[Message, bytes], T], **words: Any) -> T:
        """One question, and what it needs sent before it; sent again if the device has thrown it away meanwhile."""
        try:
            try:
                return read(*self._ask_once(request, parcel, words))
            except AgentError as error:
                if parcel is None or error.cause != "missing":
                    raise
                self._sent.clear()
                return read(*self._ask_once(request, parcel, words))
        except AgentError as error:
            raise _ending(error, on_board(self.name, request)) from error
        except ProtocolError as error:
            raise JobFailed(on_board(self.name, f"its answer does not keep to the protocol: {error}")) from error

    def _ask_once(self, request: str, parcel: Parcel | None, words: Mapping[str, Any]) -> Reply:
        if parcel is not None:
            self._put(parcel)
        return self._line.ask(request, **words)

    def _put(self, parcel: Parcel) -> None:
        """Send `parcel` unless the device has it, from where an earlier transfer stopped."""
        if parcel.sha256 in self._sent:
            return
        answer, _ = self._line.ask("has", sha256=[parcel.sha256])
        offset = replies.missing(answer, parcel.sha256, size=parcel.size)
        if offset is not None:
            body, left = parcel.read_from(offset), parcel.size - offset
            self._line.ask("put", body, length=left, sha256=parcel.sha256, size=parcel.size, offset=offset)
        self._sent.add(parcel.sha256)

    def _inputs(self, inputs: NDArray[Any]) -> Parcel:
        if self._last_inputs is not None and self._last_inputs[0]() is inputs and not inputs.flags.writeable:
            return self._last_inputs[1]
        inputs.setflags(write=False)
        parcel = of_array(inputs)
        self._last_inputs = (weakref.ref(inputs), parcel)
        return parcel


def connect(
    spec: str,
    *,
    cache: Path,
    options: Mapping[str, Any] | None = None,
    holder: str = "",
    search: Path | None = None,
    note: Note | None = None,
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
        note: hears what the agent tells, from the very start: it may have to wait for our own earlier session.

    Raises:
        NoDevice: it cannot be reached or is in use.
        BadInput: an option nobody knows.
    """
    started = start(spec, cache=cache, options=options or {}, holder=holder, search=search)
    meter = started.settings.get("meter")
    return Device(spec, started.transport, shares_host=started.shares_host, meter=meter, note=note)


def check(deployment: Mapping[str, Any], capabilities: Mapping[str, Any], *, name: str) -> None:
    """Refuse what cannot work on the device `name`, by what it said of itself.

    Raises:
        Infeasible: with the reason.
    """
    try:
        refuse(Deployment.of(deployment), capabilities)
    except (AgentError, ProtocolError) as error:
        raise Infeasible(on_board(name, str(error))) from error


def _ending(error: AgentError, where: str) -> Infeasible | JobFailed | DeviceLost:
    """What an agent's error means for the candidate. A full disk is no fault of the candidate's."""
    text = f"{error.text} ({error.hint})" if error.hint else error.text
    if error.cause == "disk":
        return DeviceLost(f"{where}: {text}", mends_itself=False)
    if error.kind in ("infeasible", "unsupported"):
        return Infeasible(f"{where}: {text}", because=error.because)
    return JobFailed(f"{where}: {text}", log_tail=error.trace)


def _heard(_: Message, __: bytes) -> None:
    """An answer of which nothing is wanted but that it came."""
