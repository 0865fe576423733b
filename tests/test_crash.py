"""kill -9 of everything at random moments: the same command goes on, and nothing that was finished is lost or repeated.

The real command line, the real agent, real kills. What may be lost is the candidate in flight, never a record.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

KILLS = 10
PATIENCE_S = 300

SPACE = """\
study: crash
model: {onnx: net.onnx}
space:
  precision: [fp32, int8]
  batch: [1, 2, 3, 4, 5, 6]
  threads: [1, 2]
objectives: {latency_ms: min, model_mb: min}
search: {sampler: random, seed: 3}
measure: {warmup_s: 0.02, window_s: 0.03, windows_min: 2, budget_s: 0.1, relative_interval: 0.5, idle_s: 0}
"""


@dataclass(frozen=True)
class Bench:
    """A space file in a folder of its own, with a cache of its own that marks its processes."""

    folder: Path
    space: str
    study: str

    @property
    def trials(self) -> Path:
        return self.folder / "results" / self.study / "trials.jsonl"

    def explorer(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "EXPLORER_CACHE": str(self.folder / "cache")}
        command = [sys.executable, "-m", "explorer", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def served(self) -> bytes:
        """What the last agent on this machine wrote of itself: its process, and since when."""
        return (self.folder / "cache" / "agent" / "lock").read_bytes()

    def run(self) -> subprocess.Popen[str]:
        return self.explorer("run", "--space", self.space)

    def processes(self) -> list[psutil.Process]:
        """Every process that was started for this bench, whoever its parent has become."""
        return [p for p in psutil.process_iter() if _environment(p).get("EXPLORER_CACHE") == str(self.folder / "cache")]

    def kill_all(self) -> None:
        while alive := [process for process in self.processes() if _lives(process)]:
            for process in alive:
                with contextlib.suppress(psutil.NoSuchProcess):  # it died with another one
                    process.send_signal(signal.SIGKILL)
            psutil.wait_procs(alive, timeout=5)

    def lines(self) -> list[str]:
        """The whole lines on disk; a tail without its line's end is one that was never finished."""
        text = self.trials.read_text() if self.trials.exists() else ""
        return text.split("\n")[:-1]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}  # gone, or somebody else's


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "space.yaml").write_text(SPACE)
    _write_network(tmp_path / "net.onnx")
    bench = Bench(tmp_path, "space.yaml", "crash")
    yield bench
    bench.kill_all()


def _write_network(path: Path) -> None:
    """Two convolutions: the first has too few channels to be worth int8, the second has enough."""
    rng = np.random.default_rng(5)
    kernels = [
        numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), name)
        for name, shape in {"first": (16, 3, 3, 3), "second": (32, 16, 3, 3)}.items()
    ]
    nodes = [
        helper.make_node("Conv", ["input", "first"], ["thin"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["thin"], ["bent"]),
        helper.make_node("Conv", ["bent", "second"], ["thick"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["thick"], ["output"]),
    ]
    ends = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 32, 32]),
        helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 32, 1, 1]),
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], kernels)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def _key(record: dict[str, Any]) -> str:
    return json.dumps(record["params"], sort_keys=True)


def _killed_after(bench: Bench, seconds: float) -> None:
    process = bench.run()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        bench.kill_all()
    process.communicate()


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_lost_and_nothing_repeated(bench: Bench) -> None:
    records = _survives(bench, longest_s=4.0, seed=1)
    assert [record["state"] for record in records] == ["complete"] * 24


@pytest.mark.slow
def test_killed_while_training_pruning_and_exporting(tmp_path: Path, root: Path) -> None:
    """The same where most of the time is spent in stages that leave files behind."""
    pytest.importorskip("sklearn")
    for name in ("digits.py", "digits.yaml"):
        shutil.copy(root / "examples" / "own_model" / name, tmp_path)
    bench = Bench(tmp_path, "digits.yaml", "digits")
    try:
        records = _survives(bench, longest_s=12.0, seed=2)
    finally:
        bench.kill_all()
    assert len(records) == 20
    assert {record["state"] for record in records} == {"complete"}


def _survives(bench: Bench, *, longest_s: float, seed: int) -> list[dict[str, Any]]:
    """Run with `KILLS` kills, each at most `longest_s` after the start, then to the end; the records."""
    moments = random.Random(seed)
    before: list[str] = []
    for _ in range(KILLS):
        _killed_after(bench, moments.uniform(0.2, longest_s))
        now = bench.lines()
        assert now[: len(before)] == before, "a record was lost or changed"
        _report_answers(bench, now)
        before = now

    last = bench.run()
    _, errors = last.communicate(timeout=PATIENCE_S)
    assert last.returncode == 0, errors
    text = bench.trials.read_text()
    assert text.endswith("\n")
    assert text.splitlines()[: len(before)] == before
    records = [json.loads(line) for line in text.splitlines()]
    assert sorted(record["number"] for record in records) == list(range(len(records)))
    assert len({_key(record) for record in records}) == len(records), "a candidate was evaluated again"
    return records


def _report_answers(bench: Bench, lines: list[str]) -> None:
    """At once after a kill, and about exactly the records that are on disk."""
    report = bench.explorer("report", "--pareto", "--format", "json")
    output, errors = report.communicate(timeout=PATIENCE_S)
    if lines:
        assert report.returncode == 0, errors
        assert sum(json.loads(output)["trials"].values()) == len(lines)
        assert json.loads(output)["front"]
    else:
        assert report.returncode in (0, 2), errors
        assert "Traceback" not in errors


@pytest.mark.slow
def test_a_finished_study_has_nothing_left_to_do(bench: Bench) -> None:
    first = bench.run()
    first.communicate(timeout=PATIENCE_S)
    before, served = bench.trials.read_bytes(), bench.served()
    again = bench.run()
    _, errors = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, errors
    assert bench.trials.read_bytes() == before
    assert bench.served() == served, "no board was asked"


def test_nothing_outlives_its_killed_parent(bench: Bench) -> None:
    """kill -9 of the main process alone: its agent and workers notice and go."""
    process = bench.run()
    while len(bench.lines()) < 2:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    until = time.monotonic() + 20
    while (alive := [p for p in bench.processes() if p.status() != psutil.STATUS_ZOMBIE]) and time.monotonic() < until:
        time.sleep(0.2)
    assert not alive, [" ".join(p.cmdline()) for p in alive]
