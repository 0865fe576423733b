"""On how many samples int8 was calibrated: told of every study, and a warning where they are too few."""

from __future__ import annotations

import json

import pytest

from explorer.config import load
from explorer.report import view as views
from explorer.report.calibration import ENOUGH, calibrated, too_few
from explorer.report.html import content
from explorer.report.table import as_table
from explorer.report.text import as_json, as_markdown
from explorer.report.view import View
from explorer.result import Metric, Record
from explorer.study import run
from tests.fixtures.watching import Watching
from tests.report.studies import record

SPACE = """\
study: few
model: {name: gaitset_tiny, weights: shipped}
dataset: {name: walkers, views: [54, 90], frames: 2, subjects_test: 3, subjects_train: 4, calibration: 4}
runtime: onnxruntime
space:
  precision: [fp32, int8]
objectives: {accuracy: max, throughput_ips: max}
search: {sampler: random, trials: 2, seed: 0, race: off}
measure: {warmup_s: 0.02, window_s: 0.03, windows_min: 2, budget_s: 0.1, relative_interval: 0.5, idle_s: 0}
"""


def of(number: int, samples: int) -> Record:
    return record(number, {"accuracy": Metric(0.9)}, calibration={"samples": samples, "source": "dataset walkers"})


def test_trials_calibrated_alike_are_told_together_and_enough_is_enough() -> None:
    found = [of(3, 4), of(1, ENOUGH), of(2, 4), record(0, {"accuracy": Metric(0.9)}), of(5, ENOUGH - 1)]
    assert calibrated(found) == {
        (4, "dataset walkers"): (2, 3),
        (ENOUGH - 1, "dataset walkers"): (5,),
        (ENOUGH, "dataset walkers"): (1,),
    }
    few, fewer = too_few(found)
    assert few.startswith("calibrated on 4 samples of dataset walkers (trials 2, 3): fewer than 256")
    assert fewer.startswith(f"calibrated on {ENOUGH - 1} samples")
    assert list(too_few([of(0, ENOUGH)])) == []


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> View:
    """A study whose dataset gives four samples to calibrate on."""
    folder = tmp_path_factory.mktemp("few")
    (folder / "space.yaml").write_text(SPACE)
    ending = run(load(folder / "space.yaml"), results=folder, cache=folder / "cache", watcher=Watching())
    return views.load(ending.folder)


@pytest.mark.slow
def test_the_record_says_how_many(few: View) -> None:
    lines = map(json.loads, (few.folder / "trials.jsonl").read_text().splitlines())
    told = {line["params"]["precision"]: line["calibration"] for line in lines}
    assert told == {"fp32": {}, "int8": {"samples": 4, "source": "dataset walkers"}}


@pytest.mark.slow
def test_every_format_says_how_many_and_that_they_are_few(few: View) -> None:
    (int8,) = [r.number for r in few.complete if r.params["precision"] == "int8"]
    warned = f"calibrated on 4 samples of dataset walkers (trial {int8}): fewer than 256"
    page, text = content(few, pareto=False), " ".join(as_table(few, pareto=False, width=4000).split())
    assert any(warned in line for line in page["footnotes"])
    assert page["method"]["calibration"] == "4 samples of dataset walkers"
    assert warned in text
    assert "calibration: 4 samples of dataset walkers" in text
    assert warned in as_markdown(few, pareto=False)
    assert json.loads(as_json(few, pareto=False))["method"]["calibration"] == "4 samples of dataset walkers"


@pytest.mark.slow
def test_what_int8_lost_against_the_dense_net_stands_beside(few: View) -> None:
    (int8,) = [r for r in few.complete if r.params["precision"] == "int8"]
    assert set(few.against_dense(int8)) == {"accuracy"}
    assert "accuracy against dense fp32" in as_markdown(few, pareto=False)
