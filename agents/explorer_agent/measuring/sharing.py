"""What units at work together cost each other: each by itself, then all at once, in turns.

    gpu      ├────┤              ├──────┤        ├────┤        …
    dla0            ├─────┤      ├───────┤             ├─────┤
              alone              together        and again, so that what drifts meets both alike

A unit's slow-down is the median latency of its inferences while all work over that while only it does.
"""

from __future__ import annotations

import statistics
from typing import Any, Callable, Mapping, Sequence

from explorer_agent.measuring.lanes import Lanes, Step

TURNS = 3
Latencies = Sequence[Sequence[int]]  # ns, of each stream


def units(runs: Mapping[str, Any], streams: int) -> list[str]:
    """The unit of each stream, by what an engine says of how it runs; empty where there are no several."""
    names = [str(stream.get("unit", "")) for stream in runs.get("streams", ())]
    return names if len(names) == streams and len(set(names)) > 1 else []


def sharing(
    steps: Sequence[Step], names: Sequence[str], stretch_ns: int, *, lanes: Callable[[Sequence[Step]], Lanes]
) -> dict[str, dict[str, float]]:
    """``{unit: {"alone_ms", "together_ms", "slowdown"}}``.

    Args:
        steps: one for each stream.
        names: the unit of each.
        stretch_ns: how long each works alone, and all together, at a time.
        lanes: what runs steps.
    """
    alone: dict[str, list[int]] = {name: [] for name in names}
    together: dict[str, list[int]] = {name: [] for name in names}
    for _ in range(TURNS):
        for name in alone:
            own = [step for step, its in zip(steps, names) if its == name]
            _collect(alone, [name] * len(own), lanes(own).each(stretch_ns))
        _collect(together, names, lanes(steps).each(stretch_ns))
    return {name: _compared(alone[name], together[name]) for name in alone}


def _collect(found: Mapping[str, list[int]], names: Sequence[str], latencies: Latencies) -> None:
    for name, each in zip(names, latencies):
        found[name] += each


def _compared(alone: Sequence[int], together: Sequence[int]) -> dict[str, float]:
    one, all_of_them = statistics.median(alone), statistics.median(together)
    return {"alone_ms": one / 1e6, "together_ms": all_of_them / 1e6, "slowdown": all_of_them / one}
