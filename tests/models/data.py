"""Small samples and networks for the tests of training and checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Blobs:
    """Four well separated clouds in eight dimensions."""

    def __init__(self, each: int = 20, classes: int = 4) -> None:
        rng = np.random.default_rng(0)
        self._labels = np.repeat(np.arange(classes), each)
        centres = 3 * rng.normal(size=(classes, 8))
        self.inputs = (centres[self._labels] + rng.normal(size=(len(self._labels), 8))).astype(np.float32)

    @property
    def labels(self) -> NDArray[np.int64]:
        return self._labels

    def draw(self, indices: NDArray[np.integer[Any]], rng: np.random.Generator) -> NDArray[np.float32]:
        noise = rng.normal(0, 0.1, (len(indices), 8)).astype(np.float32)
        drawn: NDArray[np.float32] = self.inputs[indices] + noise
        return drawn


class Classifier(nn.Module):
    """A plain module that offers nothing beyond its forward."""

    def __init__(self, classes: int = 4, width: int = 16) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(8, width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(torch.relu(self.hidden(x)))
        return out


class Mixed(nn.Module):
    """Every kind of layer that can be cut: grouped, depthwise, transposed, norms, PReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.point, self.prelu = nn.Conv2d(16, 12, 1), nn.PReLU(12)
        self.grouped = nn.Conv2d(12, 12, 3, padding=1, groups=2)
        self.group_norm = nn.GroupNorm(2, 12)
        self.up = nn.ConvTranspose2d(12, 8, 2, stride=2)
        self.out = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.bn(self.stem(x)).relu())
        x = self.group_norm(self.grouped(self.prelu(self.point(x)))).relu()
        out: Tensor = self.out(self.up(x).relu().mean((2, 3)))
        return out


def no_module() -> int:
    """A builder that builds no network."""
    return 1
