"""Runs that went wrong in a real study: each is void, or flagged with its reason, wherever its numbers are told.

The agent is the real one over a pipe, the outputs are ONNX Runtime's. Only how long a step takes is made up, by a
runtime that travels with the agent, and so is the board that throttles: a folder of files for its root.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from explorer.config import load
from explorer.report import flags, render
from explorer.store import read
from explorer.study import run
from tests.fixtures import boards
from tests.fixtures.watching import Watching

TROUBLED = '''
import os, subprocess, time
from pathlib import Path
from explorer_agent.runtimes.onnxruntime import OnnxRuntime


class Troubled(OnnxRuntime):
    def load(self, engine, deployment):
        return Engine(super().load(engine, deployment), deployment.batch)


class Engine:
    """What goes wrong is told by the batch."""

    def __init__(self, real, batch):
        self.outputs, self._batch = real.outputs, batch

    def step(self, inputs):
        return {1: steady, 2: Drifting(), 3: starved, 4: long, 5: throttled}[self._batch]


def steady():
    time.sleep(0.002)


class Drifting:
    """Takes a tenth longer every tenth of a second."""

    def __init__(self):
        self._began = time.monotonic()

    def __call__(self):
        time.sleep(0.002 * (1 + time.monotonic() - self._began))


def long():
    time.sleep(0.2)


HUNGRY = []


def starved():
    """Needs the processor, which others keep for themselves."""
    if not HUNGRY:
        HUNGRY.extend(
            subprocess.Popen(["timeout", "10", "sh", "-c", "while :; do :; done"]) for _ in range(4 * os.cpu_count())
        )
    until = time.process_time() + 0.002
    while time.process_time() < until:
        pass


def throttled():
    """The board counts that it slowed itself down."""
    root = Path(os.environ["EXPLORER_AGENT_ROOT"])
    counter = root / "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    counter.write_text(f"{int(counter.read_text()) + 1}\\n")
    time.sleep(0.002)


RUNTIMES = {"troubled": Troubled()}
'''
SPACE = """\
study: s
model: {onnx: net.onnx}
device: "local:"
device_options: {plugins: [troubled.py]}
runtime: troubled
space: {batch: BATCHES}
threads: 1
precision: fp32
objectives: {latency_ms: min, throughput_ips: max}
search: {sampler: random, seed: 3, race: "off"}
measure: {warmup_s: 0.05, windows_min: 5, budget_s: 1, relative_interval: 0.01, idle_s: 0, reference_every: 0}
"""


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Path:
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", tmp_path / "net.onnx")
    (tmp_path / "troubled.py").write_text(TROUBLED)
    return tmp_path


def explore(place: Path, *batches: int) -> Path:
    """A study of these batches; its folder."""
    (place / "space.yaml").write_text(SPACE.replace("BATCHES", str(list(batches))))
    experiment = load(place / "space.yaml")
    return run(experiment, results=place / "results", cache=place / "cache", watcher=Watching()).folder


def flat(text: str | bytes) -> str:
    """Text as one line, whatever a terminal's width has made of it."""
    return " ".join(str(text).split())


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "flag"), [(2, "drifting"), (3, "starved"), (4, "too-short")])
def test_a_doubtful_run_is_flagged_wherever_it_is_told(place: Path, batch: int, flag: str) -> None:
    folder = explore(place, 1, batch)
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    steady, troubled = sorted(lines, key=lambda line: int(line["params"]["batch"]))
    assert flag in troubled["flags"]
    if flag == "too-short":  # a loaded machine may well starve the steady one, too, or make it drift
        assert flag not in steady["flags"]
    number, why = troubled["number"], flags.explain(flag)
    table, page = (render(folder, pareto=False, format=format) for format in ("table", "html"))
    assert re.search(rf"^ +{number}! ", str(table), flags=re.MULTILINE)
    told = re.compile(rf"! {flag} \(trials? ([\d, ]+)\): {re.escape(flags.meaning(flag))}")
    assert str(number) in numbers_in(told, flat(table))
    study = embedded(str(page))
    assert flag in next(trial["flags"] for trial in study["trials"] if trial["number"] == number)
    assert study["doubts"][flag] == why
    assert str(number) in numbers_in(told, " ".join(study["footnotes"]))
    assert all(
        f"{record['number']}!" in str(render(folder, pareto=True, format="table"))
        for record in json.loads(str(render(folder, pareto=True, format="json")))["front"]
        if record["flags"]
    )


@pytest.mark.slow
def test_a_throttled_run_is_void_and_never_on_the_front(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.laptop(tmp_path / "board")
    monkeypatch.setenv("EXPLORER_AGENT_ROOT", str(tmp_path / "board"))
    folder = explore(place, 1, 5)
    good, void = sorted(read(folder).records, key=lambda record: record.params["batch"])
    assert (good.state, void.state) == ("complete", "failed")
    assert void.reason.startswith("void: throttled")
    assert (folder / "raw" / f"{void.number:04d}.json.gz").exists()
    table, page = (render(folder, pareto=True, format=format) for format in ("table", "html"))
    assert f"void (trial {void.number}): throttled" in flat(table)
    assert flags.VOID["throttled"].meaning in flat(table)
    study = embedded(str(page))
    assert [row["kind"] for row in study["leftOut"]] == ["void"]
    assert flags.VOID["throttled"].meaning in study["leftOut"][0]["why"]
    assert [trial["number"] for trial in study["trials"]] == [good.number]
    assert [r["number"] for r in json.loads(str(render(folder, pareto=True, format="json")))["front"]] == [good.number]


def numbers_in(told: re.Pattern[str], text: str) -> list[str]:
    """The trials that a sentence is about; on a loaded machine not only those that are meant to be."""
    match = told.search(text)
    assert match is not None
    return match[1].split(", ")


def embedded(page: str) -> dict[str, Any]:
    """What the page's scripts know of the study."""
    match = re.search(r'<script type="application/json" id="study">(.*?)</script>', page, flags=re.DOTALL)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found
