"""Undecided candidates are measured against each other: until it is decided, over kills, on a real agent."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from explorer.config import Experiment, SearchPlan, load
from explorer.report.recompute import recompute
from explorer.result import Evaluation, Objective, Record, StageTime
from explorer.space import Axis, Space
from explorer.store import StudyData, read
from explorer.study import Ending, run
from explorer.study.race import SHARE, Racing, can_race, share_s
from tests.fixtures.watching import Watching

# An engine's time is made up: two batches differ by 1 %, which one reading of 0.1 s can hardly tell.
KNOWN = """
import os, time
from explorer_agent.runtimes.onnxruntime import OnnxRuntime


class Known(OnnxRuntime):
    def load(self, engine, deployment):
        return Engine(super().load(engine, deployment), deployment.batch)


class Engine:
    def __init__(self, real, batch):
        self.outputs, self._s = real.outputs, 0.003 * (1 + 0.01 * (batch - 1))

    def step(self, inputs):
        return lambda: time.sleep(self._s)


RUNTIMES = {"known": Known()}
"""
SPACE = """\
study: s
model: {onnx: net.onnx}
device: "local:"
device_options: {plugins: [known.py]}
runtime: known
space: {batch: [1, 2]}
threads: 1
precision: fp32
objectives: {latency_ms: min}
search: {sampler: random, seed: 3, race: 20s}
measure: {warmup_s: 0.02, window_s: 0.05, windows_min: 2, budget_s: 0.1, relative_interval: 0.5, idle_s: 0}
"""


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Path:
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", tmp_path / "net.onnx")
    (tmp_path / "known.py").write_text(KNOWN)
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path


def explore(place: Path, watching: Watching | None = None) -> Ending:
    experiment = load(place / "space.yaml")
    watcher = watching or Watching()
    return run(experiment, results=place / "results", cache=place / "cache", watcher=watcher)


@pytest.mark.slow
def test_what_one_reading_cannot_tell_is_raced_and_derived_again(place: Path) -> None:
    watching = Watching()
    ending = explore(place, watching)
    data = read(ending.folder)
    assert "all 2 candidates have been tried" in ending.reason
    assert len(data.races) == len(watching.undecided) >= 1
    assert data.races[0]["race"] == 1
    assert sorted(data.races[0]["trials"]) == [0, 1]
    assert {"latency_ms", "throughput_ips"} <= set(data.races[0]["readings"])
    assert (ending.folder / "raw" / "race-0001.json.gz").exists()
    assert "nothing is undecided" in ending.reason or "still undecided" in ending.reason
    found = recompute(ending.folder)
    assert found.ok, found
    assert found.same == 2 + len(data.races)
    if "nothing is undecided" in ending.reason:  # and then the next run says so at once, without a board
        again = explore(place)
        assert again.reason == ending.reason


@pytest.mark.slow
def test_a_board_that_dies_in_a_race_comes_back_to_it(place: Path) -> None:
    killed = []

    class Killing(Watching):
        def racing(self, *, undecided: int) -> None:
            super().racing(undecided=undecided)
            if not killed:
                for process in agents(place):
                    process.send_signal(signal.SIGKILL)
                    killed.append(process.pid)

    (place / "space.yaml").write_text(SPACE.replace("[1, 2]", "[1, 2, 3, 4]"))
    watching = Killing()
    ending = explore(place, watching)
    assert killed
    assert [note for note in watching.notes if "connecting again" in note]
    assert read(ending.folder).races
    assert recompute(ending.folder).ok


@pytest.mark.slow
def test_a_run_that_is_stopped_in_its_races_goes_on_with_them(place: Path) -> None:
    class Stopping(Watching):
        def racing(self, *, undecided: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explore(place, Stopping())
    assert len(read(place / "results" / "s").records) == 2
    assert read(place / "results" / "s").races == ()
    ending = explore(place)
    assert ending.records == ()
    assert read(ending.folder).races


def agents(place: Path) -> list[psutil.Process]:
    home = str(place / "cache" / "agent")
    children = psutil.Process(os.getpid()).children(recursive=True)
    return [p for p in children if p.status() != psutil.STATUS_ZOMBIE and home in p.cmdline()]


# How long

EXPERIMENT = Experiment(
    "s", None, Space((Axis("batch", (1, 2)),)), (Objective("latency_ms", "min"),), Path("s.yaml"), Path()
)


def record(number: int, seconds: float) -> Record:
    evaluation = Evaluation(stages={"measure": StageTime(seconds, cached=False)})
    return Record(number, "complete", {"batch": number}, "local:", "2026-11-21T08:00:00+00:00", seconds, evaluation)


def test_races_take_a_share_of_the_time_that_measuring_took() -> None:
    records = (record(0, 30.0), record(1, 10.0))
    assert share_s(EXPERIMENT, records) == pytest.approx(SHARE * 40.0)
    assert share_s(replace(EXPERIMENT, search=SearchPlan(race_s=7.0)), records) == 7.0
    assert share_s(replace(EXPERIMENT, search=SearchPlan(race_s=0.0)), records) == 0.0


@pytest.mark.parametrize(("metric", "able"), [("latency_p90_ms", True), ("accuracy", False), ("model_mb", False)])
def test_only_what_measuring_again_can_tell_is_raced(metric: str, able: bool) -> None:
    assert can_race(replace(EXPERIMENT, objectives=(Objective(metric, "min"),))) is able


def test_a_race_that_is_too_large_is_tried_smaller_and_then_not_at_all(tmp_path: Path) -> None:
    racing = Racing(EXPERIMENT, tmp_path)
    from explorer.fleet.duties import Heat

    assert racing.failed(Heat(1, (0, 1, 2, 3), (), 12, 0.02))
    assert racing.most == 2
    assert not racing.failed(Heat(1, (0, 1), (), 12, 0.02))
    assert racing.over


def test_what_is_torn_of_a_line_of_races_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "races.jsonl").write_bytes(json.dumps({"race": 1}).encode() + b'\n{"race": 2, "tr')
    assert [line["race"] for line in StudyData(tmp_path, {}, ()).races] == [1]
