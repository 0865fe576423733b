"""Boards to test fleets with: agents of their own on this machine, each with its own home, cores and speed.

A board's python is a wrapper: it may pin the agent to some cores (so that its fingerprint is another one) and tells the
runtime `known` how long an inference takes there (so that one board is slower than the other by a known factor).
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from explorer.config import Experiment, load, override
from explorer.result import Record
from explorer.space import Candidate
from explorer.store import read
from explorer.study import Ending, run
from tests.fixtures.watching import Watching

PATIENCE_S = 120.0
# Real outputs, by ONNX Runtime, and a latency that is told by the board: it sleeps, so that boards do not disturb each
# other.
KNOWN = """
import os, signal, time
from pathlib import Path
from explorer_agent.runtimes.onnxruntime import OnnxRuntime


class Known(OnnxRuntime):
    def build(self, source, deployment, out):
        if str(deployment.batch) == os.environ.get("DEADLY_BATCH"):
            os.kill(agent(), signal.SIGKILL)
            time.sleep(60)
        return super().build(source, deployment, out)

    def load(self, engine, deployment):
        return Slept(super().load(engine, deployment), deployment)


class Slept:
    def __init__(self, real, deployment):
        self.outputs, self.deployment = real.outputs, deployment

    def step(self, inputs):
        with Path(os.environ["MEASURED"]).open("a") as log:
            log.write(f"{self.deployment.batch} {self.deployment.threads}\\n")
        return lambda: time.sleep(float(os.environ["KNOWN_S"]))


def agent():
    nursery = Path(f"/proc/{os.getppid()}/stat").read_text()
    return int(nursery.rpartition(")")[2].split()[1])


RUNTIMES = {"known": Known()}
"""
SPACE = """\
study: s
model: {onnx: net.onnx}
device: [DEVICES]
device_options: {plugins: [known.py]}
runtime: known
space:
  batch: [1, 2, 3, 4]
  threads: [1, 2]
precision: fp32
objectives: {throughput_ips: max, model_mb: min}
search: {sampler: random, seed: 3}
measure: {warmup_s: 0.02, window_s: 0.05, windows_min: 2, budget_s: 0.2, relative_interval: 0.5, idle_s: 0}
"""


@dataclass(frozen=True)
class Boards:
    """A folder with a space file, and boards described in files beside it."""

    folder: Path

    def add(
        self, name: str, *, latency_s: float = 0.002, cores: str = "", patience_s: float = 60.0, deadly: int = 0
    ) -> str:
        """Describe a board, which dies of building for the batch `deadly`; the name of its file."""
        python = self.folder / f"{name}-python"
        variables = f"KNOWN_S={latency_s} DEADLY_BATCH={deadly} MEASURED={self.folder / 'measured.log'}"
        pinned = f"taskset -c {cores} " if cores else ""
        python.write_text(f'#!/bin/sh\n{variables} exec {pinned}{sys.executable} "$@"\n')
        python.chmod(0o755)
        text = f"transport: local\npython: {python}\nhome: {self.home(name)}\npatience_s: {patience_s}\n"
        (self.folder / f"{name}.yaml").write_text(text)
        return f"{name}.yaml"

    def home(self, name: str) -> Path:
        return self.folder / "homes" / name

    def experiment(self, *devices: str, text: str = SPACE, only: tuple[str, ...] = ()) -> Experiment:
        (self.folder / "space.yaml").write_text(text.replace("DEVICES", ", ".join(devices)))
        return override(load(self.folder / "space.yaml"), devices=tuple(str(self.folder / name) for name in only))

    def run(
        self, *devices: str, text: str = SPACE, watching: Watching | None = None, only: tuple[str, ...] = ()
    ) -> Ending:
        """Explore on `devices`; `only` stands for --device on the command line."""
        experiment = self.experiment(*devices, text=text, only=only)
        cache, results = self.folder / "cache", self.folder / "results"
        return run(experiment, results=results, cache=cache, watcher=watching or Watching())

    @property
    def records(self) -> tuple[Record, ...]:
        return read(self.folder / "results" / "s").records

    @property
    def measured(self) -> list[str]:
        """Batch and threads of every measurement that began on any of the boards."""
        return (self.folder / "measured.log").read_text().splitlines()

    def agents(self, name: str) -> list[psutil.Process]:
        """The agent of a board, and whatever it has started."""
        home = str(self.home(name))
        agents = [process for process in psutil.process_iter() if home in _words(process)]
        return [process for agent in agents for process in (agent, *_children(agent))]

    def signal(self, name: str, number: int) -> None:
        """Send `number` to the agent of a board and to whatever it has started."""
        for process in self.agents(name):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended with its parent
                process.send_signal(number)


def make(folder: Path, root: Path) -> Boards:
    """A folder with a network and the runtime `known` in it."""
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", folder / "net.onnx")
    (folder / "known.py").write_text(KNOWN)
    return Boards(folder)


def keys(records: tuple[Record, ...]) -> set[tuple[object, ...]]:
    return {Candidate(record.params).key for record in records}


def wait_for(true: Callable[[], object]) -> None:
    """Until it is."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.05)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:  # gone meanwhile
        return []


def _words(process: psutil.Process) -> list[str]:
    """Its command line; of a zombie none is left."""
    try:
        return process.cmdline()
    except psutil.Error:  # gone, or somebody else's
        return []
