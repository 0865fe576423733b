"""Checkpoints to start from, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from explorer.models import checkpoint
from explorer.models.build import build

SHAPES = {
    "gaitset": [2, 64, 44],
    "gaitset_tiny": [6, 64, 44],
    "gait3d_cnn": [2, 25, 60, 60],
    "gait3d_cnn_tiny": [2, 25, 60, 60],
}

Make = Callable[..., Path]


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
