"""The examples do what their READMEs say, by the commands their READMEs give."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from explorer.config import load
from explorer.errors import BadInput


def explored(space: Path, results: Path, *, trials: int) -> list[dict[str, Any]]:
    """The records of a run of the real command line."""
    command = [sys.executable, "-m", "explorer", "run", "--space", str(space), "--trials", str(trials)]
    ran = subprocess.run(
        [*command, "--results", str(results)], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    (trials_file,) = results.glob("*/trials.jsonl")
    return [json.loads(line) for line in trials_file.read_text().splitlines()]


@pytest.mark.slow  # the test of the README explores the same space
def test_ones_own_network_and_data_are_explored_with_one_command(root: Path, tmp_path: Path) -> None:
    records = explored(root / "examples" / "own_model" / "digits.yaml", tmp_path, trials=6)
    assert [record["state"] for record in records] == ["complete"] * 6
    assert {"train", "export", "build", "measure", "infer"} <= set(records[0]["stages"])
    dense = [r["metrics"]["accuracy"]["value"] for r in records if r["params"]["prune_ratio"] == 0]
    assert all(accuracy > 0.9 for accuracy in dense)


@pytest.mark.slow
def test_a_bare_network_is_explored_with_one_command(root: Path, tmp_path: Path) -> None:
    records = explored(root / "examples" / "own_onnx" / "small.yaml", tmp_path, trials=10)
    assert "failed" not in {record["state"] for record in records}
    errors = {r["params"]["precision"]: r["metrics"]["output_error"]["value"] for r in records if r["metrics"]}
    assert errors["fp32"] < 1e-4
    assert 1e-4 < errors["int8"] < 0.3


def test_the_bare_network_is_what_its_script_writes(root: Path) -> None:
    folder = root / "examples" / "own_onnx"
    made = runpy.run_path(str(folder / "make_onnx.py"))["network"]()
    shipped = onnx.load(folder / "small.onnx")
    assert shipped.graph == made.graph
    assert (folder / "small.onnx").stat().st_size < 100_000


def test_pruning_a_bare_network_is_refused_in_words(root: Path, tmp_path: Path) -> None:
    folder = root / "examples" / "own_onnx"
    (tmp_path / "small.onnx").write_bytes((folder / "small.onnx").read_bytes())
    text = (folder / "small.yaml").read_text().replace("space:\n", "space:\n  prune_ratio: [0, 0.5]\n")
    (tmp_path / "small.yaml").write_text(text)
    with pytest.raises(BadInput, match="its weights are fixed") as caught:
        load(tmp_path / "small.yaml")
    assert [problem.path for problem in caught.value.problems] == ["space.prune_ratio"]


@pytest.mark.parametrize("name", ["quickstart", "gait3d_cnn"])
def test_shipped_spaces_can_be_read(name: str) -> None:
    experiment = load(name)
    assert experiment.space.size >= 60
    assert experiment.dataset is not None


def test_casia_b_says_what_is_missing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(BadInput) as caught:
        load(root / "search_spaces" / "gaitset_casia_b.yaml")
    assert [problem.path for problem in caught.value.problems] == ["model.weights", "dataset.root"]
    assert all("looked for" in problem.hint for problem in caught.value.problems)
