"""A study on a board with sensors, modes and clocks: the real agent over a pipe, on a tree whose watts are known."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.config import load
from explorer.report.recompute import recompute
from explorer.result import Record
from explorer.store import StudyData, read
from explorer.study import run
from tests.fixtures import boards
from tests.fixtures.watching import Watching

pytestmark = pytest.mark.slow

SPACE = """\
study: s
model: {onnx: net.onnx}
device: "local:"
runtime: onnxruntime
precision: fp32
threads: 1
space: {batch: [1, 2], streams: [1, 2], power_mode: [MAXN, 15W]}
objectives: {subjects_25ips: max, latency_ms: min, energy_mj: min}
search: {sampler: random, seed: 3, race: 40s}
measure: {warmup_s: 0.05, window_s: 0.1, windows_min: 3, budget_s: 0.5, idle_s: 0.1, cooldown_s: 0, reference_every: 3,
          deadline_ms: 10}
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> boards.Tree:
    return boards.programs(boards.make("orin-nx", tmp_path_factory.mktemp("board") / "root"))


@pytest.fixture(scope="module")
def study(tree: boards.Tree, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    place = tmp_path_factory.mktemp("place")
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", place / "net.onnx")
    (place / "space.yaml").write_text(SPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPLORER_AGENT_ROOT", str(tree.root))
        return run(
            load(place / "space.yaml"), results=place / "results", cache=place / "cache", watcher=Watching()
        ).folder


@pytest.fixture(scope="module")
def data(study: Path) -> StudyData:
    return read(study)


def raw_of(data: StudyData, record: Record) -> dict[str, Any]:
    raw = data.raw(record.number)
    assert raw is not None
    return dict(raw)


def test_energy_is_that_of_the_sensors(data: StudyData, tree: boards.Tree) -> None:
    assert [record.state for record in data.records] == ["complete"] * 8
    for record in data.records:
        metrics, how = record.metrics, record.params
        assert raw_of(data, record)["header"]["meter"]["name"] == "ina3221"
        assert not record.evaluation.estimated
        assert metrics["power_w"].value == pytest.approx(tree.spec.total_w, rel=0.01)
        by_hand = tree.spec.total_w / metrics["throughput_ips"].value * 1e3
        assert metrics["energy_mj"].value == pytest.approx(by_hand, rel=0.01), how


def test_modes_change_rarely_and_each_trial_ran_in_its_own(data: StudyData, tree: boards.Tree) -> None:
    for record in data.records:
        header = raw_of(data, record)["header"]
        mode = record.params["power_mode"]
        assert header["power_mode"] == mode
        assert {header[f"board_{when}"]["power_mode"] for when in ("before", "after")} == {mode}
    modes = [record.params["power_mode"] for record in data.records]
    assert sum(one != other for one, other in pairwise(modes)) <= 4, modes
    assert (tree.root / "var/lib/nvpmodel/status").read_text()[6:10] == "0001", "as it was found"


def test_subjects_are_served_by_arrival_and_not_by_division(data: StudyData) -> None:
    for record in data.records:
        raw, told = raw_of(data, record), record.metrics["subjects_25ips"]
        series = raw["series"]
        assert len(series["arrival_subjects"]) >= 1
        assert told.value in {float(level) for level in series["arrival_subjects"]} | {0.0}
        in_flight = int(record.params.get("batch", 1)) * int(record.params.get("streams", 1))
        quickest_s = float(np.quantile(series["latency_s"], 0.05))
        assert told.value * 25 <= 1.2 * in_flight / quickest_s, "no more than it can do at all"


def test_races_tell_energy_within_one_mode(data: StudyData) -> None:
    assert data.races
    params = {record.number: record.params for record in data.records}
    for race in data.races:
        assert len({params[number]["power_mode"] for number in race["trials"]}) == 1
        assert {"latency_ms", "energy_mj"} <= set(race["readings"]), "the tree's watts are steady"


def test_every_figure_follows_from_what_was_kept(study: Path) -> None:
    told = recompute(study)
    assert told.ok, str(told)
