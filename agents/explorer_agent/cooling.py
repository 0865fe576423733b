"""Cooling down before a measurement, so that no candidate pays for the heat of the one before it.

°C  ╲                         goes on at once when it is within NEAR_C of the coolest that anything began at,
     ╲_______                 or when it gets no cooler: what the room and the fan allow is no candidate's fault
             └─ level         gives up after the time given, or while an alarm stands although nothing runs
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from explorer_agent import board, jetson, sysfs

NEAR_C = 5.0
HOT_C = 80.0  # beyond it, what is measured first has to wait too
LEVEL_S, LEVEL_C = 5.0, 0.5  # it gets no cooler when it has fallen by less in so long
LOOK_S = 0.25


class Cooler:
    """Remembers how cool the board has been, for as long as the agent serves."""

    def __init__(self, root: Path = sysfs.ROOT) -> None:
        self._root = root
        self._coolest_c = math.inf

    def wait(self, at_most_s: float, *, stop: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """Wait until the board is cool, at most so long, or until `stop` says so.

        Returns:
            {"seconds", "from_c", "to_c", "gave_up": why, in words, or empty}; without a sensor there is no waiting.
        """
        course = _Course()
        gave_up = None
        while gave_up is None and course.look(self._root):
            gave_up = self._verdict(course, at_most_s)
            if stop():
                break
            if gave_up is None:
                time.sleep(LOOK_S)
        celsius = course.celsius
        if celsius:
            self._coolest_c = min(self._coolest_c, celsius[-1])
        edges = {"from_c": celsius[0], "to_c": celsius[-1]} if celsius else {"from_c": None, "to_c": None}
        return {"seconds": course.seconds, **edges, "gave_up": gave_up or ""}

    def _verdict(self, course: _Course, at_most_s: float) -> str | None:
        """None: go on waiting; empty: it is cool; else why this is given up."""
        celsius, alarms = course.celsius[-1], jetson.throttling(self._root)
        limit = self._coolest_c + NEAR_C if self._coolest_c < math.inf else HOT_C
        if not alarms and celsius <= limit:
            return ""
        if course.level():
            self._coolest_c = celsius
            return f"{', '.join(alarms)} at {celsius:.0f} °C, although nothing runs" if alarms else ""
        if course.seconds >= at_most_s:
            return f"still {celsius:.0f} °C after {course.seconds:.0f} s"
        return None


@dataclass
class _Course:
    """How the temperature went."""

    times_s: list[float] = field(default_factory=list)
    celsius: list[float] = field(default_factory=list)

    def look(self, root: Path) -> bool:
        """Whether there was something to see."""
        zones = board.zones_c(root)
        now = zones.get(board.hottest(zones))
        if now is not None:
            self.times_s.append(time.monotonic())
            self.celsius.append(now)
        return now is not None

    @property
    def seconds(self) -> float:
        return self.times_s[-1] - self.times_s[0] if self.times_s else 0.0

    def level(self) -> bool:
        """Whether it has hardly fallen in the last LEVEL_S."""
        since = [celsius for second, celsius in zip(self.times_s, self.celsius) if second <= self.times_s[-1] - LEVEL_S]
        return bool(since) and since[-1] - self.celsius[-1] < LEVEL_C
