"""Files of the zoo's networks, exported once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch

from explorer.models.build import build
from explorer.passes import export

SHAPES = {
    "gaitset_tiny": (6, 64, 44),
    "gait2d_cnn_tiny": (50, 60, 60),
    "gait2d_cnn": (50, 60, 60),
    "gait3d_cnn_tiny": (2, 25, 60, 60),
    "gait3d_cnn": (2, 25, 60, 60),
}

Zoo = Callable[[str, int], Path]


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """The file of a network by name and opset."""
    folder = tmp_path_factory.mktemp("zoo")

    def make(name: str, opset: int) -> Path:
        path = folder / f"{name}_{opset}.onnx"
        if not path.exists():
            torch.manual_seed(0)
            onnx.save(export.export(build(name), SHAPES[name], opset=opset), path)
        return path

    return make
