"""One study, two architectures: the same candidates and answers, another ranking, and a report that names it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.artifacts import Artifacts
from explorer.config import Experiment, load
from explorer.device import connect
from explorer.report import write
from explorer.result import Record
from explorer.store import StudyData, read
from explorer.study import open_dataset, run
from tests.aarch64.board import EmulatedBoard
from tests.fixtures.watching import Watching

pytestmark = [pytest.mark.slow, pytest.mark.aarch64]

SPACE = Path(__file__).with_name("space.yaml")
SAMPLES = 8
# Under emulation a job takes a hundred times as long, and a busy machine makes it longer.
PATIENT = {"wait_s": 120}


@dataclass(frozen=True)
class Studies:
    """The same space explored on both devices."""

    experiment: Experiment
    x86: StudyData
    arm: StudyData
    arm_spec: str
    cache: Path


@pytest.fixture(scope="module")
def studies(emulated: EmulatedBoard, own_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    results = tmp_path_factory.mktemp("results")
    experiment = load(SPACE)
    folders = {}
    for name, spec in (("arm", emulated.spec), ("x86", "local:")):
        given = replace(experiment, devices=(spec,), device_options={**experiment.device_options, **PATIENT})
        folders[name] = run(given, results=results / name, cache=own_cache, watcher=Watching()).folder
    return Studies(experiment, read(folders["x86"]), read(folders["arm"]), emulated.spec, own_cache)


def test_the_board_is_another_machine(studies: Studies) -> None:
    ours, its = studies.x86.study["device"], studies.arm.study["device"]
    assert its["machine"] == "aarch64"
    assert ours["machine"] != "aarch64"
    assert its["fingerprint"] != ours["fingerprint"]
    assert its["runtimes"]["onnxruntime"]["available"]
    assert its["runtimes"]["onnxruntime"]["version"] == ours["runtimes"]["onnxruntime"]["version"]


def test_the_same_candidates_from_the_same_networks_with_the_same_answers(studies: Studies) -> None:
    ours, its = _by_candidate(studies.x86), _by_candidate(studies.arm)
    assert ours.keys() == its.keys()
    assert len(ours) == 8
    probes = len(_inputs(studies))
    for key, record in ours.items():
        other = its[key]
        assert (record.state, other.state) == ("complete", "complete"), (record.reason, other.reason)
        assert record.evaluation.artifacts["onnx"] == other.evaluation.artifacts["onnx"]
        # What is rounded to int8 may fall to the other side of a half; in fp32 nothing comes near a change of mind.
        tolerance = 0 if record.params["precision"] == "fp32" else 1.01 / probes
        assert other.metrics["accuracy"].value == pytest.approx(record.metrics["accuracy"].value, abs=tolerance)


def test_fp32_outputs_equal_those_of_x86(studies: Studies) -> None:
    fp32 = [record for record in studies.x86.records if record.params["precision"] == "fp32"]
    assert len(fp32) == 4
    expected, got = (_outputs(studies, spec, fp32) for spec in ("local:", studies.arm_spec))
    for one, other in zip(expected, got, strict=True):
        assert one.shape[0] == SAMPLES
        assert np.ptp(one) > 0.1
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-4)


def test_the_report_names_the_different_ranking(studies: Studies) -> None:
    """Which candidates change places depends on the x86 processor and on who else computes there; that some do, not."""
    ours, its = studies.x86.folder, studies.arm.folder
    text = write(ours, pareto=False, format="table", output=None, versus=its)
    print(f"\n{text}")
    words = " ".join(text.split())
    assert "The two devices rank the candidates differently in latency." in words
    assert "aarch64" in words
    assert re.search(r"instead of .{1,20} is [0-9.]+× slower \([^)]+\) on A and [0-9.]+× faster \([^)]+\) on B", words)
    found: dict[str, Any] = json.loads(write(ours, pareto=False, format="json", output=None, versus=its))
    latency = next(o for o in found["objectives"] if o["metric"] == "latency_ms")
    assert latency["couples"]["opposite"] == len(latency["reversals"]) > 0


def _by_candidate(study: StudyData) -> dict[str, Record]:
    return {json.dumps(dict(record.params), sort_keys=True): record for record in study.records}


def _inputs(studies: Studies) -> Any:
    return open_dataset(studies.experiment).evaluation()


def _outputs(studies: Studies, spec: str, records: list[Record]) -> list[Any]:
    """What each candidate's engine answers on a device."""
    names, samples = ("runtime", "precision", "batch", "threads"), _inputs(studies)[:SAMPLES].copy()
    found = []
    with connect(spec, cache=studies.cache, options=PATIENT) as device:
        for record in records:
            network = Artifacts(studies.cache).path(record.evaluation.artifacts["onnx"])
            everything = {**studies.experiment.space.fixed, **record.params}
            deployment = {name: everything[name] for name in names}
            found.append(device.infer(device.build(network, deployment), deployment, samples))
    return found
