"""A network of the user's own that no two devices agree on: depthwise convolutions between 1 x 1 ones.

x86: depthwise in int8 is slower than in fp32, which vector instructions do 16 at a time. Emulated arm64: every fp32
operation is computed in software, so int8 is the faster one. Both by a factor of about two, far more than noise.
"""

from __future__ import annotations

from torch import nn


def build(classes: int, width: int = 32, frames: int = 4) -> nn.Module:
    """Silhouettes [n, frames, 64, 44] to class scores [n, classes], which serve as an embedding of strangers, too."""
    blocks = [layer for _ in range(3) for layer in (*_conv(width, 5, groups=width), *_conv(width, 1))]
    return nn.Sequential(
        *_conv(width, 3, inputs=frames, stride=2),
        *blocks,
        nn.AdaptiveAvgPool2d((8, 4)),
        nn.Flatten(),
        nn.Linear(32 * width, classes),
    )


def _conv(width: int, kernel: int, *, inputs: int = 0, groups: int = 1, stride: int = 1) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(inputs or width, width, kernel, padding=kernel // 2, groups=groups, stride=stride, bias=False)
    return conv, nn.BatchNorm2d(width), nn.ReLU()
