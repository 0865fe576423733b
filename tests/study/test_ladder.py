"""Candidates that are dominated for sure are stopped: by a preview before any build, or by a short bench."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from explorer import plan
from explorer.config import load
from explorer.report import render
from explorer.report.recompute import recompute
from explorer.report.view import View, view_of
from explorer.result import RECORD_FORMAT, Record
from explorer.store import StudyData, read
from explorer.study import run
from tests.fixtures.watching import Watching

LONG = """\
study: s
model: {onnx: net.onnx}
space: {batch: [1, 2, 4, 8, 16, 32, 64, 128], threads: [1, 2]}
precision: fp32
runtime: onnxruntime
objectives: {latency_ms: min, model_mb: min}
search: {sampler: front, seed: 3, race: off, stop_below: off}
measure: {warmup_s: 0.02, window_s: 0.03, windows_min: 4, budget_s: 10, relative_interval: 0.9, idle_s: 0}
"""

FEW = LONG.replace("[1, 2, 4, 8, 16, 32, 64, 128]", "[1, 8, 32, 128]")

BOARD = """\
study: s
model: {name: gaitset_tiny, weights: shipped}
dataset: {name: walkers, views: [54, 90], frames: 4, subjects_test: 6, subjects_train: 4, sequences_train: 1, frames_train: 4, calibration: 4}
device: "sim:agx-orin-64"
runtime: tensorrt
precision: fp16
finetune: {epochs: 0}
space:
  prune_ratio: [0, 0.7]
  placement:   [gpu, dla]
  batch:       [1, 8]
  power_mode:  [MODE_15W, MAXN]
objectives: {accuracy: max, throughput_ips: max}
search: {sampler: front, seed: 1, race: off, stop_below: off}
measure: {budget_s: 10, relative_interval: 0.01}
"""  # noqa: E501


@dataclass
class Place:
    """A folder with a space file in it, and a cache that others may share."""

    folder: Path
    cache: Path

    def run(self, text: str, *, watching: Watching | None = None) -> StudyData:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "space.yaml").write_text(text)
        told = watching or Watching()
        experiment = load(self.folder / "space.yaml")
        return read(run(experiment, results=self.folder / "results", cache=self.cache, watcher=told).folder)


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Place:
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", tmp_path / "net.onnx")
    return Place(tmp_path, tmp_path / "cache")


def stopped(data: StudyData, after: str) -> list[Record]:
    return [record for record in data.records if record.stopped and record.stopped.after == after]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second is long."""
    monkeypatch.setattr(plan, "LONG_S", 0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_who_is_hopeless_after_a_short_bench_is_not_measured_further(place: Place) -> None:
    data = place.run(LONG)
    early = stopped(data, "short bench")
    assert early
    assert {record.state for record in data.records} == {"complete", "dominated"}
    best = min(record.metrics["latency_ms"].value for record in data.records if record.state == "complete")
    for record in early:
        assert record.reason.startswith("dominated with ")
        assert "after a short bench: latency_ms" in record.reason
        assert record.metrics["latency_ms"].value > best
        assert record.metrics["model_mb"].low is None
        assert "short" in record.evaluation.stages
        assert not {"measure", "infer"} & set(record.evaluation.stages)
        assert record.stopped is not None
        assert record.stopped.confidence > 0.99
    assert recompute(data.folder).ok
    assert len(place.run(LONG).records) == 16, "a study that is over is over"


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_whoever_comes_back_knows_how_long_measurements_are(place: Place) -> None:
    def interrupt(record: Record) -> None:
        if record.number == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.run(FEW, watching=Watching(on_record=interrupt))
    assert "short" in place.run(FEW).records[7].evaluation.stages


def complete_and_whole(data: StudyData) -> bool:
    stages = {name for record in data.records for name in record.evaluation.stages}
    return len(data.records) == 8 and {r.state for r in data.records} == {"complete"} and "short" not in stages


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_switched_off_nobody_is_stopped(place: Place) -> None:
    assert complete_and_whole(place.run(FEW.replace("stop_below", "ladder: off, stop_below")))


@pytest.mark.slow
def test_nobody_is_stopped_where_windows_end_long_before_their_budget(place: Place) -> None:
    assert complete_and_whole(place.run(FEW))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def laddered(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> View:
    """Every candidate; interrupted on the way, and gone on with."""
    place = Place(tmp_path_factory.mktemp("on"), cache)

    def interrupt(record: Record) -> None:
        if record.number == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.run(BOARD, watching=Watching(on_record=interrupt))
    return view_of(place.run(BOARD))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> View:
    """The same space, and nobody stopped."""
    place = Place(tmp_path_factory.mktemp("off"), cache)
    return view_of(place.run(BOARD.replace("race: off", "race: off, ladder: off")))


def points(records: Iterable[Record]) -> set[tuple[object, ...]]:
    return {tuple(record.params.values()) for record in records}


@pytest.mark.slow
def test_nobody_is_stopped_who_belongs_to_the_front_by_whole_measurements(laddered: View, whole: View) -> None:
    assert whole.trials == {"complete": 16}
    assert laddered.trials["complete"] + laddered.trials["dominated"] == 16
    assert laddered.trials["dominated"] >= 2
    assert not points(laddered.dominated) & points([*whole.front, *whole.near])
    assert points(laddered.front) <= points([*whole.front, *whole.near]), "who is level comes in by luck"


@pytest.mark.slow
def test_by_its_accuracy_on_the_host_one_is_stopped_before_a_board_builds_anything(laddered: View) -> None:
    early = stopped(laddered.data, "preview")
    assert early
    for record in early:
        assert record.to_json()["format"] == RECORD_FORMAT
        assert record.evaluation.previewed["accuracy"] == 120
        assert "on this host, 120 samples" in record.reason
        assert not {"build", "short", "measure"} & set(record.evaluation.stages)
        assert "engine" not in record.evaluation.artifacts
        assert not {"throughput_ips", "energy_mj"} & set(record.metrics)
        assert Record.from_json(record.to_json()).to_json() == record.to_json()


@pytest.mark.slow
def test_what_was_scored_on_the_host_is_in_no_complete_record(laddered: View) -> None:
    assert all(not record.evaluation.previewed for record in laddered.complete)
    assert all("preview" in record.evaluation.stages for record in laddered.complete)
    assert recompute(laddered.folder).ok


@pytest.mark.slow
def test_a_report_says_who_was_stopped_and_what_that_saved(laddered: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    early = laddered.trials["dominated"]
    told = str(render(laddered.folder, pareto=True, format="table"))
    assert told.startswith(f"s: {16 - early} complete, {early} dominated early; ")
    flat = " ".join(told.split())
    assert f"dominated early (trial{'s' * (early > 1)} " in flat
    assert "after a preview on this host" in flat
    assert "they spared boards about" in flat
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.slow
def test_who_is_of_no_use_by_a_limit_is_stopped_too_and_told_so(tmp_path: Path, cache: Path) -> None:
    text = BOARD.replace("objectives:", "constraints: [accuracy >= 0.8]\nobjectives:")
    early = [r for r in stopped(Place(tmp_path, cache).run(text), "preview") if r.params["prune_ratio"] == 0.7]
    assert early
    for record in early:
        assert record.reason.startswith("beyond accuracy >= 0.8 with ")
        assert record.constraints == {}, "nobody has judged it by what the board answers"
