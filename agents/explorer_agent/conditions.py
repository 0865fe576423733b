"""The conditions under which something is measured: watched meanwhile, and judged after it.

    agent    power mode ──► cool down ──► job
    job                                   state before ──"."──► once a second ──"."──► state after ──► flags

Void, and so never a number: the board slowed itself down, or its clocks left where they were locked. Everything else is
doubt, kept and marked. So is a board that throttles even at rest, or it would never give a number.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from explorer_agent import board, clocks, jetson, sysfs
from explorer_agent.sampling import Probe

NAMES = (
    "temperature_c",
    "cpu_khz_min",
    "gpu_hz",
    "emc_hz",
    "dla_hz",
    "throttling",
    "memory_available_mb",
    "swap_used_mb",
    "gpu_load",
)
PERIOD_S = 1.0
HEAT_EVENTS = 3  # a laptop's processor counts one now and then, and nobody could tell
SWAPPED_PAGES = 256  # 1 MB: a job that is being swapped moves hundreds
GPU_BUSY = 0.1

State = Mapping[str, Any]


def probe(root: Path = sysfs.ROOT) -> Probe:
    """Reads NAMES once a second: °C of the junction, kHz of the slowest processor, Hz of GPU, memory and DLA (the two
    last only for root), alarms that hold clocks back, MB, and the GPU's load from 0 to 1; NaN for what is not told.
    """

    def read() -> Sequence[float]:
        zones, memory, alarms = board.zones_c(root), board.memory_mb(root), jetson.alarms(root)
        told = (
            zones.get(board.hottest(zones)),
            min(board.cpu_khz(root), default=None),
            jetson.gpu_hz(root),
            jetson.emc_hz(root),
            jetson.dla_hz(root),
            sum(alarms.values()) if alarms else None,
            memory.get("MemAvailable"),
            board.swap_used_mb(memory),
            jetson.gpu_load(root),
        )
        return [math.nan if number is None else float(number) for number in told]

    return Probe("state", [f"state_{number}" for number in range(len(NAMES))], read, PERIOD_S)


def flags(
    before: State, after: State, series: Mapping[str, Sequence[float]], asked: str = "leave", *, root: Path = sysfs.ROOT
) -> list[str]:
    """What the conditions were not, by the words of the report.

    Args:
        before: `board.state` before anything was loaded.
        after: the same when all was measured.
        series: of `probe`: "state_0" …
        asked: for the clocks: "lock" or "leave".
        root: of the board.
    """
    nvidia = bool(jetson.facts(root))
    return list(dict.fromkeys(_flags(before, after, _named(series), asked == "lock", nvidia)))


def _flags(before: State, after: State, seen: Mapping[str, Sequence[float]], lock: bool, nvidia: bool) -> Iterator[str]:
    if before.get("throttling"):  # still so after cooling down
        yield "too-warm"
    elif after.get("throttling") or any(seen["throttling"]) or _grown(before, after, "heat") > HEAT_EVENTS:
        yield "throttled"
    if any(_grown(before, after, name) > 0 for name in before.get("throttle_counts") or {} if name != "heat"):
        yield "over-current"  # in MAXN it may go on all the time, a millisecond each
    if lock and _moved(before, after, seen) or _another(before, after, "power_mode"):
        yield "clocks-moved"
    if (lock or nvidia) and before.get("clocks_free") != []:
        yield "clocks-not-locked"
    if (after.get("swapped_pages") or 0) - (before.get("swapped_pages") or 0) > SWAPPED_PAGES:
        yield "swapping"
    if nvidia and before.get("desktop"):  # elsewhere it shares no memory with what is measured
        yield "desktop-running"
    if (before.get("gpu_load") or 0) > GPU_BUSY:
        yield "someone-on-the-gpu"


def _named(series: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The readings that were had, by what they are of."""
    return {
        name: [number for number in series.get(f"state_{place}", ()) if not math.isnan(number)]
        for place, name in enumerate(NAMES)
    }


def _grown(before: State, after: State, count: str) -> int:
    one, other = ((state.get("throttle_counts") or {}).get(count, 0) for state in (before, after))
    return int(other) - int(one)


def _another(before: State, after: State, fact: str) -> bool:
    return bool(before.get(fact) and after.get(fact) and before[fact] != after[fact])


def _moved(before: State, after: State, seen: Mapping[str, Sequence[float]]) -> bool:
    """Whether clocks that were locked did not stay: their limits, or, on a board whose readings hold still, they."""
    if before.get("clocks_free") != []:
        return False
    held: Mapping[str, float] = before.get("clocks_held") or {}
    low = {name: [number for number in seen[name] if 0 < number < at * (1 - clocks.NEAR)] for name, at in held.items()}
    return after.get("clocks_free") != [] or any(low.values())
