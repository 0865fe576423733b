"""`explorer train` and `explorer evaluate` on a network and data of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MINE = """\
import numpy as np, torch
from explorer.datasets.arrays import ArrayDataset

def build(classes, width=16):
    return torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Linear(width, classes))

def data(spread=4.0):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 30)
    x = spread * rng.normal(size=(4, 8))[y] + rng.normal(size=(120, 8))
    return ArrayDataset(x[::2], y[::2], x[1::2], y[1::2])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def explorer(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "explorer", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ})


@pytest.mark.slow
def test_a_trained_network_is_written_with_its_recipe_and_scored(folder: Path) -> None:
    train = ["train", "--model", "mine:build", "--dataset", "mine:data", "--option", "spread=5.0"]
    told = explorer(folder, *train, "--recipe", "iterations=60", "--recipe", "lr=0.01", "--output", "net.pt")
    assert told.returncode == 0, told.stderr
    assert "60 steps" in told.stdout
    recorded = json.loads((folder / "net.json").read_text())
    assert recorded["command"]["dataset"]["options"] == {"spread": 5.0}
    assert recorded["info"]["recipe"]["lr"] == 0.01
    scored = explorer(folder, "evaluate", "net.pt", "--dataset", "mine:data", "--option", "spread=5.0")
    assert scored.returncode == 0, scored.stderr
    name, value, *_ = scored.stdout.split()
    assert name == "accuracy"
    assert float(value) > 0.9


@pytest.mark.slow
def test_equal_seeds_train_equal_networks(folder: Path) -> None:
    train = ["train", "--model", "mine:build", "--dataset", "mine:data", "--recipe", "iterations=5", "--seed", "3"]
    for name in ("a.pt", "b.pt"):
        assert explorer(folder, *train, "--output", name).returncode == 0
    assert (folder / "a.pt").read_bytes() == (folder / "b.pt").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--option", "spread"], "not of the form key=value"),
        (["--option", "spraed=1"], "spraed"),
        (["--recipe", "iteration=5"], "did you mean 'iterations'?"),
        (["--output", "absent/net.pt"], "no such folder"),
        (["--model", "gaitst"], "did you mean 'gaitset'?"),
    ],
)
def test_bad_input_is_one_clear_message(folder: Path, arguments: list[str], message: str) -> None:
    told = explorer(folder, "train", "--model", "mine:build", "--dataset", "mine:data", "--output", "x.pt", *arguments)
    assert told.returncode == 2
    assert message in told.stderr
    assert "Traceback" not in told.stderr


def test_a_broken_checkpoint_is_one_clear_message(folder: Path) -> None:
    (folder / "net.pt").write_bytes(b"PK\x03\x04 torn")
    told = explorer(folder, "evaluate", "net.pt", "--dataset", "mine:data")
    assert told.returncode == 2
    assert "net.pt" in told.stderr
    assert "Traceback" not in told.stderr
