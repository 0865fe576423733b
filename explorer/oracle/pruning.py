"""To what number of channels a pruned layer is best rounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from explorer.oracle.board import WITHOUT_INT8, Target
from explorer.oracle.placement import ON_DLA
from explorer.oracle.sources import SOURCES

Channels = Literal[8, 16, 32]


@dataclass(frozen=True)
class Multiple:
    """Channels come in groups of so many: one that is begun costs as much as a full one."""

    channels: Channels
    reason: str
    source: str


def channel_multiple(precision: str, placement: str, target: Target) -> Multiple:
    """The multiple of channels that the unit can use; with several units that of the coarsest.

    Args:
        precision: as in a deployment; ``best`` counts as int8 where the board has it.
        placement: as in a deployment.
        target: the board.
    """
    eight_bit = precision in ("int8", "fp8") or (precision == "best" and target.sm not in WITHOUT_INT8)
    if placement in ON_DLA and target.dla_cores != 0:
        if eight_bit:
            return Multiple(32, "a DLA holds int8 in groups of 32 channels (CHW32)", SOURCES["formats"])
        return Multiple(16, "a DLA holds fp16 in groups of 16 channels (CHW16)", SOURCES["formats"])
    if eight_bit:
        return Multiple(32, "a GPU's int8 kernels take groups of 32 channels (CHW32)", SOURCES["formats"])
    return Multiple(8, "a GPU's fp16 kernels take groups of 8 channels (HWC8)", SOURCES["formats"])
