"""Studies on virtual boards: nothing that is known to be impossible is built, and every number says what it is."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
import yaml

from explorer.config import load, override
from explorer.oracle import Graph, Target, refusals
from explorer.report.recompute import recompute
from explorer.result import Record
from explorer.store import StudyData, read, read_study
from explorer.study import run
from tests.fixtures.watching import Watching

SPACE = """\
study: {study}
model: small.onnx
device: "sim:{board}"
runtime: tensorrt
space:
  precision: [fp32, tf32, fp16, bf16, fp8, best]
  placement: [gpu, dla, dla_only, gpu+dla]
  batch: [1, 3, 8192]
  streams: [1, 3]
objectives: {{throughput_ips: max, energy_mj: min, output_error: min}}
search: {{sampler: {sampler}, trials: {trials}, seed: {seed}, race: off}}
measure: {{budget_s: 0.5}}
"""
AXES = yaml.safe_load(SPACE.replace("{", "").replace("}", "").partition("objectives")[0])["space"]
MEASURED = {"latency_ms", "throughput_ips", "energy_mj", "power_w"}


def explored(
    folder: Path,
    root: Path,
    board: str,
    *,
    sampler: str = "random",
    seed: int = 0,
    trials: int = 16,
    study: str = "s",
    more: str = "",
    template: str = SPACE,
) -> StudyData:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", folder)
    space = folder / "space.yaml"
    space.write_text(template.format(board=board, sampler=sampler, seed=seed, trials=trials, study=study) + more)
    ending = run(load(space), results=folder / "results", cache=folder / "cache", watcher=Watching())
    return read(ending.folder)


@pytest.fixture(
    scope="module",
    params=[
        ("agx-orin-64", "random", 0),
        pytest.param(("agx-orin-64", "tpe", 1), marks=pytest.mark.slow),
        pytest.param(("agx-orin-64", "nsga2", 2), marks=pytest.mark.slow),
        pytest.param(("orin-nano", "random", 3), marks=pytest.mark.slow),
        pytest.param(("thor", "random", 4), marks=pytest.mark.slow),
    ],
    ids=lambda param: "-".join(map(str, param)),
)
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, root: Path) -> StudyData:
    board, sampler, seed = request.param
    trials = 6 if seed == 0 else 16  # the first is not among the slow ones
    return explored(tmp_path_factory.mktemp("study"), root, board, sampler=sampler, seed=seed, trials=trials)


def deployment(record: Record) -> dict[str, object]:
    return {"runtime": "tensorrt", **record.params}


def test_what_is_known_to_be_impossible_is_counted_and_never_tried(data: StudyData, root: Path) -> None:
    target = Target.of_capabilities(read_study(data.folder)["device"])
    graph = Graph.of(root / "examples" / "own_onnx" / "small.onnx", final=False)
    assert not [record for record in data.records if refusals(target, graph, deployment(record))]
    space = [dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())]
    refused = [params for params in space if refusals(target, graph, {"runtime": "tensorrt", **params})]
    by_a_rule = [line["count"] for line in data.impossible if line["source"]]  # the others are the board's own word
    assert sum(by_a_rule) == len(refused) > 0
    assert data.space_size == len(space)
    assert {record.state for record in data.records} <= {"complete", "infeasible"}
    assert any(record.state == "complete" for record in data.records)


def test_every_number_of_time_and_power_is_marked_and_no_other(data: StudyData) -> None:
    for record in data.records:
        if record.state == "complete":
            assert set(record.evaluation.simulated) >= MEASURED
            assert not set(record.evaluation.simulated) & {"output_error", "model_mb"}
            assert not record.evaluation.estimated


@pytest.mark.slow
def test_what_units_at_work_together_cost_each_other_is_kept(tmp_path: Path, root: Path) -> None:
    few = SPACE.replace("[gpu, dla, dla_only, gpu+dla]", "[dla, gpu+dla]").replace("[1, 3, 8192]", "[1]")
    few = few.replace("[fp32, tf32, fp16, bf16, fp8, best]", "[fp16]").replace("streams: [1, 3]", "streams: [3, 6]")
    told = {
        record.params["placement"]: set(record.evaluation.units.get("sharing", ()))
        for record in explored(tmp_path, root, "agx-orin-64", template=few).records
        if record.state == "complete"
    }
    assert told == {"dla": set(), "gpu+dla": {"gpu", "dla0", "dla1"}}


def test_figures_follow_from_raw_data(data: StudyData) -> None:
    found = recompute(data.folder)
    assert found.ok, found
    assert found.same == sum(record.state == "complete" for record in data.records)


@pytest.mark.slow
def test_a_board_is_the_same_whenever_it_is_asked(tmp_path: Path, root: Path) -> None:
    one, other = (explored(tmp_path / name, root, "orin-nano").records for name in ("one", "other"))
    assert [record.params for record in one] == [record.params for record in other]
    assert [record.metrics for record in one] == [record.metrics for record in other]


@pytest.mark.slow
def test_what_a_board_has_refused_is_not_asked_of_it_again(tmp_path: Path, root: Path) -> None:
    faults = "device_options: {faults: {out_of_memory_mb: 0.001}}\n"
    first = explored(tmp_path, root, "orin-nano", more=faults)
    shown = [record for record in first.records if record.reason.startswith("sim:orin-nano: build: out of memory")]
    assert shown
    again = explored(tmp_path, root, "orin-nano", more=faults, study="again")
    reasons = {record.number: record.reason for record in again.records}
    for record in shown:
        assert reasons[record.number].startswith("sim:orin-nano: build: out of memory")
        assert "[learnt; seen on the board" in reasons[record.number]


@pytest.mark.slow
def test_the_space_of_a_nano_runs_as_a_simulation_and_says_what_a_real_one_cannot(tmp_path: Path, root: Path) -> None:
    space = override(load(root / "search_spaces" / "jetson_nano.yaml"), simulate=True, trials=4)
    watcher = Watching()
    ending = run(space, results=tmp_path / "results", cache=tmp_path / "cache", watcher=watcher)
    assert [record.state for record in ending.records] == ["complete"] * 4
    assert all(set(record.evaluation.simulated) >= MEASURED for record in ending.records)
    assert [note for note in watcher.notes if "cannot be used on a real board" in note]
    assert not [note for note in watcher.notes if "never run here" in note], "all that it asks for a Nano can do"
