"""How long a layer takes on a unit, and a network on the units it was placed on.

    seconds of a layer = whichever takes longer, computing or moving, and a little of the other; plus its start

    computing   MACs, channels filled up to what the unit reads at once, over the unit's rate, as far as it is filled
    moving      bytes over the share of the memory that the unit gets: units at work at once share it

    GPU  ├─ conv ─┤▒├─ fallback ─┤▒├─ conv ─┤       ▒ reformat: the tensor is copied when the unit changes
    DLA           ▒              ▒

The coefficients below were fitted to what NVIDIA publishes of AGX Orin (tests/agent/virtual/test_calibration.py holds
the model against each figure); none was measured here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Mapping, Sequence

from explorer_agent.virtual.boards import Board, Mode
from explorer_agent.virtual.layers import Layer

BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "int8": 1, "fp8": 1}
GPU_ALIGN = {"fp32": 1, "tf32": 4, "fp16": 8, "bf16": 8, "int8": 16, "fp8": 16}  # channels a tensor core reads at once
DLA_ALIGN = {"fp16": 16, "int8": 32}  # CHW16 and CHW32
IMAGE = 4  # channels that an image's layer is filled up to, whatever else the unit reads at once
GPU_OF_MEMORY = 0.75
DLA_OF_MEMORY = 0.26  # of the bandwidth, one core at most
ALL_OF_MEMORY = 0.85  # what all units together get
TILE = 64  # rows × channels that a multiprocessor computes at a time
TILES_EACH = 2  # in flight on one multiprocessor
VECTOR = 0.125  # of the rate is left where every channel is for itself (depthwise)
DLA_START_S = 7.1e-6  # of a layer, at 1.6 GHz of the DLA's own clock
DLA_SUBMIT_S = 60e-6  # of a loadable
LOADABLES = 16  # that one DLA holds at once: TensorRT, "working with DLA"
GPU_GAP_S = 1.5e-6  # between two kernels
OTHER = 0.05  # of the shorter of computing and moving does not overlap
REFORMAT = "reformat"  # the name of a copy between two units
RESIDENT_BYTES = {"gpu": 2 << 20, "dla": 256 << 10}  # tensors up to this size stay on the chip
ON_CHIP = 0.44  # of their bytes are moved nevertheless


@dataclass(frozen=True)
class Unit:
    """A unit in one power mode."""

    name: str  # "gpu", "dla0", …
    macs_per_s: float  # of the precision that `rates` counts as 1
    rates: Mapping[str, float]
    bytes_per_s: float
    multiprocessors: int  # 0: it does not compute in tiles
    start_s: float  # of a layer
    submit_s: float  # of an inference

    @property
    def is_dla(self) -> bool:
        return self.name != "gpu"


@dataclass(frozen=True)
class Cost:
    """What one layer costs on one unit."""

    compute_s: float
    memory_s: float
    start_s: float
    bytes: float
    useful: float = 1.0  # share of the arithmetic that is no multiplication with a zero that channels are filled with

    @property
    def seconds(self) -> float:
        return self.start_s + _together(self.compute_s, self.memory_s)


@dataclass(frozen=True)
class Stretch:
    """Layers that follow each other on one unit, or the copy between two units."""

    unit: str
    costs: tuple[Cost, ...]
    macs: int
    layers: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return sum(cost.seconds for cost in self.costs)


@dataclass(frozen=True)
class Fallback:
    """A layer that could not run where it was asked to."""

    layer: str
    reason: str


@dataclass(frozen=True)
class Run:
    """One inference from end to end. `host_s` is time in which no unit works: the processor submits."""

    unit: str  # that it was placed on
    stretches: tuple[Stretch, ...]
    host_s: float
    fallbacks: tuple[Fallback, ...]
    precisions: Mapping[str, int]  # layers that do arithmetic, by the precision they run in

    @property
    def unit_s(self) -> float:
        return sum(stretch.seconds for stretch in self.stretches)

    @property
    def seconds(self) -> float:
        return self.host_s + self.unit_s

    @property
    def bytes(self) -> float:
        return sum(cost.bytes for stretch in self.stretches for cost in stretch.costs)

    def busy_s(self, unit: str) -> float:
        """Seconds that `unit` is at work."""
        return sum(stretch.seconds for stretch in self.stretches if stretch.unit == unit)

    def compute_s(self, unit: str) -> float:
        """Seconds that it would need for the arithmetic alone; zeros that fill channels up toggle nothing."""
        return sum(
            cost.compute_s * cost.useful for stretch in self.stretches if stretch.unit == unit for cost in stretch.costs
        )

    def macs_share(self) -> dict[str, float]:
        """The share of all MACs that each unit computes."""
        whole = sum(stretch.macs for stretch in self.stretches) or 1
        found: dict[str, float] = {}
        for stretch in self.stretches:
            found[stretch.unit] = found.get(stretch.unit, 0.0) + stretch.macs / whole
        return found

    def slowed(self, memory: float, clocks: float = 1.0) -> Run:
        """The same with the memory so many times slower, and clocks at that share."""
        stretches = tuple(
            replace(stretch, costs=tuple(_slowed(cost, memory, clocks) for cost in stretch.costs))
            for stretch in self.stretches
        )
        return replace(self, stretches=stretches, host_s=self.host_s / clocks)


def unit(board: Board, mode: Mode, name: str) -> Unit:
    """The unit `name` of `board` in `mode`."""
    memory = mode.bandwidth_gbs * 1e9
    if name == "gpu":
        rate = mode.gpu_tops * 1e12 / 2 * board.gpu_of_peak
        each = dict(board.gpu_rates)
        sms = int(mode.multiprocessors)
        return Unit(name, rate, each, memory * GPU_OF_MEMORY, sms, GPU_GAP_S, mode.launch_us * 1e-6)
    rate = mode.dla_tops / board.dla_cores * 1e12 / 2 * board.dla_of_peak
    clock = max(m.dla_tops for m in board.modes.values()) / mode.dla_tops
    start_s, submit_s = DLA_START_S * clock, DLA_SUBMIT_S
    return Unit(name, rate, dict(board.dla_rates), memory * DLA_OF_MEMORY, 0, start_s, submit_s)


def cost(layer: Layer, on: Unit, precision: str, *, at_once: int = 1) -> Cost:
    """What `layer` costs on the unit `on` in `precision`, of `at_once` inferences that run at the same time each."""
    align = (DLA_ALIGN if on.is_dla else GPU_ALIGN)[precision]
    rate = on.macs_per_s * on.rates[precision] * _filled(layer, on, at_once)
    macs = layer.macs * _padding(layer, align) if layer.is_arithmetic else layer.macs
    if not layer.is_arithmetic:
        rate = on.macs_per_s * VECTOR
    elif layer.groups > 1 and layer.channels_in == 1:
        macs, rate = layer.macs, rate * VECTOR
    size = BYTES[precision]
    moved = _moved(layer.reads, size, on) + _moved(layer.writes, size, on) + layer.weights * size
    return Cost(macs / rate, moved / on.bytes_per_s, on.start_s, moved, useful=layer.macs / max(1, macs))


def precision_of(layer: Layer, asked: str, on: Unit) -> str:
    """What the compiler runs `layer` in: with int8 asked for, what is not quantised runs in fp16."""
    if asked == "best":
        asked = "int8" if layer.quantised else "fp16"
    elif asked in ("int8", "fp8") and not layer.quantised:
        asked = "fp16"
    return asked if asked in on.rates else "fp16"


def placed(layers: Sequence[Layer], units: Mapping[str, Unit], main: str, precision: str, *, at_once: int = 1) -> Run:
    """`layers` on the unit `main`; what a DLA cannot run falls back to the GPU, with a copy at every change.

    Args:
        layers: for the batch that is meant.
        units: by name, "gpu" among them.
        main: where they are to run.
        precision: as in a deployment.
        at_once: so many inferences on this unit at the same time.
    """
    pieces: list[tuple[str, Cost, Layer | None]] = []
    counts: dict[str, int] = {}
    fallbacks: list[Fallback] = []
    where, loadables = "gpu", 0  # inputs lie in the order that the GPU reads
    for layer in layers:
        reason = _why_not(layer, units[main], where, loadables)
        target = "gpu" if reason else main
        fallbacks += [Fallback(layer.name, reason)] if reason else []
        loadables += target != "gpu" and where == "gpu"
        runs_in = precision_of(layer, precision, units[target])
        if target != where:
            pieces.append(("gpu", _reformat(layer.reads * BYTES[runs_in], units["gpu"]), None))
            where = target
        pieces.append((target, cost(layer, units[target], runs_in, at_once=at_once), layer))
        if layer.is_arithmetic:
            counts[runs_in] = counts.get(runs_in, 0) + 1
    if where != "gpu" and layers:
        pieces.append(("gpu", _reformat(layers[-1].writes * 2, units["gpu"]), None))
    return Run(main, _stretches(pieces), _host_s(pieces, units), tuple(fallbacks), counts)


def shared(runs: Sequence[Run], rates: Sequence[float], mode: Mode) -> float:
    """How many times slower the memory is for each when `runs` go on at the same time.

    Args:
        runs: alone each.
        rates: inferences a second of each, were it alone.
        mode: whose memory they share.
    """
    limit = mode.bandwidth_gbs * 1e9 * ALL_OF_MEMORY
    low, high = 1.0, 16.0
    if _demand(runs, rates, low) <= limit:
        return low
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _demand(runs, rates, middle) > limit else (low, middle)
    return high


def _demand(runs: Sequence[Run], rates: Sequence[float], memory: float) -> float:
    """Bytes a second of all of them when the memory is so many times slower."""
    return sum(run.bytes * rate * run.seconds / run.slowed(memory).seconds for run, rate in zip(runs, rates))


def _why_not(layer: Layer, on: Unit, where: str, loadables: int) -> str:
    """Why `layer` falls back to the GPU; empty when it does not."""
    if on.is_dla and not layer.not_on_dla and where == "gpu" and loadables == LOADABLES:
        return f"it would begin loadable {LOADABLES + 1}, a DLA holds {LOADABLES}"
    return layer.not_on_dla if on.is_dla else ""


def _together(one: float, other: float) -> float:
    return max(one, other) + OTHER * min(one, other)


def _slowed(found: Cost, memory: float, clocks: float) -> Cost:
    return replace(
        found,
        compute_s=found.compute_s / clocks,
        memory_s=found.memory_s * memory,
        start_s=found.start_s / clocks,
    )


def _filled(layer: Layer, on: Unit, at_once: int) -> float:
    """The share of the unit's multiprocessors that the layer's tiles keep busy."""
    if not on.multiprocessors or not layer.is_arithmetic:
        return 1.0
    tiles = -(-layer.rows // TILE) * -(-layer.channels_out // TILE) * layer.groups * at_once
    slots = on.multiprocessors * TILES_EACH
    waves = -(-tiles // slots)
    return tiles / (waves * slots)


def _padding(layer: Layer, align: int) -> float:
    """How many times more there is to compute when channels are filled up to `align`."""
    inside, outside = layer.channels_in, layer.channels_out
    if inside <= IMAGE:
        return IMAGE / inside * (-(-outside // align) * align / outside)
    return (-(-inside // align) * align / inside) * (-(-outside // align) * align / outside)


def _moved(elements: int, size: int, on: Unit) -> float:
    stays = elements * size <= RESIDENT_BYTES["dla" if on.is_dla else "gpu"]
    return elements * size * (ON_CHIP if stays else 1.0)


def _reformat(size: float, gpu: Unit) -> Cost:
    """A copy of a tensor into the order that the other unit reads."""
    return Cost(0.0, 2 * size / gpu.bytes_per_s, gpu.start_s, 2 * size)


def _stretches(pieces: Sequence[tuple[str, Cost, Layer | None]]) -> tuple[Stretch, ...]:
    found: list[Stretch] = []
    for name, its, layer in pieces:
        macs = layer.macs if layer is not None and layer.is_arithmetic else 0
        names = (layer.name,) if layer is not None else (REFORMAT,)
        if found and found[-1].unit == name:
            last = found.pop()
            found.append(Stretch(name, (*last.costs, its), last.macs + macs, last.layers + names))
        else:
            found.append(Stretch(name, (its,), macs, names))
    return tuple(found)


def _host_s(pieces: Sequence[tuple[str, Cost, Layer | None]], units: Mapping[str, Unit]) -> float:
    """What submitting takes beyond the time in which the units are at work already: kernels are submitted while the
    ones before them run, loadables are waited for.
    """
    kernels = sum(name == "gpu" for name, _, _ in pieces)
    gpu_s = sum(its.seconds for name, its, _ in pieces if name == "gpu")
    submits_s = kernels * units["gpu"].submit_s
    changes = sum(name != "gpu" and (not at or pieces[at - 1][0] == "gpu") for at, (name, _, _) in enumerate(pieces))
    dla_s = next((its.submit_s for its in units.values() if its.is_dla), 0.0)
    return units["gpu"].submit_s + max(0.0, submits_s - gpu_s) + changes * dla_s
