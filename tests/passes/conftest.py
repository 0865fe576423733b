"""Checkpoints to start from, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from explorer.models import checkpoint, weights_path
from explorer.models.build import build
from explorer.passes import export, quantise
from tests.passes import data

SHAPES = {
    "gaitset": [2, 64, 44],
    "gaitset_tiny": [6, 64, 44],
    "gait2d_cnn": [50, 60, 60],
    "gait2d_cnn_tiny": [50, 60, 60],
    "gait3d_cnn": [2, 25, 60, 60],
    "gait3d_cnn_tiny": [2, 25, 60, 60],
}

# Network → its data in tests.passes.data, or None: then random numbers.
DATA = {
    "gaitset_tiny": "silhouettes",
    "gait2d_cnn_tiny": "flow_2d",
    "gait3d_cnn_tiny": "flow",
    "tests.passes.data:Residual": "digits_like",
    "tests.models.data:Mixed": None,
}
GAIT = ("gaitset_tiny", "gait2d_cnn_tiny", "gait3d_cnn_tiny")

Make = Callable[..., Path]
Exported = Callable[[str, int], Path]
Quantised = Callable[..., tuple[Path, dict[str, Any]]]


def calibrating(name: str) -> dict[str, Any]:
    """Parameters that let a pass calibrate the network `name`."""
    dataset = DATA[name]
    return {"calibration": 8} | ({"dataset": {"name": f"tests.passes.data:{dataset}"}} if dataset else {})


def shape_of(name: str) -> tuple[int, ...]:
    """Shape of one sample of the network `name`."""
    dataset = DATA[name]
    return tuple(getattr(data, dataset)().sample_shape) if dataset else (3, 8, 8)


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A checkpoint of the network `name`, its biases and norms away from their initial values."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def make(name: str, **options: Any) -> Path:
        path = folder / f"{name.replace(':', '_')}{options}.pt"
        if not path.exists():
            torch.manual_seed(0)
            module = build(name, options)
            for parameter in module.parameters():
                if parameter.dim() == 1:
                    torch.nn.init.uniform_(parameter, -0.5, 0.5)
            checkpoint.save(path, module, model={"name": name, "options": options}, info={"origin": "test"})
        return path

    return make


@pytest.fixture(scope="session")
def network(make_checkpoint: Make, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The ONNX file of a network of `DATA` by name and opset, with the weights that ship where some do."""
    folder = tmp_path_factory.mktemp("networks")

    def make(name: str, opset: int) -> Path:
        path = folder / f"{name.rpartition(':')[2]}_{opset}.onnx"
        if not path.exists():
            source = {"checkpoint": weights_path(name) or make_checkpoint(name)}
            export.run(source, {"sample_shape": shape_of(name), "opset": opset}, path)
        return path

    return make


@pytest.fixture(scope="session")
def for_tensorrt(network: Exported, tmp_path_factory: pytest.TempPathFactory) -> Quantised:
    """The network with TensorRT's Q/DQ pairs, and what the pass told."""
    folder = tmp_path_factory.mktemp("tensorrt")
    made: dict[tuple[str, int, str], tuple[Path, dict[str, Any]]] = {}

    def make(name: str, opset: int, precision: str = "int8") -> tuple[Path, dict[str, Any]]:
        key = (name, opset, precision)
        if key not in made:
            path = folder / f"{len(made)}.onnx"
            params = {"recipe": "tensorrt", "precision": precision, **calibrating(name)}
            made[key] = path, quantise.run({"onnx": network(name, opset)}, params, path)
        return made[key]

    return make
