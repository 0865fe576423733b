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

    def computing_s(self, layer: Layer, batch: int) -> float:
        return layer.padded_macs(self.align) * batch / self.macs

    def moved(self, layer: Layer, batch: int) -> float:
        """Bytes."""
        return (layer.moved * batch + layer.weights) * self.width

    def effort(self, layer: Layer, batch: int) -> Effort:
        computing_s = self.computing_s(layer, batch)
        busy_s = max(computing_s, self.moved(layer, batch) / self.bytes)
        return Effort(computing_s, busy_s, busy_s + self.start_s)


@dataclass(frozen=True)
class Effort:
    """What work costs a unit.

    Attributes:
        computing_s: the arithmetic, at the unit's rate.
        busy_s: for how long it can do nothing else.
        awake_s: with the starts.
    """

    computing_s: float = 0.0
    busy_s: float = 0.0
    awake_s: float = 0.0

    def __add__(self, other: Effort) -> Effort:
        awake_s = self.awake_s + other.awake_s
        return Effort(self.computing_s + other.computing_s, self.busy_s + other.busy_s, awake_s)


@dataclass(frozen=True)
class Engine:
    """An engine on its units, one inference.

    Attributes:
        gpu: what it costs the GPU (a processor's cores, where there is no GPU).
        dla: what it costs a DLA core.
        seconds: from start to end, alone.
        bytes: moved.
    """

    gpu: Effort
    dla: Effort
    seconds: float
    bytes: float

    def rate(self, streams: int, *, gpu_left: float = 1.0) -> float:
        """Inferences a second, with so many in flight and a share of the GPU taken by others."""
        most = [streams / self.seconds]
        most += [gpu_left / self.gpu.busy_s] if self.gpu.busy_s else []
        most += [1.0 / self.dla.busy_s] if self.dla.busy_s else []
        return min(most)


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
    on_unit, on_dla, moved = Effort(), Effort(), 0.0
    for layer in layers:
        if dla is None or layer.name in off_dla:
            on_unit += unit.effort(layer, batch)
            moved += unit.moved(layer, batch)
        else:
            on_dla += dla.effort(layer, batch)
            moved += dla.moved(layer, batch)
    return Engine(on_unit, on_dla, on_unit.awake_s + on_dla.awake_s + cuts * HAND_OVER_S, moved)


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
