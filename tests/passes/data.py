"""Datasets and networks the passes are tried on: ``tests.passes.data:name``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from explorer.datasets.arrays import ArrayDataset


def digits_like() -> ArrayDataset:
    """Four kinds of 8 x 8 images: a bright quarter each."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 30)
    images = rng.random((120, 1, 8, 8)) * 0.5
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[0, row : row + 4, column : column + 4] += 0.5
    return ArrayDataset(images, labels, images, labels)


def silhouettes() -> ArrayDataset:
    """Four people of different width and height, six short sequences of each."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :44]
    labels = np.repeat(np.arange(4), 6)
    inputs = np.zeros((24, 4, 64, 44), np.float32)
    for sequence, label in zip(inputs, labels, strict=True):
        for frame in sequence:
            centre, width, height = 22 + rng.normal(0, 1), 8 + 2 * label, 30 - 3 * label
            frame[:] = ((columns - centre) / width) ** 2 + ((rows - 32) / height) ** 2 < 1
    return ArrayDataset(inputs, labels, inputs, labels)


def flow() -> ArrayDataset:
    """Smooth random motion of four strengths."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 4)
    coarse = rng.normal(size=(16, 2, 25, 15, 15)) * (0.5 + labels)[:, None, None, None, None] / 3
    inputs = coarse.repeat(4, axis=3).repeat(4, axis=4)
    return ArrayDataset(inputs, labels, inputs, labels)


def flow_2d() -> ArrayDataset:
    """`flow`, its 25 frames of two components as 50 channels."""
    stacked = flow().evaluation().transpose(0, 2, 1, 3, 4).reshape(16, 50, 60, 60)
    labels = np.repeat(np.arange(4), 4)
    return ArrayDataset(stacked, labels, stacked, labels)


class Residual(nn.Module):
    """Convolutions with batch norm and a residual sum, flattened into a classifier."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width)
        self.inner, self.inner_norm = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.out = nn.Linear(width * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        x = (self.inner_norm(self.inner(x)) + x).relu()
        out: Tensor = self.out(nn.functional.max_pool2d(x, 2).flatten(1))
        return out


class SumOfTwo(nn.Module):
    """Two layers add up to the output: neither may be cut; and one that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.unused = nn.Linear(64, 8), nn.Linear(3, 3)
        self.left, self.right = nn.Linear(8, 4), nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        out: Tensor = self.left(self.hidden(x).relu()) + self.right(x)
        return out


class FixedWidth(nn.Module):
    """Its forward counts on 16 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.conv(x).view(-1, 16, 64).mean(2) * torch.ones(16))
        return out


class Untraceable(nn.Module):
    """Its forward refuses autograd, which pruning and exporting follow."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum().item() > 1e9:
            raise ValueError("too bright")
        return torch.from_numpy(self.out(x.flatten(1)).detach().numpy())
