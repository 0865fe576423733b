"""A drawn board: how long its units take for a network, and what energy that costs; a roofline with its exceptions.

    layer on a unit    overhead + max((work + what it takes to fill the unit) / rate, bytes / bandwidth)
    engine             its layers, and what it costs to go from a DLA to the GPU and back where a layer falls back
    streams            hide overheads until the unit is full, then get into each other's way
    power mode         clocks of the units and of memory, idle power, and a cap that slows down what exceeds it

Units of work are multiply-accumulates. Channels are padded to what a unit computes at once, so time is a staircase.
Arrays are ``[n, layers]`` or ``[n]`` over the candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BYTES = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0, "mixed": 1.0}


@dataclass(frozen=True)
class Unit:
    """A GPU or a DLA at its highest clock.

    Attributes:
        rate: precision → multiply-accumulates per second; what is missing it cannot do.
        at_once: precision → channels it computes at once.
        joules: precision → energy of a multiply-accumulate at the highest voltage.
        fill: work by which a layer falls short of keeping it busy.
        overhead_s: of each layer.
    """

    rate: Mapping[str, float]
    at_once: Mapping[str, float]
    joules: Mapping[str, float]
    fill: float
    overhead_s: float


@dataclass(frozen=True)
class Mode:
    """A power mode; clocks as shares of the highest."""

    gpu: float
    dla: float
    memory: float
    idle_w: float
    cap: float  # quantile of the power that engines would draw in it: above, they are slowed down


@dataclass(frozen=True)
class Device:
    """A board.

    Attributes:
        supported: which layers of a network a DLA can run ``[layers]``.
        switch_s: once from a DLA to the GPU, or back, besides the bytes that are reformatted.
        together: what is left of the units' throughput when all of them work at once.
        contention: by how much each further stream slows down the others.
        cache: bytes of activations that hardly go to memory; a larger batch may cost more for it.
    """

    gpu: Unit
    dla: Unit
    dlas: int
    supported: Bools
    bandwidth: float
    byte_joules: float
    switch_s: float
    together: float
    contention: float
    cache: float
    modes: tuple[Mode, ...]


@dataclass(frozen=True)
class Load:
    """What is asked of a board, one entry a candidate.

    Attributes:
        inputs: channels into each layer ``[n, layers]``.
        outputs: channels out of it ``[n, layers]``.
        kernel: ``[layers]``.
        pixels: ``[layers]``.
        precision: names ``[n]``.
        placement: gpu, dla or gpu+dla ``[n]``.
        mode: number of the power mode ``[n]``.
        luck: factor by which the kernels that were chosen are slower than usual ``[n]``.
    """

    inputs: Floats
    outputs: Floats
    kernel: Floats
    pixels: Floats
    precision: NDArray[np.str_]
    placement: NDArray[np.str_]
    batch: Floats
    streams: Floats
    mode: NDArray[np.intp]
    luck: Floats


@dataclass(frozen=True)
class Figures:
    """Throughput in samples per second, energy in mJ per sample, bytes an engine needs: each ``[n]``."""

    throughput_ips: Floats
    energy_mj: Floats
    memory: Floats


def draw(rng: np.random.Generator, *, dlas: int, modes: int, cap: tuple[float, float]) -> Device:
    """A board between a Nano and an AGX Orin, whose DLAs can run anything."""
    gpu = _gpu(rng)
    return Device(
        gpu=gpu,
        dla=_dla(rng, gpu),
        dlas=dlas,
        supported=np.array([True]),
        bandwidth=10 ** rng.uniform(10.3, 11.2),
        byte_joules=rng.uniform(20e-12, 60e-12),
        switch_s=rng.uniform(15e-6, 80e-6),
        together=rng.uniform(0.75, 0.95),
        contention=rng.uniform(0.0, 0.12),
        cache=10 ** rng.uniform(5.3, 6.6),
        modes=_modes(rng, gpu, modes, cap),
    )


def _gpu(rng: np.random.Generator) -> Unit:
    fp32, joules = 10 ** rng.uniform(11.5, 12.4), rng.uniform(3e-12, 8e-12)
    half, quarter = rng.uniform(1.8, 3.5), rng.uniform(1.3, 2.0)
    return Unit(
        rate={"fp32": fp32, "fp16": fp32 * half, "int8": fp32 * half * quarter, "mixed": fp32 * half * quarter * 0.85},
        at_once={"fp32": 4, "fp16": 8, "int8": float(rng.choice([16, 32])), "mixed": 16},
        joules={"fp32": joules, "fp16": joules * 0.5, "int8": joules * 0.27, "mixed": joules * 0.34},
        fill=10 ** rng.uniform(6.5, 7.6),
        overhead_s=rng.uniform(4e-6, 15e-6),
    )


def _dla(rng: np.random.Generator, gpu: Unit) -> Unit:
    fp16, joules = gpu.rate["fp16"] * rng.uniform(0.15, 0.5), gpu.joules["fp16"] * rng.uniform(0.35, 0.7)
    int8 = fp16 * rng.uniform(2.0, 3.5)
    return Unit(
        rate={"fp16": fp16, "int8": int8, "mixed": int8 * 0.8},
        at_once={"fp16": 16, "int8": float(rng.choice([32, 64])), "mixed": 32},
        joules={"fp16": joules, "int8": joules * 0.45, "mixed": joules * 0.55},
        fill=10 ** rng.uniform(5.8, 6.8),
        overhead_s=rng.uniform(8e-6, 30e-6),
    )


def _modes(rng: np.random.Generator, gpu: Unit, count: int, cap: tuple[float, float]) -> tuple[Mode, ...]:
    """From the lowest clocks to the highest; idle, a board draws 5 to 20 % of what its GPU does at work."""
    idle_w = rng.uniform(0.05, 0.2) * max(rate * gpu.joules[name] for name, rate in gpu.rate.items())
    share = np.linspace(rng.uniform(0.3, 0.5), 1.0, count)
    return tuple(
        Mode(
            gpu=float(step),
            dla=float(step ** rng.uniform(0.2, 0.8)),
            memory=float(max(0.4, step ** rng.uniform(0.2, 1.0))),
            idle_w=float(idle_w * (0.55 + 0.45 * step)),
            cap=float(rng.uniform(*cap)),
        )
        for step in share
    )


def meets(device: Device, layers: int, rng: np.random.Generator) -> Device:
    """The board, as far as its DLAs can run a network of so many layers."""
    return replace(device, supported=rng.random(layers) > rng.uniform(0.0, 0.25))


def datasheet(device: Device, rng: np.random.Generator) -> Device:
    """The board as its papers have it: rates nobody reaches, no padding, no overheads, nobody in anybody's way."""

    def on_paper(unit: Unit) -> Unit:
        rate = {name: value * float(np.exp(rng.normal(0.25, 0.2))) for name, value in unit.rate.items()}
        return replace(unit, rate=rate, at_once=dict.fromkeys(unit.at_once, 1.0), fill=0.0, overhead_s=0.0)

    modes = tuple(replace(mode, cap=1.0) for mode in device.modes)
    gpu, dla = on_paper(device.gpu), on_paper(device.dla)
    return replace(device, gpu=gpu, dla=dla, modes=modes, switch_s=0.0, together=1.0, contention=0.0)


def run(device: Device, load: Load) -> Figures:
    """What each candidate comes to."""
    on_gpu = _engine(device, load, dla=False)
    on_dla = _engine(device, load, dla=True)
    helped = np.where(np.isin(load.precision, list(device.dla.rate)), on_dla.rate, 0.0)  # else nothing is left to a DLA
    shared = {"gpu": on_gpu.rate, "dla": on_dla.rate, "gpu+dla": device.together * (on_gpu.rate + helped)}
    rate = np.select([load.placement == name for name in shared], list(shared.values()))
    joules = _joules(load, on_gpu, on_dla)
    idle_w = np.array([mode.idle_w for mode in device.modes])[load.mode]
    rate = _capped(device, load, rate / load.luck, joules)
    return Figures(rate, 1e3 * (joules + idle_w / rate), _memory(load))


@dataclass(frozen=True)
class _Engine:
    """Samples per second, and joules a sample besides what the board draws anyway."""

    rate: Floats
    joules: Floats


def _engine(device: Device, load: Load, *, dla: bool) -> _Engine:
    """All layers on the GPU; or on the DLAs as far as they can, the others on the GPU."""
    can = np.isin(load.precision, list(device.dla.rate))[:, None] & device.supported & dla
    gpu_s, gpu_j, gpu_wait = _layers(device, load, device.gpu, "gpu")
    dla_s, dla_j, dla_wait = _layers(device, load, device.dla, "dla")
    changes = np.abs(np.diff(np.pad(can, ((0, 0), (1, 1))).astype(float), axis=1))
    switch_s = changes[:, :-1] * (device.switch_s + _activations(load) / _bandwidth(device, load)[:, None])
    on_gpu, on_dla = np.where(can, 0.0, gpu_s).sum(axis=1), np.where(can, dla_s, 0.0).sum(axis=1)
    waits = np.where(can, dla_wait, gpu_wait).sum(axis=1) + (switch_s.sum(axis=1) if dla else 0.0)
    crowd = 1 + device.contention * (load.streams - 1)
    alike = np.minimum(load.streams, device.dlas) if dla else np.ones_like(load.streams)
    period = np.maximum.reduce([on_gpu + on_dla + waits, load.streams * on_gpu * crowd, load.streams * on_dla / alike])
    joules = np.where(can, dla_j, gpu_j).sum(axis=1) / load.batch
    return _Engine(load.streams * load.batch / period, joules)


def _layers(device: Device, load: Load, unit: Unit, name: str) -> tuple[Floats, Floats, Floats]:
    """Seconds at work, joules, and seconds of overhead of each layer for one batch ``[n, layers]``."""
    clock = np.array([getattr(mode, name) for mode in device.modes])[load.mode][:, None]
    precision = np.where(np.isin(load.precision, list(unit.rate)), load.precision, "fp16")
    rate, at_once, joules = (
        np.array([table[p] for p in precision])[:, None] for table in (unit.rate, unit.at_once, unit.joules)
    )
    padded = np.ceil(load.inputs / at_once) * at_once * np.ceil(load.outputs / at_once) * at_once
    work = padded * load.kernel * load.pixels * load.batch[:, None]
    held = _activations(load)
    moved = held * held / (held + device.cache) + load.inputs * load.outputs * load.kernel * _width(load)[:, None]
    busy = np.maximum((work + unit.fill) / (rate * clock), moved / _bandwidth(device, load)[:, None])
    voltage = 0.6 + 0.4 * clock
    spent = work * joules * voltage**2 + moved * device.byte_joules
    return busy, spent, np.broadcast_to(unit.overhead_s / clock**0.5, busy.shape)


def _activations(load: Load) -> Floats:
    """Bytes into and out of each layer for one batch ``[n, layers]``."""
    return (load.inputs + load.outputs) * load.pixels * load.batch[:, None] * _width(load)[:, None]


def _width(load: Load) -> Floats:
    return np.array([BYTES[precision] for precision in load.precision])


def _bandwidth(device: Device, load: Load) -> Floats:
    return device.bandwidth * np.array([mode.memory for mode in device.modes])[load.mode]


def _joules(load: Load, on_gpu: _Engine, on_dla: _Engine) -> Floats:
    """A sample's share when both work is that of whoever does it."""
    both = (on_gpu.rate * on_gpu.joules + on_dla.rate * on_dla.joules) / (on_gpu.rate + on_dla.rate)
    return np.select([load.placement == "gpu", load.placement == "dla"], [on_gpu.joules, on_dla.joules], both)


def _capped(device: Device, load: Load, rate: Floats, joules: Floats) -> Floats:
    """Where the power above idle exceeds what the mode allows, the board slows down to it."""
    power = rate * joules
    for number, mode in enumerate(device.modes):
        here = load.mode == number
        if here.any():
            power[here] /= min(np.quantile(power[here], mode.cap), power[here].max())
    return np.asarray(rate / np.maximum(power, 1.0))


def _memory(load: Load) -> Floats:
    """Weights once, activations and workspace for every stream."""
    weights = (load.inputs * load.outputs * load.kernel).sum(axis=1) * _width(load)
    return np.asarray(weights + load.streams * _activations(load).sum(axis=1) * 2)
