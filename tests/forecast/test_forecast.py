"""`explorer run --plan`: what a study will take, each figure with where it is from; nothing is started or written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from explorer.config import Experiment, load, override
from explorer.config.experiment import FinetunePlan
from explorer.errors import BadInput
from explorer.forecast import as_json, forecast, page
from explorer.forecast.durations import Past
from explorer.result import Evaluation, Record, StageTime
from explorer.store import open_store
from explorer.study import run
from tests.fixtures.watching import Watching
from tests.forecast.boards import CAPABILITIES

SPACE = """\
study: s
model: {onnx: net.onnx}
space: {precision: [fp32, int8], batch: [1, 2, 4], threads: [1, 4096]}
runtime: onnxruntime
objectives: {throughput_ips: max, model_mb: min}
search: {sampler: front, trials: 4, race: off}
measure: {warmup_s: 0.5, budget_s: 2, idle_s: 0.25, reference_every: 0}
"""


@pytest.fixture
def experiment(tmp_path: Path, root: Path) -> Experiment:
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", tmp_path / "net.onnx")
    (tmp_path / "space.yaml").write_text(SPACE)
    return load(tmp_path / "space.yaml")


def record(number: int, *, precision: str = "fp32", batch: int = 1) -> Record:
    stages = {
        "quantise": StageTime(40.0, cached=batch > 1),
        "build": StageTime(8.0, cached=False),
        "measure": StageTime(3.0, cached=False),
        "infer": StageTime(0.5, cached=False),
        "score": StageTime(0.1, cached=False),
    }
    params = {"precision": precision, "batch": batch, "threads": 1}
    return Record(number, "complete", params, "local:", "2026-11-21T08:00:00+00:00", 12.0, Evaluation(stages=stages))


def described(experiment: Experiment, tmp_path: Path, *records: Record, study: str = "s") -> Path:
    """A results folder in which a study on a known board has these records."""
    board = {**CAPABILITIES, "name": "local:"}
    about = {
        "study": study,
        "objectives": [],
        "experiment": experiment.identity(),
        "device": board,
        "boards": {"devices": ["local:"]},
    }
    with open_store(tmp_path / "results" / study, about) as store:
        for one in records:
            store.append(one)
    return tmp_path / "results"


def test_a_study_that_goes_on_is_foretold_by_its_own_records(experiment: Experiment, tmp_path: Path) -> None:
    results = described(experiment, tmp_path, record(0), record(1, precision="int8"))
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    found = forecast(experiment, results=results, cache=tmp_path / "cache")
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "cache").exists(), "no board was connected to, and nothing is put into the cache"
    assert (found.tried, found.untried, found.trials) == (2, 4, 2)
    assert [(why.text[:12], count) for why, count in found.impossible.counts] == [("4096 threads", 6)]
    by = {work.need.name: work for work in found.work}
    assert {name: (work.least, work.most) for name, work in by.items()} == {
        "quantise": (0, 1),
        "build": (2, 2),
        "measure": (2, 2),
    }
    assert {name: work.each.seconds for name, work in by.items()} == {
        "quantise": 40.0,
        "build": 8.0,
        "measure": pytest.approx(3.6),
    }
    assert all(work.each.source == "median of 2 in this study" for work in by.values())
    assert found.hours == pytest.approx((23.2 / 3600, 63.2 / 3600))
    assert "measured (1)" in page(found)
    assert not json.loads(as_json(found))["board"]["connected"]
    spent = forecast(override(experiment, trials=2), results=results, cache=tmp_path / "cache")
    assert (spent.trials, spent.hours) == (0, (0.0, 0.0))
    assert "0 of the 4 that are left may be tried" in page(spent)


def test_another_study_tells_of_the_same_network_and_board(experiment: Experiment, tmp_path: Path) -> None:
    results = described(experiment, tmp_path, record(0), study="other")
    found = forecast(experiment, results=results, cache=tmp_path / "cache")
    assert {work.each.source for work in found.work} == {"median of 1 in the study other"}
    assert "no board was connected to" in found.board.words
    text = page(found)
    assert max(map(len, text.splitlines())) <= 80
    assert "s: 12 candidates, 6 impossible, 0 tried; 4 of the 6 that are left may be tried" in " ".join(text.split())
    assert "(1) median of 1 in the study other" in text


def test_what_nobody_has_timed_is_assumed_and_says_so(experiment: Experiment, tmp_path: Path) -> None:
    away = override(experiment, devices=("ssh://nobody@127.0.0.1:1",))
    found = forecast(away, results=tmp_path / "results", cache=tmp_path / "cache")
    assert not any(work.each.measured for work in found.work)
    told = json.loads(as_json(found))
    assert told["impossible"] is None
    assert not told["board"]["connected"]
    assert "cannot be reached, so that nothing is known to be impossible" in told["board"]["words"]
    measure = next(work for work in told["work"] if work["stage"] == "measure")
    assert measure["seconds_each"] == 0.5 + 2 + 2 * 0.25
    assert measure["source"].startswith("assumed: as long as 'measure' allows")
    build = next(work for work in told["work"] if work["stage"] == "build")
    assert (build["seconds_each"], build["source"]) == (1.0, "assumed: networks are loaded as they are")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("runtime", "simulated", "seconds"), [("tensorrt", False, 60.0), ("tensorrt", True, 1.0)])
def test_tensorrt_takes_its_time_on_a_real_board(
    experiment: Experiment, runtime: str, simulated: bool, seconds: float
) -> None:
    space = replace(experiment.space, fixed={**experiment.space.fixed, "runtime": runtime})
    past = Past(replace(experiment, space=space), (), (), {"simulated": simulated})
    assert past.duration("build").seconds == seconds


def test_training_is_assumed_to_take_as_long_as_its_iterations(experiment: Experiment) -> None:
    told = replace(experiment, finetune=FinetunePlan(iterations=50), train={"iterations": 200})
    past = Past(told, (), (), {})
    assert [past.duration(stage).seconds for stage in ("finetune", "train")] == [10.0, 40.0]
    assert past.duration("finetune").source == "assumed: 0.2 s an iteration"
    epochs = Past(replace(experiment, finetune=FinetunePlan(epochs=3)), (), (), {})
    assert epochs.duration("finetune").source == "assumed: none was timed here"


def test_another_experiment_in_the_folder_is_refused(experiment: Experiment, tmp_path: Path) -> None:
    results = described(experiment, tmp_path, record(0))
    (experiment.path).write_text(SPACE.replace("[1, 2, 4]", "[1, 2]"))
    changed = load(experiment.path)
    with pytest.raises(BadInput, match="another experiment"):
        forecast(changed, results=results, cache=tmp_path / "cache")
    assert forecast(changed, results=results, cache=tmp_path / "cache", fresh=True).tried == 0


def test_a_limit_of_time_tells_how_many_trials_it_is_enough_for(experiment: Experiment, tmp_path: Path) -> None:
    results = described(experiment, tmp_path, record(0))
    limited = override(experiment, timeout="47s")  # 12 s are spent, of the 35 s that are left each trial takes 11.6 s
    found = forecast(limited, results=results, cache=tmp_path / "cache")
    assert found.left_s == 35.0
    assert found.within == (0, 3), "one of them may need the 40 s of quantising"
    assert "enough for 0 to 3 trials" in page(found)


def test_a_recorded_table_needs_no_board_and_nothing_made(tmp_path: Path) -> None:
    rows = "".join(f"{cores},{mhz},{cores * mhz}\n" for cores in (1, 2, 4) for mhz in (300, 600))
    (tmp_path / "table.csv").write_text(f"cores,mhz,frames\n{rows}")
    (tmp_path / "space.yaml").write_text(
        "study: t\ndevice: recorded:table.csv\nspace: [cores, mhz]\nobjectives: {frames: max}\nsearch: {trials: 5}\n"
    )
    experiment = load(tmp_path / "space.yaml")
    found = forecast(experiment, results=tmp_path / "results", cache=tmp_path / "cache")
    assert (found.tried, found.untried, found.trials) == (0, 6, 5)
    assert [(work.need.name, work.least, work.most) for work in found.work] == [("look up", 5, 5)]
    least, most = found.hours
    assert least == most < 0.01
    assert not found.board.connected
    text = " ".join(page(found).split())
    assert "no board is needed: what candidates yield is looked up in table.csv" in text
    assert "host and board" not in text
    assert [work["stage"] for work in json.loads(as_json(found))["work"]] == ["look up"]

    run(experiment, results=tmp_path / "results", cache=tmp_path / "cache", watcher=Watching())
    again = forecast(override(experiment, trials=10), results=tmp_path / "results", cache=tmp_path / "cache")
    assert (again.tried, again.untried, again.trials) == (5, 1, 1)
