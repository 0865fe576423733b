"""For the tests of the agent and of anybody's plug-ins: fakes with known answers, and contracts to inherit.

``serve --plugin explorer_agent.testing`` adds the runtime `fake` (a known latency, and every way to fail, without
any dependency) and the meter `steady` (known watts). A runtime or meter of your own is tested by a subclass:

    class TestMyRuntime(RuntimeContract):
        runtime = MyRuntime()
        def source(self, folder): ...   # writes an ONNX file for the deployment, returns its path
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

from explorer_agent.messages import INFEASIBLE, AgentError, Deployment
from explorer_agent.meters import Meter
from explorer_agent.runtimes import Runtime
from explorer_agent.runtimes.library import cores

STEADY_W = 7.5
HOG_S = 60.0
_HOG = """
import os, sys, time
parent, end = os.getppid(), time.monotonic() + float(sys.argv[1])
while time.monotonic() < end and os.getppid() == parent:
    sum(range(20000))
"""


class FakeRuntime:
    """Its source is JSON, its engine a copy of that. What it may say:

    "latency_s"     of an inference (0.001)                   "do"      what to do when built, "then": when measured
    "noise"         relative standard deviation, log-normal   "seed"    of the noise
    "drift_per_s"   relative growth of the latency a second   "waits"   true: sleeps instead of keeping a core busy
    "starve"        so many processes that hog the cores, from when it is measured until its job ends
    """

    def available(self) -> str:
        return ""

    def describe(self) -> dict[str, Any]:
        precisions = {"fp32": "", "int8": "", "fp16": "this fake has no fp16"}
        return {"version": "1", "precisions": precisions, "streams_max": cores()}

    def build(self, source: Path, deployment: Deployment, out: Path) -> dict[str, Any]:
        script = json.loads(source.read_text(encoding="utf-8"))
        misbehave(script.get("do", ""))
        out.write_text(json.dumps(dict(script, batch=deployment.batch)), encoding="utf-8")
        return {"layers": {deployment.precision: 1}}

    def load(self, engine: Path, deployment: Deployment) -> FakeEngine:
        return FakeEngine(json.loads(engine.read_text(encoding="utf-8")))


class FakeEngine:
    """Busy for exactly its latency; its outputs are the bytes of its inputs."""

    def __init__(self, script: Mapping[str, Any]) -> None:
        self._script = script
        self._latency_ns = script.get("latency_s", 0.001) * 1e9
        self._then = script.get("then", "")

    def step(self, inputs: Path | None) -> Callable[[], Any]:
        misbehave(self._then)
        for _ in range(self._script.get("starve", 0)):
            hog()
        lasts, waits = self._latencies(), self._script.get("waits", False)
        return lambda: (_wait if waits else _spin)(next(lasts))

    def outputs(self, inputs: Path) -> bytes:
        misbehave(self._then)
        return inputs.read_bytes()

    def _latencies(self) -> Iterator[int]:
        """How long each inference lasts, in ns."""
        chance, noise = random.Random(self._script.get("seed", 0)), self._script.get("noise", 0.0)
        drift, begin = self._script.get("drift_per_s", 0.0), time.perf_counter()
        while True:
            grown = 1 + drift * (time.perf_counter() - begin)
            yield int(self._latency_ns * grown * (math.exp(chance.gauss(0, noise)) if noise else 1))


def _spin(ns: int) -> None:
    end = time.perf_counter_ns() + ns
    while time.perf_counter_ns() < end:
        pass


def _wait(ns: int) -> None:
    time.sleep(ns / 1e9)


def hog(seconds: float = HOG_S) -> subprocess.Popen[bytes]:
    """A process that keeps a core busy for as long as its parent lives, so many seconds at most."""
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", _HOG, str(seconds)])


def misbehave(how: str) -> None:
    """Do one of the things that real runtimes do at times."""
    if how:
        _TRICKS[how]()


def _print() -> None:
    print("printed by Python")
    os.system("echo printed by a child")
    os.write(1, b"printed to the descriptor\n")


def _refuse() -> None:
    raise AgentError(INFEASIBLE, "this layer does not exist here", hint="another precision")


def _raise() -> None:
    raise RuntimeError("compiler said no")


def _stubborn() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(3600)


def _leave_behind() -> None:
    """Leave two processes in the background, in sessions of their own: a program, and a fork that holds every pipe."""
    subprocess.Popen(["sleep", "3600"], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)
    os.wait()


def _leave_behind_and_crash() -> None:
    _leave_behind()
    os.kill(os.getpid(), signal.SIGSEGV)


def _leave_behind_and_hang() -> None:
    _leave_behind()
    time.sleep(3600)


def _chatter() -> None:
    while True:
        os.write(1, b"and another thing\n" * 4096)


def _fill_the_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _kill_nursery() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


_TRICKS: dict[str, Callable[[], Any]] = {
    "print": _print,
    "refuse": _refuse,
    "raise": _raise,
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "exit": lambda: os._exit(7),
    "hang": lambda: time.sleep(3600),
    "linger": lambda: time.sleep(1.0),
    "allocate": lambda: [bytearray(1 << 24) for _ in range(1 << 16)],
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "nursery": _kill_nursery,
    "stubborn": _stubborn,
    "leave": _leave_behind,
    "leave and crash": _leave_behind_and_crash,
    "leave and hang": _leave_behind_and_hang,
    "chatter": _chatter,
    "full": _fill_the_disk,
}


class SteadyMeter:
    """A counter that has seen STEADY_W since it was made."""

    name = "steady"
    quantity = "J"

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self._start = time.perf_counter()

    def available(self) -> str:
        return ""

    def rails(self) -> Sequence[str]:
        return ["a", "b"]

    def read(self) -> Sequence[float]:
        joules = (time.perf_counter() - self._start) * STEADY_W
        return [joules * 0.2, joules * 0.8]

    def facts(self) -> dict[str, Any]:
        return {"estimated": False, "means": "a and b"}


RUNTIMES = {"fake": FakeRuntime()}
METERS = {"steady": SteadyMeter}


class MeterContract:
    """What every meter keeps; a subclass gives `meter`."""

    meter: Meter

    def test_says_why_not_in_words(self) -> None:
        assert isinstance(self.meter.available(), str)

    def test_reads_one_number_a_rail_and_counters_never_fall(self) -> None:
        if self.meter.available():
            return
        rounds = [list(self.meter.read()) for _ in range(3)]
        assert all(len(numbers) == len(self.meter.rails()) for numbers in rounds)
        if self.meter.quantity == "J":
            assert all(later >= earlier for one, two in zip(rounds, rounds[1:]) for earlier, later in zip(one, two))

    def test_facts_are_json_and_say_whether_it_estimates(self) -> None:
        assert isinstance(json.loads(json.dumps(self.meter.facts(), allow_nan=False))["estimated"], bool)
        assert self.meter.quantity in ("J", "W", "model")


class RuntimeContract:
    """What every runtime keeps; a subclass gives `runtime`, `deployment`, `source` and `samples` (an .npz for that
    source).
    """

    runtime: Runtime
    deployment = Deployment(threads=1, batch=2)

    def source(self, folder: Path) -> Path:
        raise AssertionError("a subclass writes the source and returns its path")

    def samples(self, folder: Path) -> Path:
        raise AssertionError("a subclass writes an .npz of three samples and returns its path")

    def test_describes_itself_in_json(self) -> None:
        assert self.runtime.available() == ""
        facts = json.loads(json.dumps(self.runtime.describe(), allow_nan=False))
        assert facts["version"]
        assert facts["precisions"][self.deployment.precision] == ""
        assert all(isinstance(why_not, str) for why_not in facts["precisions"].values())

    def test_builds_loads_and_runs(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            engine = folder / "engine"
            facts = self.runtime.build(self.source(folder), self.deployment, engine)
            assert facts["layers"]
            assert engine.stat().st_size > 0
            loaded = self.runtime.load(engine, self.deployment)
            step = loaded.step(None)
            step()
            step()
            assert members(loaded.outputs(self.samples(folder)))

    def test_runs_as_many_streams_as_it_says(self) -> None:
        streams = min(2, self.runtime.describe().get("streams_max", 1))
        deployment = replace(self.deployment, streams=streams, threads=1)
        with tempfile.TemporaryDirectory() as name:
            engine = Path(name) / "engine"
            self.runtime.build(self.source(Path(name)), self.deployment, engine)
            loaded = self.runtime.load(engine, deployment)
            failures: list[BaseException] = []
            workers = [threading.Thread(target=_ten, args=(loaded.step(None), failures)) for _ in range(streams)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            assert not failures, failures

    def test_a_source_that_is_none_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "source"
            source.write_bytes(b"\x00 this is no network")
            try:
                self.runtime.build(source, self.deployment, Path(name) / "engine")
            except (AgentError, ValueError, RuntimeError):
                return
        raise AssertionError("a source that is no network was built")


def _ten(step: Callable[[], Any], failures: list[BaseException]) -> None:
    try:
        for _ in range(10):
            step()
    except BaseException as error:  # noqa: BLE001  told by the test, in the thread that runs it
        failures.append(error)


def members(npz: bytes) -> list[str]:
    """The names of the arrays in an .npz."""
    with zipfile.ZipFile(io.BytesIO(npz)) as file:
        return file.namelist()
