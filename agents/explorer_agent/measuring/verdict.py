"""What a measurement is to be doubted for, by the words of the report: as far as its own series tell. What the board's
conditions tell is `conditions.flags`.

Each detector needs something to go by: where that is missing (no /proc/stat, few windows) it says nothing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from explorer_agent import board, sysfs
from explorer_agent.measuring import arrivals
from explorer_agent.measuring.lanes import Window
from explorer_agent.measuring.rounds import ROUNDS_MIN
from explorer_agent.measuring.stats import change, trend
from explorer_agent.messages import Plan

DISTURBED = 0.10  # cores kept busy by others, above which the measurement says so
STARVED = 0.5  # of what this job used, kept by others while no core was free, or waited for
FULL = 0.9  # of the cores busy: none is free
DRIFT_SURE, DRIFT_WINDOWS = 2.576, 8  # one in a hundred is none; of fewer windows hardly any trend is so sure
DRIFT_RELEVANT = 0.03  # from the first to the last window
INFERENCES_MIN, WINDOWS_MIN = 8, 2
_TICK_S = 0.02  # /proc/stat counts in ticks of 10 ms, at both edges


@dataclass(frozen=True)
class Share:
    """Who had the processor: cores kept busy by others and by this job, and cores' worth of waiting for one (None where
    the board does not tell).
    """

    others: float | None
    own: float
    waited: float | None


class Watcher:
    """Counts from its making on who has the processor."""

    def __init__(self, root: Path = sysfs.ROOT) -> None:
        self._root = root
        self._before = self._now()

    def share(self) -> Share:
        """Of the time until now."""
        wall, own, busy, waited = (
            None if now is None or then is None else now - then for now, then in zip(self._now(), self._before)
        )
        if not wall or own is None:
            return Share(None, 0.0, None)
        others = None if busy is None else max(0.0, busy - own - _TICK_S) / wall
        return Share(others, own / wall, None if waited is None else max(0.0, waited) / wall)

    def _now(self) -> tuple[float | None, ...]:
        return time.perf_counter(), time.process_time(), board.busy_s(self._root), waited_s()


def waited_s() -> float | None:
    """Seconds that the threads of this process were ready to run and had no processor; None if the kernel does not
    tell.
    """
    told = [sysfs.text(task) for task in Path("/proc/self/task").glob("*/schedstat")]
    waits = [text.split()[1] for text in told if text and len(text.split()) > 1]
    return sum(map(int, waits)) / 1e9 if waits else None


def flags(windows: Sequence[Window], half_width: float, share: Share, plan: Plan) -> Iterator[str]:
    """What the windows, and whoever else was at work meanwhile, give reason to doubt."""
    yield from processor_flags(share)
    if not windows:
        return
    inferences = sum(len(window.latencies) for window in windows)
    if half_width > plan.relative_interval:
        yield "unstable"
    if drifts([window.median_ns for window in windows]):
        yield "drifting"
    if len(windows) < WINDOWS_MIN or inferences < INFERENCES_MIN:
        yield "too-short"
    if inferences < plan.queries_min:
        yield "fewer-queries"


def engine_flags(runs: Mapping[str, Any]) -> Iterator[str]:
    """What an engine says of how it runs, where that costs time."""
    if any(stream.get("no_graph") for stream in runs.get("streams", ())):
        yield "no-cuda-graph"


def processor_flags(share: Share) -> Iterator[str]:
    """Whether others were at work, and whether they were in the way."""
    others, waited = share.others, share.waited
    if others is None or others <= DISTURBED:
        return
    full = others + share.own >= FULL * len(os.sched_getaffinity(0))
    if (full and others > STARVED * share.own) or (waited is not None and waited > STARVED * share.own):
        yield "starved"
    yield "disturbed"


def drifts(medians: Sequence[float]) -> bool:
    """Whether the windows show a trend that is both sure and relevant."""
    enough = len(medians) >= DRIFT_WINDOWS
    return enough and abs(trend(medians)) > DRIFT_SURE and abs(change(medians)) > DRIFT_RELEVANT


def race_flags(rounds: int, plan: Plan) -> Iterator[str]:
    """What the number of rounds gives reason to doubt, where they are all there is."""
    if plan.budget_s == 0 and rounds < ROUNDS_MIN:
        yield "too-short"


def arrival_flags(levels: Sequence[arrivals.Level], plan: Plan) -> Iterator[str]:
    """Whether fixed arrival, if it was asked for, came to anything: nothing passed, and what is below the levels that
    failed would have taken too long to be judged.
    """
    judged = {level.subjects: arrivals.passed(level.latencies, plan.deadline_ms) for level in levels}
    if plan.rate_hz and True not in judged.values() and judged.get(1) is None:
        yield "arrival-too-short"
