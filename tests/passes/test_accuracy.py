"""What TensorRT's int8 costs in rank-1, on the networks that have shipped weights and people whom none has met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.datasets.walkers import Walkers
from explorer.models import weights_path
from explorer.passes import export, quantise
from explorer.passes.fidelity import exact

CROWD: dict[str, Any] = {"seed": 1, "views": [54, 90, 126], "subjects_train": 60, "sequences_train": 2}
NETWORKS: dict[str, dict[str, Any]] = {
    "gaitset_tiny": {"frames": 6, "subjects_test": 50},
    "gait2d_cnn_tiny": {"modality": "stacked_flow", "subjects_test": 50},
    "gait3d_cnn_tiny": {"modality": "flow", "subjects_test": 50},
}
# Points of rank-1 that show that a network works at all; of 50 people chance finds 2. The 2D-CNN's 29 are little.
WORKS = {"gaitset_tiny": 60, "gait2d_cnn_tiny": 20, "gait3d_cnn_tiny": 60}


def rank1(onnx: Path, people: Walkers) -> float:
    """In points, the mean over normal, bag and coat."""
    session, inputs = exact(onnx), people.evaluation()
    into = session.get_inputs()[0].name
    outputs = [session.run(None, {into: part})[0] for part in np.array_split(inputs, len(inputs) // 30)]
    score = people.score(np.concatenate(outputs))
    return 100 * float(np.mean([score[name].value for name in ("accuracy", "accuracy_bg", "accuracy_cl")]))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_int8_calibrated_on_256_samples_loses_at_most_a_point(name: str, tmp_path: Path) -> None:
    """`benchmarks/calibration.py` tells what other numbers of samples cost."""
    options = {**CROWD, **NETWORKS[name]}
    people, weights = Walkers(**options), weights_path(name)
    assert weights is not None
    shape = {"sample_shape": list(people.sample_shape), "opset": 17}
    export.run({"checkpoint": weights}, shape, tmp_path / "fp32.onnx")
    params = {"recipe": "tensorrt", "calibration": 256, "dataset": {"name": "walkers", "options": options}}
    info = quantise.run({"onnx": tmp_path / "fp32.onnx"}, params, tmp_path / "int8.onnx")
    before = rank1(tmp_path / "fp32.onnx", people)
    assert before > WORKS[name]
    assert before - rank1(tmp_path / "int8.onnx", people) <= 1
    assert info["calibration"]["samples"] == 256
    assert info["sqnr_db"] > 20
