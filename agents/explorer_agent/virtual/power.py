"""Watts on the rails, from how busy the units are.

unit   idle ─ waiting for memory ─ computing all the time          memory   watts for each byte a second
       0      WAITING × full       full
rail   its share of the board's idle watts + the parts that it feeds
"""

from __future__ import annotations

from typing import Mapping

from explorer_agent.virtual.boards import Board, Mode
from explorer_agent.virtual.roofline import Run

# Of a unit's full watts is drawn while it is at work but waits for the memory, or multiplies zeros that channels are
# filled up with: FITTED, as the boards' watts are, to networks that hardly have such.
WAITING = {"gpu": 0.6, "dla": 0.25}
JOULES_PER_BYTE = 35e-12  # of LPDDR4x and LPDDR5, its controller included: ASSUMED
CPU_W = 1.2  # of a core that submits all the time: ASSUMED
PARTS = ("gpu", "dla", "cpu", "memory")

Parts = Mapping[str, float]  # watts above idle of each of PARTS


def joules(run: Run, board: Board, mode: Mode) -> dict[str, float]:
    """Joules above idle of one inference, by part."""
    found = dict.fromkeys(PARTS, 0.0)
    for name in {stretch.unit for stretch in run.stretches}:
        full = float(mode.gpu_w) if name == "gpu" else mode.dla_w / board.dla_cores
        busy_s = run.busy_s(name)
        computing_s = min(busy_s, run.compute_s(name))
        part = "gpu" if name == "gpu" else "dla"
        found[part] += full * (WAITING[part] * (busy_s - computing_s) + computing_s)
    found["memory"] = run.bytes * JOULES_PER_BYTE
    found["cpu"] = run.host_s * CPU_W
    return found


def accelerator_joules(run: Run, board: Board, mode: Mode) -> float:
    """Of GPU and DLA alone, as NVIDIA's performance per watt counts them."""
    found = joules(run, board, mode)
    return found["gpu"] + found["dla"]


def rail_watts(board: Board, mode: Mode, parts: Parts) -> list[float]:
    """What each rail of the board draws."""
    idle = float(mode.idle_w)
    return [rail.idle * idle + sum(parts.get(part, 0.0) for part in rail.feeds) for rail in board.rails]


def board_watts(mode: Mode, parts: Parts) -> float:
    """All there is."""
    return float(mode.idle_w) + sum(parts.values())
