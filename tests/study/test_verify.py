"""Whole studies whose figures trtexec checks, on the very engines that were measured."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from explorer.report.html import content
from explorer.report.recompute import recompute
from explorer.report.view import view_of
from explorer.store import StudyData, read, read_study
from tests.agent.runtimes.tensorrt.faces.trtexec import installed
from tests.fixtures import faced

pytestmark = pytest.mark.slow

SPACE = """\
study: s
model: small.onnx
device: "local:"
runtime: tensorrt
precision: fp16
space:
  placement: [gpu, dla]
  streams: [1, 2]
objectives: {throughput_ips: max, output_error: min}
search: {sampler: random, trials: 4, race: off}
measure: {verify: trtexec, warmup_s: 0.02, window_s: 0.02, windows_min: 3, budget_s: 0.1, idle_s: 0, cooldown_s: 0}
"""


def study(place: Path, cudart: Path, root: Path, *, face: str, space: str = SPACE, **told: object) -> StudyData:
    installed(place / "tools", face, **told)
    faced.network(root, place / "small.onnx", face)
    (place / "space.yaml").write_text(space)
    environment = {"PATH": f"{place / 'tools'}{os.pathsep}{os.environ['PATH']}"}
    data = read(faced.explore(place, face, cudart, environment=environment).folder)
    assert {record.state for record in data.records} == {"complete"}, [record.reason for record in data.records]
    return data


@pytest.mark.parametrize("face", ["8.5", "10.3"])
def test_every_candidate_is_verified_and_its_figures_stay(face: str, tmp_path: Path, cudart: Path, root: Path) -> None:
    data = study(tmp_path, cudart, root, face=face)
    assert len(data.records) == 4
    for record in data.records:
        found, streams = record.evaluation.verified, record.params["streams"]
        assert found["throughput_ips"] > 0, found
        assert found["ratio"]["throughput_ips"] > 0
        assert found["agrees"] is ("trtexec-disagrees" not in record.evaluation.flags)
        command = shlex.split(found["command"])
        assert f"--{'streams' if face == '8.5' else 'infStreams'}={streams}" in command
        assert ("--useDLACore=0" in command) is (record.params["placement"] == "dla")
        assert record.evaluation.stages["verify"].seconds > 0
    assert recompute(data.folder).ok
    assert "verify" not in read_study(data.folder)["experiment"]["measure"]


def test_one_that_disagrees_marks_every_trial(tmp_path: Path, cudart: Path, root: Path) -> None:
    one = SPACE.replace("[gpu, dla]", "[gpu]").replace("[1, 2]", "[1]").replace("trials: 4", "trials: 1")
    data = study(tmp_path, cudart, root, face="11", space=one.replace("fp16", "fp32"), latency_ms=1000.0)
    (record,) = data.records
    assert record.evaluation.verified["agrees"] is False
    assert "trtexec-disagrees" in record.evaluation.flags
    assert record.evaluation.verified["ratio"]["throughput_ips"] > 10
    assert recompute(data.folder).ok
    page = content(view_of(data), pareto=False)
    assert "trtexec-disagrees" in page["doubts"]
    assert any("agrees on 0 of 1 trials" in note for note in page["footnotes"])
