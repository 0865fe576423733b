"""What pruning rounds to."""

from __future__ import annotations

import pytest

from explorer.oracle import TARGETS, channel_multiple
from explorer.oracle.sources import SOURCES


@pytest.mark.parametrize(
    ("board", "precision", "placement", "channels"),
    [
        ("agx-orin-64", "fp32", "gpu", 8),
        ("agx-orin-64", "fp16", "gpu", 8),
        ("thor", "bf16", "gpu", 8),
        ("agx-orin-64", "int8", "gpu", 32),
        ("thor", "fp8", "gpu", 32),
        ("agx-orin-64", "best", "gpu", 32),
        ("nano", "best", "gpu", 8),
        ("agx-orin-64", "fp16", "dla", 16),
        ("agx-xavier", "fp16", "gpu+dla", 16),
        ("agx-orin-64", "int8", "dla_only", 32),
        ("agx-orin-64", "int8", "gpu+dla", 32),
        ("orin-nano", "fp16", "dla", 8),
    ],
)
def test_channels_come_in_groups(board: str, precision: str, placement: str, channels: int) -> None:
    multiple = channel_multiple(precision, placement, TARGETS[board])
    assert multiple.channels == channels
    assert multiple.source in SOURCES.values()
    assert multiple.reason
