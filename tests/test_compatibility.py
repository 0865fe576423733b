"""`explorer agent check --model`, as a person and as a script meet it, on boards that need not be there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from explorer.oracle import TARGETS, Graph, refusals

SOURCE = "https://docs.nvidia.com/deeplearning/tensorrt"


def check(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "explorer", "agent", "check", *words]
    environment = {**os.environ, "COLUMNS": "80"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def onnx(root: Path) -> Path:
    return root / "examples" / "own_onnx" / "small.onnx"


@pytest.mark.parametrize("board", ["agx-orin-64", pytest.param("nano", marks=pytest.mark.slow)])
def test_the_page_says_what_the_oracle_says(board: str, onnx: Path) -> None:
    told = check(f"sim:{board}", "--model", str(onnx), "--batch", "4")
    assert told.returncode == 0, told.stderr
    head, *rows = told.stdout[: told.stdout.index("1. ")].rstrip().splitlines()[-9:]
    assert head.split() == ["gpu", "dla", "dla_only", "gpu+dla"]
    graph = Graph.of(onnx, final=False)
    for row in rows[1:]:
        precision, *cells = row.replace("no ", "no").split()
        words = [cell for cell in cells if not cell.isdigit() and cell != "…"]
        for placement, word in zip(head.split(), words, strict=True):
            wish = {"precision": precision, "placement": placement, "batch": 4, "streams": 3}
            assert word.startswith("no") is bool(refusals(TARGETS[board], graph, wish)), wish
    text = [line for line in told.stdout.splitlines() if SOURCE not in line and "github" not in line]
    assert max(map(len, text)) <= 80
    assert SOURCE in told.stdout
    if board == "nano":
        assert "it cannot be used on a real board" in " ".join(told.stdout.split())
        assert "  names-of-tensors: https://github.com/NVIDIA/TensorRT" in told.stdout


def test_a_script_gets_it_whole(onnx: Path) -> None:
    told = json.loads(check("sim:orin-nano", "--model", str(onnx), "--format", "json").stdout)
    assert (told["board"]["module"], told["board"]["dla_cores"]) == ("orin-nano", 0)
    by = {(verdict["precision"], verdict["placement"]): verdict for verdict in told["verdicts"]}
    assert by["fp16", "gpu"]["possible"]
    assert [refusal["rule"] for refusal in by["fp16", "dla"]["refusals"]] == ["dla-none"]


@pytest.mark.slow
def test_the_network_of_a_space(tmp_path: Path) -> None:
    told = json.loads(check("sim:agx-orin-64", "--model", "gait3d_cnn", "--format", "json").stdout)
    assert {v["placement"] for v in told["verdicts"] if v["possible"]} == {"gpu"}, "a 3D-CNN never claims a DLA"


@pytest.mark.parametrize(
    ("model", "words"),
    [("none.onnx", "there is no such file"), ("nospace", "no such space file"), ("broken.onnx", "no usable ONNX file")],
)
def test_a_network_that_cannot_be_read(model: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    told = check("sim:agx-orin-64", "--model", model, cwd=tmp_path)
    assert told.returncode == 2, told.stderr
    assert words in told.stderr
    assert "Traceback" not in told.stderr
