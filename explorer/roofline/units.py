"""Units that engines run on, and how long one takes: a GPU, a DLA, or a processor's cores.

inferences a second = the least of   streams / seconds of one inference
                                     1 / seconds that it keeps a unit busy, of each unit
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from explorer.roofline.network import Layer
from explorer.roofline.sheet import Share, Sheet

# "assumed" all: what a start costs, and what of its peak a kernel or the memory comes to.
LAUNCH_S = 5e-6  # a kernel on a GPU, in the mode that draws most
ON_DLA_S = 3e-6  # a layer on a DLA, within a loadable
HAND_OVER_S = 50e-6  # a tensor from one unit to the other
CALL_S = 3e-6  # an operator on a processor
REACHED = 0.4  # of the peak

BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2}  # others: 1

# A vector register holds so many times as many numbers as of fp32.
_LANES = {"fp16": 2.0, "bf16": 2.0, "int8": 4.0, "fp8": 4.0}
CORE_MACS = 24e9  # 256-bit vectors of fp32, two of them a clock, 3 GHz, half of the time; "assumed"
CORE_BYTES = 10e9  # "assumed"
CORE_ALIGN = 8  # channels: a 256-bit vector of fp32


@dataclass(frozen=True)
class Unit:
    """What a unit does a second, in one precision."""

    macs: float
    bytes: float
    start_s: float  # of a layer
    align: int  # channels come in groups of so many
    width: int  # bytes of a number

    def busy_s(self, layer: Layer, batch: int) -> float:
        """For how long a layer keeps it busy."""
        moved = (layer.moved * batch + layer.weights) * self.width
        return max(layer.padded_macs(self.align) * batch / self.macs, moved / self.bytes)


@dataclass(frozen=True)
class Engine:
    """An engine on its units, one inference.

    Attributes:
        gpu_s: for how long it keeps the GPU busy (a processor's cores, where there is no GPU).
        dla_s: likewise a DLA core.
        seconds: from start to end, alone.
        bytes: moved.
    """

    gpu_s: float
    dla_s: float
    seconds: float
    bytes: float

    def rate(self, streams: int, *, gpu_left: float = 1.0) -> float:
        """Inferences a second, with so many in flight and a share of the GPU taken by others."""
        most = [streams / self.seconds]
        most += [gpu_left / self.gpu_s] if self.gpu_s else []
        most += [1.0 / self.dla_s] if self.dla_s else []
        return max(min(most), 1e-9)


def engine(
    layers: Sequence[Layer],
    batch: int,
    unit: Unit,
    *,
    dla: Unit | None = None,
    off_dla: Collection[str] = (),
    cuts: int = 0,
) -> Engine:
    """The layers on `unit`, or on `dla` but for those that are kept off it; `cuts` times a tensor is handed over."""
    gpu_s = dla_s = seconds = moved = 0.0
    for layer in layers:
        on_dla = dla is not None and layer.name not in off_dla
        at = dla if dla is not None and on_dla else unit
        busy = at.busy_s(layer, batch)
        gpu_s, dla_s = (gpu_s, dla_s + busy) if on_dla else (gpu_s + busy, dla_s)
        seconds += busy + at.start_s
        moved += (layer.moved * batch + layer.weights) * at.width
    return Engine(gpu_s, dla_s, seconds + cuts * HAND_OVER_S, moved)


def gpu(sheet: Sheet, share: Share, precision: str, align: int) -> Unit:
    rate = sheet.gpu_macs(precision) * share.gpu * REACHED
    bandwidth = sheet.bandwidth_gbs * 1e9 * share.rest * REACHED
    return Unit(rate, bandwidth, LAUNCH_S / share.rest, align, BYTES.get(precision, 1))


def dla(sheet: Sheet, share: Share, precision: str, *, cores: int, align: int) -> Unit:
    """One core."""
    rate = sheet.dla_macs(precision) / cores * share.dla * REACHED
    bandwidth = sheet.bandwidth_gbs * 1e9 * share.rest * REACHED
    return Unit(rate, bandwidth, ON_DLA_S, align, BYTES.get(precision, 1))


def processor(precision: str, cores: int) -> Unit:
    rate = CORE_MACS * _LANES.get(precision, 1.0) * cores
    return Unit(rate, CORE_BYTES * cores, CALL_S, CORE_ALIGN, BYTES.get(precision, 1))
