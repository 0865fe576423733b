"""What a job's child does: build, measure, infer, verify; and how it tells the outcome: in the frames of the wire.

Paths come from the agent, which made them from checked sha256 names; nothing here is a word of the host's.
"""

from __future__ import annotations

import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Callable, Mapping, Tuple

from explorer_agent import board, conditions, disk, meters
from explorer_agent.measuring.bench import Bench
from explorer_agent.measuring.measure import Entrant, measure
from explorer_agent.messages import FAILED, UNSUPPORTED, AgentError, Deployment, Plan, decode
from explorer_agent.runtimes import RUNTIMES, Engine
from explorer_agent.wire import Message, ProtocolError, Writer

Outcome = Tuple[Message, bytes]
NOTE_EVERY_S = 0.5


def run(command: dict[str, Any], pipe: BinaryIO) -> None:
    """Do the job `command` and write notes, then one ``done`` or ``error``, to `pipe`."""
    writer = Writer(pipe)
    try:
        message, body = JOBS[command["kind"]](command, writer)
    except (AgentError, ProtocolError) as error:
        known = error if isinstance(error, AgentError) else AgentError("protocol", str(error))
        writer.write(known.to_wire())
    except MemoryError:
        text = f"ran out of memory ({command.get('memory_mb', 0):.0f} MB allowed)"
        writer.write(AgentError(FAILED, text, trace=traceback.format_exc()).to_wire())
    except OSError as error:
        writer.write(disk.as_error(error, command["kind"]).to_wire())
    except Exception as error:  # noqa: BLE001  whatever a runtime raises: told to the host with its trace, never lost
        text = f"{type(error).__name__}: {error}"
        writer.write(AgentError(FAILED, text[:2000], trace=traceback.format_exc()).to_wire())
    else:
        writer.write(dict(message, type="done", **_marks()), body)


def _marks() -> dict[str, Any]:
    """What every result of a virtual board bears, whichever runtime it comes from."""
    return {"simulated": True} if board.simulated() else {}


def build(command: dict[str, Any], _: Writer) -> Outcome:
    """Compile a network into the file given."""
    deployment = Deployment.of(command["deployment"])
    started = time.perf_counter()
    facts = RUNTIMES[deployment.runtime].build(Path(command["source"]), deployment, Path(command["out"]))
    return dict(facts, seconds=time.perf_counter() - started), b""


def measure_engine(command: dict[str, Any], writer: Writer) -> Outcome:
    """Measure an engine, and those beside it; the raw series are the body, one after the other as float64 in this
    machine's byte order.
    """
    entrants = _entrants(command)
    choice = meters.choose(command["meter"], entrants[0].deployment.placement)
    bench = getattr(RUNTIMES[entrants[0].deployment.runtime], "bench", Bench)()  # a runtime may bring its own
    plan, clocks = decode(Plan, command["plan"]), str(command.get("clocks", "leave"))
    try:
        header, series = measure(entrants, plan, choice.meter, tell=_teller(writer), clocks=clocks, bench=bench)
        header["meter"] = choice.facts()
    finally:
        getattr(choice.meter, "close", bool)()
    header["series"] = [
        {"name": name, "unit": unit_of(name, choice.meter), "count": len(data)} for name, data in series.items()
    ]
    header["byte_order"] = sys.byteorder
    header["estimated"] = bool(header["meter"].get("estimated", False))
    return header, b"".join(data.tobytes() for data in series.values())


def _entrants(command: dict[str, Any]) -> list[Entrant]:
    """The engine that is asked for, and those beside it; all get the same inputs."""
    inputs = Path(command["inputs"]) if command.get("inputs") else None
    others = command.get("beside", ())
    found = [_entrant(command["engine"], command["deployment"], command.get("engine_sha256", ""), inputs)]
    for number, other in enumerate(others):
        found.append(_entrant(command[f"beside_{number}"], other["deployment"], other["engine"], inputs))
    return found


def _entrant(path: str, asked: dict[str, Any], sha256: str, inputs: Path | None) -> Entrant:
    deployment = Deployment.of(asked)
    loaded: list[Engine] = []

    def load() -> list[Callable[[], Any]]:
        loaded[:] = [RUNTIMES[deployment.runtime].load(Path(path), deployment)]
        return [loaded[0].step(inputs) for _ in range(deployment.streams)]

    def told() -> Mapping[str, Any]:
        facts: Mapping[str, Any] = getattr(loaded[0], "facts", dict)()  # a plug-in's engine may have nothing to say
        return facts

    return Entrant(load, deployment, sha256, told)


def infer(command: dict[str, Any], _: Writer) -> Outcome:
    """Run all samples through an engine, on every core: speed does not matter here, only what comes out."""
    asked = Deployment.of(command["deployment"])
    streams = asked.streams if "+" in asked.placement else 1  # several units want a stream each
    deployment = replace(asked, threads=0, streams=streams)
    engine = RUNTIMES[deployment.runtime].load(Path(command["engine"]), deployment)
    return {}, engine.outputs(Path(command["inputs"]))


def verify(command: dict[str, Any], _: Writer) -> Outcome:
    """Have NVIDIA's own runner run an engine, and tell how the board was meanwhile."""
    deployment = Deployment.of(command["deployment"])
    check = getattr(RUNTIMES[deployment.runtime], "verify", None)  # a runtime may have such a runner
    if check is None:
        raise AgentError(UNSUPPORTED, f"trtexec runs engines of TensorRT, not of {deployment.runtime}")
    plan, before = decode(Plan, command["plan"]), board.state()
    told = check(
        Path(command["engine"]), deployment, plan, file=Path(command["out"]), graph=not command.get("no_graph")
    )
    flags = conditions.flags(before, board.state(), {}, str(command.get("clocks", "leave")))
    return dict(told, flags=flags), b""


JOBS: dict[str, Callable[[dict[str, Any], Writer], Outcome]] = {
    "build": build,
    "measure": measure_engine,
    "infer": infer,
    "verify": verify,
}


def unit_of(series: str, meter: Any) -> str:
    """The unit of a series by its name."""
    if series.endswith(("_s", "_seconds")):
        return "s"
    return meter.quantity if series.startswith("meter_") else "1"


def _teller(writer: Writer) -> Callable[[float], None]:
    """Tells the host of progress, but not at every window."""
    last = [0.0]

    def tell(fraction: float) -> None:
        if time.monotonic() - last[0] >= NOTE_EVERY_S:
            last[0] = time.monotonic()
            writer.write({"type": "note", "kind": "progress", "text": "measuring", "fraction": fraction})

    return tell
