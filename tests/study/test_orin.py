"""What the shipped space of an Orin shows on the virtual one, and that a 3D-CNN on it never claims a DLA."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.artifacts import Artifacts
from explorer.config import load, override
from explorer.oracle import Graph, Target, refusals
from explorer.report.view import View
from explorer.report.view import load as view_of
from explorer.result import Record
from explorer.store import read_study
from explorer.study import run
from tests.fixtures.watching import Watching

pytestmark = pytest.mark.slow

OBJECTIVES = ("accuracy", "throughput_ips", "energy_net_mj")

VOLUME = """\
study: volume
model: {name: gait3d_cnn_tiny, weights: shipped}
dataset: {name: walkers, modality: flow, views: [54, 90], subjects_test: 3, subjects_train: 4, calibration: 2}
device: "sim:agx-orin-64"
runtime: tensorrt
space:
  precision: [fp16, int8]
  placement: [gpu, dla, dla_only, gpu+dla]
streams: 3
objectives: {accuracy: max, throughput_ips: max, energy_net_mj: min}
search: {sampler: random, trials: 8, seed: 0, race: off}
measure: {budget_s: 0.5}
"""


def explored(space: Path, folder: Path, *, simulate: bool) -> View:
    # What the board is like is asked here, not what is best: by a search that looks everywhere, to the last trial.
    experiment = override(load(space), simulate=simulate, sampler=None if space.stem == "volume" else "tpe")
    return view_of(run(experiment, results=folder / "results", cache=folder / "cache", watcher=Watching()).folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("orin")


@pytest.fixture(scope="module")
def orin(root: Path, folder: Path) -> View:
    """``explorer run --space jetson_orin.yaml --simulate``, to its end."""
    return explored(root / "search_spaces" / "jetson_orin.yaml", folder, simulate=True)


@pytest.fixture(scope="module")
def volume(folder: Path) -> View:
    """Every placement of the 3D-CNN."""
    (folder / "volume.yaml").write_text(VOLUME)
    return explored(folder / "volume.yaml", folder, simulate=False)


def of(view: View, metric: str, **params: object) -> dict[int, float]:
    """A metric of the complete trials that were run so."""
    chosen = [record for record in view.complete if params.items() <= record.params.items()]
    assert chosen, params
    return {record.number: record.metrics[metric].value for record in chosen}


def best(view: View, metric: str, mode: str, *, least: bool) -> Record:
    found = of(view, metric, power_mode=mode)
    number = (min if least else max)(found, key=found.__getitem__)
    return next(record for record in view.complete if record.number == number)


def test_a_hundred_trials_and_none_has_failed(orin: View) -> None:
    assert len(orin.records) >= 100
    assert set(orin.trials) <= {"complete", "infeasible"}
    assert orin.trials["complete"] >= 100


def test_nothing_was_built_that_is_known_to_be_impossible(orin: View, volume: View, folder: Path) -> None:
    kept, judged = Artifacts(folder / "cache"), 0
    for view in (orin, volume):
        target = Target.of_capabilities(read_study(view.folder)["device"])
        for record in view.records:
            if "build" in record.evaluation.stages:
                graph = Graph.of(kept.path(record.evaluation.artifacts["onnx"]))
                assert refusals(target, graph, {"runtime": "tensorrt", **record.params}) == ()
                judged += 1
            else:
                assert record.state == "infeasible"
                assert not record.evaluation.artifacts
    assert judged > 100


def test_the_front_is_one_of_accuracy_throughput_and_energy(orin: View) -> None:
    assert tuple(objective.metric for objective in orin.objectives) == OBJECTIVES
    assert len(orin.front) > 3
    for metric in OBJECTIVES:
        assert len({record.metrics[metric].value for record in orin.front}) > 1, metric


def test_the_dla_wins_energy_at_low_power(orin: View) -> None:
    """By what is spent beyond idling, which is how NVIDIA publishes it: of the accelerator's own power."""
    for mode in ("MODE_15W", "MODE_30W"):
        assert best(orin, "energy_net_mj", mode, least=True).params["placement"] in ("dla", "gpu+dla"), mode
        gpu, dla = (of(orin, "energy_net_mj", power_mode=mode, placement=unit) for unit in ("gpu", "dla"))
        assert min(dla.values()) < min(gpu.values()), mode


def test_the_gpu_wins_throughput_in_maxn(orin: View) -> None:
    assert best(orin, "throughput_ips", "MAXN", least=False).params["placement"] in ("gpu", "gpu+dla")
    gpu, dla = (of(orin, "throughput_ips", power_mode="MAXN", placement=unit) for unit in ("gpu", "dla"))
    assert max(gpu.values()) > 2 * max(dla.values())


def test_time_and_energy_are_marked_simulated_and_accuracy_is_not(orin: View) -> None:
    for record in orin.complete:
        assert {"throughput_ips", "energy_net_mj", "energy_mj"} <= set(record.evaluation.simulated)
        assert "accuracy" not in record.evaluation.simulated


def test_the_3d_cnn_never_claims_a_dla(volume: View) -> None:
    assert len(volume.records) == 2, "what names a DLA is impossible, and never tried"
    for record in volume.records:
        assert record.params["placement"] == "gpu"
        assert record.state == "complete", record.reason
        assert not record.evaluation.units.get("macs", {}).get("dla")
    assert sum(line["count"] for line in volume.data.impossible) == 6
    assert all("DLA" in line["reason"] for line in volume.data.impossible)
