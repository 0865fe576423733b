"""Which unit serves which stream of a deployment, and how fast when all of them are at work.

placement gpu       every stream on the GPU       dla, dla_only     every stream on DLA 0
placement gpu+dla   GPU, DLA 0, DLA 1 … in turn   dla1, dla_only1   every stream on DLA 1

one stream    ├ submit ┼ unit ┼ submit ┼ unit ┤      k streams: the unit is never idle, but no faster than it is
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Mapping, Sequence

from explorer_agent.messages import INFEASIBLE, AgentError, Deployment
from explorer_agent.virtual import power, roofline
from explorer_agent.virtual.boards import Board, Mode
from explorer_agent.virtual.layers import Layer
from explorer_agent.virtual.roofline import Run

LEAST = 0.01  # of the MACs on the DLA, or an engine is not called one of the DLA
DLA_PRECISIONS = ("fp16", "int8", "best")


@dataclass(frozen=True)
class Lane:
    """One stream: the unit it is served by, seconds and joules (by part, above idle) of one inference."""

    unit: str
    seconds: float
    joules: Mapping[str, float]


@dataclass(frozen=True)
class Schedule:
    """All streams of a deployment at work together."""

    lanes: tuple[Lane, ...]
    runs: Mapping[str, Run]  # by unit, alone
    memory_slower: float
    slowdown: Mapping[str, float]  # seconds of an inference over those of the unit alone, by unit


def units_of(placement: str, board: Board) -> tuple[str, ...]:
    """The units that a placement means on this board.

    Raises:
        AgentError: infeasible: the board has none of them.
    """
    if placement not in board.placements:
        text = f"placement {placement!r}: {board.name} offers {', '.join(board.placements)}"
        raise AgentError(INFEASIBLE, text, because={"placement": placement})
    return {"gpu": ("gpu",), "gpu+dla": board.units}.get(placement, ("dla1" if placement.endswith("1") else "dla0",))


def check(layers: Sequence[Layer], deployment: Deployment, board: Board) -> None:
    """Refuse what TensorRT would not build on this board.

    Raises:
        AgentError: infeasible, with the reason.
    """
    units, precision = units_of(deployment.placement, board), deployment.precision
    if precision != "best" and precision not in board.gpu_rates:
        text = f"{board.name} cannot run {precision}: it knows {', '.join(board.gpu_rates)}"
        raise AgentError(INFEASIBLE, text, because={"precision": precision})
    if units == ("gpu",):
        return
    if precision not in DLA_PRECISIONS:
        both = {"placement": deployment.placement, "precision": precision}
        raise AgentError(INFEASIBLE, f"a DLA computes in fp16 and int8, not in {precision}", because=both)
    volume = next((layer for layer in layers if layer.dimensions > 2), None)
    if volume is not None:
        text = f"{volume.name} convolves in {volume.dimensions} dimensions: nothing of such a network is given to a DLA"
        raise AgentError(INFEASIBLE, text)
    strangers = [layer for layer in layers if layer.not_on_dla]
    macs = sum(layer.macs for layer in layers if layer.is_arithmetic)
    share = sum(layer.macs for layer in layers if layer.is_arithmetic and not layer.not_on_dla) / max(1, macs)
    if share < LEAST:
        text = f"{share:.1%} of this network's MACs could run on a DLA, which is no DLA engine: {_told(strangers)}"
        raise AgentError(INFEASIBLE, text)
    if deployment.placement.startswith("dla_only") and strangers:
        raise AgentError(INFEASIBLE, f"dla_only, but {len(strangers)} layers need the GPU: {_told(strangers)}")


def schedule(layers: Sequence[Layer], deployment: Deployment, board: Board, mode: Mode) -> Schedule:
    """Every stream of `deployment` and how it is served.

    Raises:
        AgentError: infeasible: as `check`, or more units than streams.
    """
    check(layers, deployment, board)
    names = units_of(deployment.placement, board)
    if deployment.streams < len(names):
        text = f"{deployment.placement} runs on {', '.join(names)} at once: it needs {len(names)} streams or more"
        both = {"placement": deployment.placement, "streams": deployment.streams}
        raise AgentError(INFEASIBLE, f"{text}, not {deployment.streams}", because=both)
    served_by = [names[stream % len(names)] for stream in range(deployment.streams)]
    units = {name: roofline.unit(board, mode, name) for name in board.units}
    each = {name: served_by.count(name) for name in names}
    runs = {
        name: roofline.placed(layers, units, name, deployment.precision, at_once=many) for name, many in each.items()
    }
    rates = {name: _rate(runs[name], each[name]) for name in names}
    slower = roofline.shared([runs[name] for name in names], [rates[name] for name in names], mode)
    together = {name: run.slowed(slower) for name, run in runs.items()}
    crowd = _crowd(together, {name: _rate(together[name], each[name]) for name in names})
    seconds = {name: each[name] / _rate(together[name], each[name]) * crowd[name] for name in names}
    lanes = [Lane(name, seconds[name], power.joules(together[name], board, mode)) for name in served_by]
    alone = {name: each[name] / rates[name] for name in names}
    return Schedule(tuple(lanes), runs, slower, {name: seconds[name] / alone[name] for name in names})


def throttled(found: Schedule, clocks: float) -> Schedule:
    """The same with all clocks at that share: slower, and with less of a voltage."""
    lanes = [
        replace(
            lane,
            seconds=lane.seconds / clocks,
            joules={part: joules * (0.4 + 0.6 * clocks) for part, joules in lane.joules.items()},
        )
        for lane in found.lanes
    ]
    return replace(found, lanes=tuple(lanes))


def _rate(run: Run, streams: int) -> float:
    """Inferences a second of so many streams: as many as come, but no more than the busiest unit can do."""
    busiest = max(run.busy_s(name) for name in {stretch.unit for stretch in run.stretches})
    return min(streams / run.seconds, 1 / busiest)


def _crowd(runs: Mapping[str, Run], rates: Mapping[str, float]) -> dict[str, float]:
    """How many times longer each takes because others use the same unit: layers that fall back meet on the GPU."""
    load: dict[str, float] = {}
    for name, run in runs.items():
        for unit in {stretch.unit for stretch in run.stretches}:
            load[unit] = load.get(unit, 0.0) + rates[name] * run.busy_s(unit)
    return {name: max(1.0, *(load[stretch.unit] for stretch in run.stretches)) for name, run in runs.items()}


def _told(layers: Sequence[Layer]) -> str:
    named = [f"{layer.name} ({layer.not_on_dla})" for layer in layers[:3]]
    return "; ".join(named) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
