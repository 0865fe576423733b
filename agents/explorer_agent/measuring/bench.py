"""Where a measurement takes place: this board with its clock, its processors and its sensors.

The measuring room asks it for everything that is not arithmetic: a board that is only imagined answers in its place.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any, Mapping, Sequence

from explorer_agent import board, conditions
from explorer_agent.measuring import arrivals, verdict
from explorer_agent.measuring.lanes import Lanes, Step
from explorer_agent.messages import Plan
from explorer_agent.sampling import Probe, Watch, watched


class Bench:
    """This board."""

    def now_s(self) -> float:
        return time.perf_counter()

    def wait(self, seconds: float) -> None:
        """Do nothing for so long."""
        time.sleep(seconds)

    def lanes(self, steps: Sequence[Step]) -> Lanes:
        """Loaded steps, ready to be run back to back."""
        return Lanes(steps)

    def level(self, steps: Sequence[Step], plan: Plan, batch: int, *, subjects: int, count: int) -> arrivals.Level:
        """So many subjects at fixed arrival."""
        return arrivals.serve(steps, plan, batch, subjects=subjects, count=count)

    def state(self) -> dict[str, Any]:
        """How the board is doing."""
        return board.state()

    def probe(self) -> Probe:
        """Reads the board's conditions."""
        return conditions.probe()

    def watched(self, probes: Sequence[Probe], *, threads: int) -> AbstractContextManager[Watch]:
        """Reads `probes` until the block ends."""
        return watched(probes, threads=threads)

    def watcher(self) -> verdict.Watcher:
        """Counts who has the processor, from now on."""
        return verdict.Watcher()

    def facts(self) -> Mapping[str, Any]:
        """What the header says of it beyond what every measurement says."""
        return {}
