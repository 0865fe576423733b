"""Placements in words, and the units they mean.

gpu                  the GPU                             dla, dla1            core 0 or 1, the rest on the GPU
gpu+dla              the GPU and every DLA core,         dla_only, dla_only1  core 0 or 1, and no layer elsewhere
                     with an engine each
"""

from __future__ import annotations

from dataclasses import dataclass

from explorer_agent.messages import INFEASIBLE, AgentError

GPU, DLA = "gpu", "dla"


@dataclass(frozen=True)
class Unit:
    """One that engines run on; `core` means nothing on a GPU."""

    kind: str
    core: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == GPU else f"{self.kind}{self.core}"


def placements(dla_cores: int) -> list[str]:
    """The placements of a board with so many DLA cores."""
    on_dla = [f"{word}{core or ''}" for core in range(dla_cores) for word in ("dla", "dla_only")]
    return ["gpu", *on_dla, *(["gpu+dla"] if dla_cores else [])]


def units(placement: str, dla_cores: int) -> list[Unit]:
    """The units of a placement, each with an engine of its own.

    Raises:
        AgentError: infeasible: there is no such placement here.
    """
    if placement not in placements(dla_cores):
        text = f"placement {placement!r}: this board has {dla_cores} DLA cores, so there are only "
        raise AgentError(INFEASIBLE, text + ", ".join(placements(dla_cores)), because={"placement": placement})
    if placement == "gpu":
        return [Unit(GPU)]
    if placement == "gpu+dla":
        return [Unit(GPU), *(Unit(DLA, core) for core in range(dla_cores))]
    return [Unit(DLA, 1 if placement.endswith("1") else 0)]


def kinds(placement: str, dla_cores: int) -> list[str]:
    """The plans that a placement needs; one for a DLA serves every core."""
    return sorted({unit.kind for unit in units(placement, dla_cores)}, reverse=True)


def is_strict(placement: str) -> bool:
    """Whether a layer on the GPU is against what was asked for."""
    return placement.startswith("dla_only")


def require_a_stream_each(found: list[Unit], streams: int) -> None:
    """Refuse fewer inferences in flight than units that are to run together.

    Raises:
        AgentError: infeasible.
    """
    if streams < len(found):
        names = ", ".join(map(str, found))
        raise AgentError(INFEASIBLE, f"{names} together need at least {len(found)} streams, not {streams}")
