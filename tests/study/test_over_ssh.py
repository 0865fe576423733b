"""A whole study on a board behind a real OpenSSH server is the study of the local pipe, and sends nothing twice."""

from __future__ import annotations

import json
import subprocess
import venv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sshd import Sshd

from explorer.config import Experiment, load
from explorer.device import Device
from explorer.fleet import duties
from explorer.report import write
from explorer.result import Record
from explorer.store import read
from explorer.study import run
from tests.fixtures.watching import Watching

SPACE = """\
study: both
model: {name: gait3d_cnn_tiny, weights: shipped}
dataset: {name: walkers, modality: flow, views: [90], subjects_test: 6, subjects_train: 16, calibration: 16}
runtime: onnxruntime
space:
  prune_ratio: [0, 0.5]
  precision: [fp32, int8]
  batch: [1, 4]
finetune: {iterations: 5}
objectives: {accuracy: max, model_mb: min}
search: {sampler: random, seed: 5}
measure: {warmup_s: 0.05, window_s: 0.05, windows_min: 3, budget_s: 0.3, relative_interval: 0.5}
"""


@pytest.fixture
def bare_python(tmp_path: Path) -> str:
    """A python3 as a board has it: ONNX Runtime and numpy, and nothing of ours."""
    environment = tmp_path / "bare"
    venv.create(environment, with_pip=False)
    site = next((environment / "lib").glob("python3*")) / "site-packages"
    for package in (Path(np.__file__).parent, Path(onnxruntime.__file__).parent):
        (site / package.name).symlink_to(package)
        for libraries in package.parent.glob(f"{package.name}.libs"):
            (site / libraries.name).symlink_to(libraries)
    python = str(environment / "bin" / "python3")
    nothing = subprocess.run([python, "-I", "-c", "import explorer"], capture_output=True, text=True, check=False)
    assert "No module named 'explorer'" in nothing.stderr
    return python


@pytest.fixture
def account(tmp_path: Path, bare_python: str) -> Iterator[Sshd]:
    with Sshd(tmp_path / "board", python=bare_python) as board, board.client():
        assert list(board.home.iterdir()) == []
        yield board


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """The devices that studies connect to, to be asked afterwards what was sent."""
    found: list[Device] = []
    connect = duties.connect

    def remembering(*words: Any, **named: Any) -> Device:
        found.append(connect(*words, **named))
        return found[-1]

    monkeypatch.setattr(duties, "connect", remembering)
    return found


def explored(experiment: Experiment, device: str, results: Path, cache: Path, *, fresh: bool = False) -> Path:
    given = replace(experiment, devices=(device,))
    return run(given, results=results, cache=cache, watcher=Watching(), fresh=fresh).folder


def answers(records: tuple[Record, ...]) -> list[tuple[dict[str, Any], str, float, float]]:
    """What a record says that does not depend on how fast the device is."""
    assert {record.state for record in records} == {"complete"}, [record.reason for record in records]
    assert all(record.metrics["throughput_ips"].value > 0 for record in records)
    return [
        (dict(r.params), r.evaluation.artifacts["onnx"], r.metrics["accuracy"].value, r.metrics["model_mb"].value)
        for r in records
    ]


def on_the_front(folder: Path) -> list[dict[str, Any]]:
    return [record["params"] for record in json.loads(write(folder, pareto=True, format="json", output=None))["front"]]


@pytest.mark.slow
def test_the_same_front_as_over_the_pipe_and_nothing_sent_twice(
    account: Sshd, devices: list[Device], tmp_path: Path, own_cache: Path
) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    experiment = load(tmp_path / "space.yaml")
    here = explored(experiment, "local:", tmp_path / "here", own_cache)
    there = explored(experiment, account.spec, tmp_path / "there", own_cache)
    assert answers(read(here).records) == answers(read(there).records)
    assert len(read(there).records) == 8
    assert on_the_front(here) == on_the_front(there) != []
    assert [device.shares_host for device in devices] == [True, False]
    assert devices[1].sent_bytes > 0

    again = explored(experiment, account.spec, tmp_path / "there", own_cache, fresh=True)
    assert answers(read(again).records) == answers(read(here).records)
    assert devices[2].sent_bytes == 0
    assert devices[2]._line._transport.sent_bytes == 0, "the agent itself is there as well"  # type: ignore[attr-defined]
