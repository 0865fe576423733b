"""A real study on a board that takes seconds for nothing, to be disturbed; and the judge of how it bore that.

    explorer run (a process) ──way (relay, link or pipe)──► sshd ──► agent ──► scripted runtime
         │                                                              │             │
         ▼                                                              ▼             ▼
    results/study: records, raw/NNNN                            home/replies    ledger.jsonl
         └──────────────────────────── judge ─────────────────────────┴─────────────┘

An execution is one run of a measurement on the board, and its name travels in the measurement's header. Lost: one that
came to its end, or whose reply the board even kept, and that no record is made of. Doubled: one that two records are
made of, a candidate with two records, or numbers with a gap. Blamed: a candidate recorded as anything but complete,
when all were innocent.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import psutil
from onnx import TensorProto, helper

from faults.board import Board
from faults.clock import Clock

HERE = Path(__file__).parent
STUDY = "faults"
PATIENCE_S = 120.0
BOARD = {"plugins": ["scripted"], "runtimes": ["onnxruntime"]}

SPACE = """\
study: {study}
model: {{onnx: net.onnx}}
device: board.yaml
space:
  batch: {batches}
meter: {{name: ledger}}
objectives: {{latency_ms: min, model_mb: min}}
search: {{sampler: random, seed: 3, trials: {trials}, race: off}}
measure:
  {{warmup_s: 0.02, window_s: 0.03, windows_min: 2, budget_s: 0.1, relative_interval: 0.5, idle_s: 0,
    reference_every: 0}}
"""

# The command line, with the agent's sources taken from elsewhere.
WITH_AGENT = """
import pathlib, sys
from explorer.transports import bundle
agent = pathlib.Path(sys.argv.pop(1))
bundle.agent_folder = lambda: agent
from explorer.cli import main
main()
"""


class Hung(AssertionError):
    """It did not end, or not happen, in time."""


@dataclass(frozen=True)
class Verdict:
    """What went wrong, each in words; all empty when nothing did."""

    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    blamed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not (self.lost or self.doubled or self.blamed)


@dataclass
class Scene:
    """A folder with a space file, and a board's home with the scripts its runtime reads.

    Args:
        folder: all of it lies below.
        board: where the agent lives.
        options: further keys of the board's file.
        trials: candidates, one for each batch from 1 on.
        megabytes: size of the network that is sent.
        clock: the one the host goes by.
    """

    folder: Path
    board: Board
    options: Mapping[str, Any] = field(default_factory=dict)
    trials: int = 6
    megabytes: float = 0.01
    clock: Clock | None = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home.parent.mkdir(parents=True, exist_ok=True)
        self.script()
        self.furnish(self.folder)

    @property
    def home(self) -> Path:
        """The agent's."""
        return self.board.home

    def furnish(self, folder: Path, *, study: str = STUDY) -> None:
        """Make `folder` one that ``explorer run`` can work in."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "scripted.py", folder)
        write_network(folder / "net.onnx", self.megabytes)
        described = {"transport": "ssh", "address": self.board.address, "home": str(self.home), **BOARD, **self.options}
        (folder / "board.yaml").write_text(json.dumps(described))
        batches = list(range(1, self.trials + 1))
        (folder / "space.yaml").write_text(SPACE.format(study=study, batches=batches, trials=self.trials))

    # The host.

    def start(self, *, folder: Path | None = None, agent: Path | None = None) -> subprocess.Popen[bytes]:
        """``explorer run`` in a process of its own group; its words go to the file `said` in `folder`.

        Args:
            folder: where, instead of the scene's own.
            agent: sources of an agent to send instead of ours.
        """
        folder = folder or self.folder
        own = {"EXPLORER_CACHE": str(folder / "cache"), "EXPLORER_SSH_CONFIG": str(self.board.client_config)}
        clock = self.clock.environment if self.clock else {}
        environment = {**os.environ, **clock, **own, "COLUMNS": "1000"}
        explorer = ["-c", WITH_AGENT, str(agent)] if agent else ["-m", "explorer"]
        command = [sys.executable, *explorer, "run", "--space", "space.yaml"]
        with (folder / "said").open("ab") as said:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True
            )
        self.processes.append(process)
        return process

    def ends(self, process: subprocess.Popen[bytes], *, within_s: float = PATIENCE_S) -> int:
        """The exit status.

        Raises:
            Hung: it does not end within `within_s`.
        """
        try:
            return process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise Hung(f"the study still runs after {within_s:.0f} s:\n{self.said()}") from None

    def goes_on(self, process: subprocess.Popen[bytes], *, within_s: float = PATIENCE_S) -> str:
        """Have the study end by itself, with nothing lost, doubled or blamed; what it said."""
        code = self.ends(process, within_s=within_s)
        verdict = self.judge()
        assert code == 0, self.said()
        assert verdict, f"{verdict}\n{self.said()}"
        return self.said()

    def said(self) -> str:
        """Its words so far; lines that were folded for the terminal are whole again."""
        path = self.folder / "said"
        return path.read_text(errors="replace").replace("\n  ", " ") if path.exists() else ""

    def close(self) -> None:
        """Leave no process behind."""
        for process in self.processes:
            kill_host(process)
        alive = self.agents()
        for agent in alive:
            kill(agent)
        psutil.wait_procs(alive, timeout=10)

    # The board.

    def script(self, *, build_s: float = 0.1, measure_s: float = 0.1, infer_s: float = 0.05) -> None:
        """How long each phase takes at least."""
        times = {"build_s": build_s, "measure_s": measure_s, "infer_s": infer_s, "step_s": 0.002}
        temporary = self.home.parent / "script.new"
        temporary.write_text(json.dumps(times))
        temporary.replace(self.home.parent / "script.json")

    def hold(self, phase: str) -> Path:
        """Have the phase wait until the file returned is unlinked."""
        path = self.home.parent / f"hold-{phase}"
        path.touch()
        return path

    def trap(self, phase: str, trick: str) -> Path:
        """Have the next such phase come to grief, once: then the file returned is gone."""
        path = self.home.parent / f"trap-{phase}"
        path.write_text(trick)
        return path

    def ledger(self) -> list[dict[str, Any]]:
        """What happened on the board."""
        path = self.home.parent / "ledger.jsonl"
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def executions(self, what: str, *, batch: int) -> list[dict[str, Any]]:
        """How often this happened to a candidate."""
        return [line for line in self.ledger() if (line["what"], line["batch"]) == (what, batch)]

    def agents(self) -> list[psutil.Process]:
        """The agents that serve this home, their nurseries not."""
        return [p for p in psutil.process_iter() if "serve" in (words := _words(p)) and self._is_home(words)]

    def _is_home(self, words: list[str]) -> bool:
        return any(word.removeprefix("--home=") == str(self.home) for word in words)

    def agent(self) -> psutil.Process:
        """The youngest agent."""
        return max(wait_for(self.agents, "an agent"), key=lambda p: p.create_time())

    def nurseries(self) -> list[psutil.Process]:
        """The agents' children."""
        return [nursery for agent in self.agents() for nursery in _children(agent)]

    def workers(self) -> list[psutil.Process]:
        """The processes of jobs: children of nurseries."""
        return [worker for nursery in self.nurseries() for worker in _children(nursery)]

    def sees(self, what: str, *, count: int = 1, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait until `what` (build, built, measure, measured, infer) has happened `count` times; the last of them."""

        def found() -> list[dict[str, Any]]:
            lines = [line for line in self.ledger() if line["what"] == what]
            return lines[count - 1 : count]

        try:
            return dict(wait_for(found, f"{what} × {count}", within_s)[0])
        except Hung as hung:
            raise Hung(f"{hung}:\n{self.said()}") from None

    # The judge.

    def records(self) -> list[dict[str, Any]]:
        path = self.folder / "results" / STUDY / "trials.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def judge(self, *, excused: Sequence[tuple[float, float]] = ()) -> Verdict:
        """Of a study that has ended.

        Args:
            excused: spans (time.monotonic) in which a measurement may come to its end for nothing: whoever was to keep
                it was just killed, or had no room to.
        """
        records, kept = self.records(), set(self._kept())
        made_of = Counter(self._executions(records))
        numbers = sorted(record["number"] for record in records)
        params = Counter(json.dumps(record["params"], sort_keys=True) for record in records)
        doubled = [f"{name} makes {count} records" for name, count in made_of.items() if count > 1]
        doubled += [f"{name} has {count} records" for name, count in params.items() if count > 1]
        doubled += [f"numbers {numbers}"] if numbers != list(range(len(records))) else []
        ended = {
            line["execution"] for line in self.ledger() if line["what"] == "measured" and not _within(line, excused)
        }
        lost = [f"{name} was measured for nothing" for name in sorted((kept | ended) - set(made_of))]
        lost += [f"of {self.trials} candidates {len(records)} are recorded"] if len(records) < self.trials else []
        blamed = [f"{r['params']}: {r['state']}: {r.get('reason', '')}" for r in records if r["state"] != "complete"]
        return Verdict(tuple(lost), tuple(doubled), tuple(blamed))

    def _kept(self) -> Iterator[str]:
        """The executions whose replies are in the board's cache."""
        for path in (self.home / "replies").glob("*"):
            message = json.loads(path.read_bytes().partition(b"\n")[0])
            if "windows" in message:
                yield message["meter"]["execution"]

    def _executions(self, records: list[dict[str, Any]]) -> Iterator[str]:
        for record in records:
            path = self.folder / "results" / STUDY / "raw" / f"{record['number']:04d}.json.gz"
            if path.exists():
                yield json.loads(gzip.decompress(path.read_bytes()))["header"]["meter"]["execution"]


def _within(line: Mapping[str, Any], spans: Sequence[tuple[float, float]]) -> bool:
    return any(begin <= line["at_s"] <= end for begin, end in spans)


def names(said: str, *words: str) -> bool:
    """Whether one line of what was said holds all these words: board, job, cause."""
    return any(all(word in line for word in words) for line in said.splitlines())


def kill_host(process: subprocess.Popen[bytes]) -> None:
    """kill -9, its workers too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(found: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """What `found` returns once it is true.

    Raises:
        Hung: it does not come within `within_s`.
    """
    until = time.monotonic() + within_s
    while not (value := found()):
        if time.monotonic() > until:
            raise Hung(f"no {what} within {within_s:.0f} s")
        time.sleep(0.02)
    return value


def write_network(path: Path, megabytes: float) -> None:
    """A network that hands its input on, hence without error whatever runs it, and as large as wanted."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in ("input", "output")]
    graph = helper.make_graph([helper.make_node("Identity", ["input"], ["output"])], "net", ends[:1], ends[1:])
    graph.doc_string = random.Random(5).randbytes(int(megabytes * 5e5)).hex()
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def _words(process: psutil.Process) -> list[str]:
    try:
        return [] if process.status() == psutil.STATUS_ZOMBIE else process.cmdline()
    except psutil.Error:
        return []


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []


def kill(process: psutil.Process) -> None:
    """kill -9; no matter if it is gone already."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)
