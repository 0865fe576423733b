"""A board's runtime and meter with nothing behind them: they take the time they are told, and keep a ledger.

Beside the agent's home:
    ledger.jsonl        a line for everything that began or ended here: {"what", "batch", "execution", "pid", "at_s"}
    script.json         {"build_s", "infer_s", "step_s"}
    hold-measure        while this file is there, a measurement waits (hold-build, hold-infer alike)
    trap-measure        the next measurement does what is written in it ("allocate", "kill", …), once

The meter's facts travel in the measurement's header, so the host's records tell which execution they were made of.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from explorer_agent import runtimes
from explorer_agent.messages import Deployment

NAME = "onnxruntime"  # the network of the study is an ONNX file; nobody reads it


def _allocate() -> None:
    """All there is on a board with 256 MB to spare: the machine of the tests may have a hundred times that."""
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 28, 1 << 28))
    hoard = [bytearray(1 << 24) for _ in range(1 << 16)]
    raise AssertionError(f"{len(hoard)} pieces of 16 MB")


TRICKS = {
    "allocate": _allocate,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
}
_now: dict[str, Any] = {}  # what this process, which does one job, is about


class Scripted:
    """The runtime."""

    def available(self) -> str:
        return ""

    def describe(self) -> dict[str, Any]:
        return {"version": "1", "precisions": {"fp32": ""}}

    def build(self, source: Path, deployment: Deployment, out: Path) -> dict[str, Any]:
        _begin("build", source.parents[2], deployment)
        _spend("build")
        out.write_text(json.dumps({"batch": deployment.batch}), encoding="ascii")
        _tell("built")
        return {"layers": {deployment.precision: 1}}

    def load(self, engine: Path, deployment: Deployment) -> Loaded:
        return Loaded(engine.parents[2], deployment)


class Loaded:
    """An engine of it; its outputs are its inputs."""

    def __init__(self, home: Path, deployment: Deployment) -> None:
        self._home, self._deployment = home, deployment

    def step(self, inputs: Path | None) -> Callable[[], Any]:
        _begin("measure", self._home, self._deployment)
        _spend("measure")
        step_s = _script()["step_s"]
        return lambda: time.sleep(step_s)

    def outputs(self, inputs: Path) -> bytes:
        _begin("infer", self._home, self._deployment)
        _spend("infer")
        return inputs.read_bytes()


class Ledger:
    """A meter of a steady watt."""

    name, quantity = "ledger", "J"

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self._start = time.perf_counter()

    def available(self) -> str:
        return ""

    def rails(self) -> Sequence[str]:
        return ["all"]

    def read(self) -> Sequence[float]:
        return [time.perf_counter() - self._start]

    def facts(self) -> dict[str, Any]:
        """Asked for in hello, before an engine is loaded, and once the measurement is complete."""
        if "execution" not in _now:
            return {"estimated": False}
        _tell("measured")
        return {"estimated": False, "execution": _now["execution"]}


def _begin(what: str, home: Path, deployment: Deployment) -> None:
    batch = deployment.batch
    _now.update(place=home.parent, batch=batch, execution=f"{what}-{batch}-{os.getpid()}-{time.monotonic_ns()}")
    _tell(what)


def _spend(phase: str) -> None:
    time.sleep(_script().get(f"{phase}_s", 0.0))
    while (_now["place"] / f"hold-{phase}").exists():
        time.sleep(0.02)
    trap = _now["place"] / f"trap-{phase}"
    if trap.exists():
        trick = trap.read_text(encoding="ascii").strip()
        trap.unlink()
        TRICKS[trick]()


def _script() -> dict[str, float]:
    script: dict[str, float] = json.loads((_now["place"] / "script.json").read_text(encoding="ascii"))
    return script


def _tell(what: str) -> None:
    line = {"what": what, "batch": _now["batch"], "execution": _now["execution"], "pid": os.getpid()}
    handle = os.open(str(_now["place"] / "ledger.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, json.dumps(dict(line, at_s=time.monotonic())).encode("ascii") + b"\n")
    os.close(handle)


RUNTIMES = {NAME: Scripted()}
METERS = {"ledger": Ledger}
runtimes.RUNTIMES.pop(NAME, None)  # in the place of the real one, which this board lacks
