"""The corners of what may be explored, by the command line on a virtual board: each ends in a clear sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.test_cli import explorer

SPACE = """\
study: s
model: {onnx: small.onnx}
device: "sim:orin-nano"
runtime: tensorrt
space: SPACE
objectives: OBJECTIVES
constraints: CONSTRAINTS
search: {sampler: front, race: off}
measure: {budget_s: 0.3, windows_min: 2, reference_every: 0}
"""


def ended(
    folder: Path, root: Path, space: str, objectives: str, constraints: str = "[]", *, code: int = 0
) -> tuple[str, str]:
    """What a run says at its end, and a report on it; no traceback, no warning, and lines that fit."""
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", folder)
    text = SPACE.replace("SPACE", space).replace("OBJECTIVES", objectives).replace("CONSTRAINTS", constraints)
    (folder / "space.yaml").write_text(text)
    told = explorer("run", "--space", "space.yaml", cwd=folder, EXPLORER_CACHE=str(folder / "cache"))
    assert told.returncode == code, told.stderr
    assert not [word for word in ("Traceback", "Warning", "[I ") if word in told.stderr]
    if code:
        return told.stderr, ""
    assert max(map(len, told.stdout.splitlines())) <= 80
    report = explorer("report", "results/s", "--pareto", "--format", "json", cwd=folder)
    assert report.returncode == 0, report.stderr
    return " ".join(told.stdout.split()), report.stdout


def test_a_single_candidate(tmp_path: Path, root: Path) -> None:
    said, report = ended(tmp_path, root, "{batch: [4]}", "{throughput_ips: max, energy_mj: min}")
    assert said.startswith("the space is exhausted: its one candidate has been tried this run: 1 complete")
    assert len(json.loads(report)["front"]) == 1


def test_nobody_keeps_the_constraint(tmp_path: Path, root: Path) -> None:
    limits = "['latency_ms <= 0.000001']"
    said, report = ended(tmp_path, root, "{precision: [fp32, fp16]}", "{throughput_ips: max}", limits)
    assert "this run: 2 infeasible none of the 2 trials that were measured keeps latency_ms <= 1e-06; trial" in said
    told = json.loads(report)
    assert (told["front"], told["ended"]["stop"]) == ([], "space")
    assert [note for note in told["notes"] if "so there is no front. None of the 2 trials" in note]


def test_everything_is_refused(tmp_path: Path, root: Path) -> None:
    said, _ = ended(tmp_path, root, "{precision: [fp32], placement: [dla]}", "{throughput_ips: max}", code=2)
    assert "space.yaml: the one candidate is impossible on this board" in said
    assert "seen: 1: orin-nano has no DLA" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "objectives", "limits"),
    [
        ("{precision: [fp32, fp16, best]}", "{throughput_ips: max, output_error: min}", "[]"),
        (
            "{batch: [1, 2], streams: [1, 2]}",
            "{throughput_ips: max, energy_mj: min, latency_ms: min, power_w: min}",
            "[]",
        ),
        ("{precision: [fp32, fp16], batch: [1, 2, 4]}", "{throughput_ips: max}", "['power_w <= 13']"),
    ],
    ids=["two objectives, words", "four objectives, numbers", "one constraint"],
)
def test_what_else_there_is(tmp_path: Path, root: Path, space: str, objectives: str, limits: str) -> None:
    said, report = ended(tmp_path, root, space, objectives, limits)
    assert said.startswith("the space is exhausted: all")
    assert json.loads(report)["front"]
