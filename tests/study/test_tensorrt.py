"""Whole studies in TensorRT, with a face of it in the agent: each release gets each precision in the form it takes, and
what it cannot do is said, not tried.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.store import StudyData, read, read_study
from tests.fixtures import faced

SPACE = """\
study: s
model: small.onnx
device: "local:"
device_options: {clocks: lock}
runtime: tensorrt
space:
  precision: [PRECISIONS]
  placement: [gpu, dla]
objectives: {throughput_ips: max, output_error: min}
search: {sampler: random, trials: 14, race: off}
measure: {warmup_s: 0.02, window_s: 0.02, windows_min: 3, budget_s: 0.1, relative_interval: 0.5, idle_s: 0}
"""
# What a face computes, ONNX Runtime computes for it: that has no convolution of bf16, as 11 wants it in the file.
ASKED = {
    face: ("fp32", "tf32", "fp16", *(["bf16"] if face != "11" else []), "int8", "fp8", "best") for face in faced.OPSETS
}


@pytest.fixture(
    scope="module", params=["8.5", *(pytest.param(face, marks=pytest.mark.slow) for face in ("10.3", "11"))]
)
def explored(
    request: pytest.FixtureRequest, cudart: Path, tmp_path_factory: pytest.TempPathFactory, root: Path
) -> tuple[str, StudyData]:
    """A study on a board that has that TensorRT and two DLAs."""
    face, place = str(request.param), tmp_path_factory.mktemp("study")
    faced.network(root, place / "small.onnx", face)
    (place / "space.yaml").write_text(SPACE.replace("PRECISIONS", ", ".join(ASKED[face])))
    return face, read(faced.explore(place, face, cudart).folder)


def endings(data: StudyData) -> dict[tuple[str, str], str]:
    return {
        (record.params["precision"], record.params["placement"]): record.reason or record.state
        for record in data.records
    }


def test_every_precision_is_run_or_refused_with_its_reason(explored: tuple[str, StudyData]) -> None:
    face, data = explored
    told = endings(data)
    never = sum(line["count"] for line in data.impossible)
    assert len(told) + never == 2 * len(ASKED[face]), "each is tried, or known to be impossible"
    assert not [(record.params, record.reason) for record in data.records if record.state == "failed"]
    possible = {
        "8.5": {"fp32", "tf32", "fp16", "int8", "best"},
        "10.3": {"fp32", "tf32", "fp16", "bf16", "int8", "best"},
        "11": {"fp32", "tf32", "fp16", "int8"},
    }[face]
    assert {precision for (precision, unit), how in told.items() if (unit, how) == ("gpu", "complete")} == possible, (
        told
    )
    reasons = " ".join(line["reason"] for line in data.impossible)
    assert face != "11" or "no flags of precision" in reasons
    assert "FP8" in reasons
    assert ("fp8", "gpu") not in told


def test_dla_is_used_where_there_is_one_and_told_where_not(explored: tuple[str, StudyData]) -> None:
    face, data = explored
    told = {precision: how for (precision, unit), how in endings(data).items() if unit == "dla"}
    if face == "11":  # 11.4.0: the release serves none
        assert not told, "it costs no trial"
        assert any(line["source"].startswith("dla-release") for line in data.impossible)
        return
    assert {precision for precision, how in told.items() if how == "complete"} == {"fp16", "int8", "best"}, told
    for record in data.records:
        if record.state == "complete" and record.params["placement"] == "dla":
            assert record.evaluation.units["macs"].get("dla", 0) > 0


def test_the_record_says_that_it_was_measured_in_a_lesser_form(explored: tuple[str, StudyData]) -> None:
    """This is no Jetson: there is no sensor of power, and nobody may set its clocks."""
    _, data = explored
    device = read_study(data.folder)["device"]
    assert device["runtimes"]["tensorrt"]["available"]
    for record in data.records:
        if record.state == "complete":
            assert "energy_mj" not in record.metrics or record.evaluation.estimated
