"""What a virtual board went through: its own clock, on which nothing waits, and for every moment its watts and heat.

    now ──spend(seconds, parts)──► now         stretches behind each other, without a gap; each begins with the heat
    ├ idle ┼ load ┼ window ┼ window ┼ idle ┤    and the clocks that the one before it left
                   ▲ at(second): what a sensor that is read then would see

Sensors are read after the fact: nothing runs beside the measurement, so nothing disturbs it.
"""

from __future__ import annotations

import bisect
import random
from dataclasses import dataclass
from typing import Callable, Mapping

from explorer_agent.messages import FAILED, AgentError
from explorer_agent.virtual import power, thermal
from explorer_agent.virtual.boards import Board, Mode
from explorer_agent.virtual.faults import HELD_BY_CURRENT, Faults
from explorer_agent.virtual.thermal import Heat

BEGIN_S = 100.0  # on the board's clock, when a job begins
STEP_S = 0.25  # for so long at most heat and clocks are taken as constant


def gone() -> None:
    """The board restarts; where nobody else sees to it, the job fails."""
    raise AgentError(FAILED, "the virtual board restarted, as it was asked to")


@dataclass(frozen=True)
class Moment:
    """A stretch of time in which nothing changes."""

    start_s: float
    end_s: float
    parts: Mapping[str, float]  # watts above idle, by part
    heat: Heat
    held_by_current: bool


class Course:
    """The time of one job on one board in one mode."""

    def __init__(
        self, board: Board, mode: Mode, faults: Faults, seed: int, *, restart: Callable[[], None] = gone
    ) -> None:
        self.board, self.mode, self.faults = board, mode, faults
        self.chance = random.Random(seed)
        self.sensor_chance = random.Random(seed + 1)
        self.now_s = BEGIN_S
        self.heat = thermal.settled(board, float(mode.idle_w), ambient_c=faults.ambient_c, cooling=faults.fan)
        self.moments: list[Moment] = []
        self._ends: list[float] = []
        self._resting = Moment(BEGIN_S, BEGIN_S, {}, self.heat, False)
        self.exceeded = 0  # stretches in which more was drawn than the power mode allows
        self._restart = restart

    @property
    def clocks(self) -> float:
        """The share of its clocks that the board has now."""
        return self.heat.clocks * (HELD_BY_CURRENT if self._over_current(self.now_s) else 1.0)

    def factors(self) -> Callable[[], float]:
        """Gives what each of the next latencies is multiplied with."""
        return self.faults.factors(self.chance, self.now_s - BEGIN_S)

    def spend(self, seconds: float, parts: Mapping[str, float] | None = None) -> None:
        """Let so many seconds pass at so many watts above idle."""
        left = seconds
        while left > 0:
            step = min(left, STEP_S)
            self._step(step, parts or {})
            left -= step

    def at(self, second: float) -> Moment:
        """What was the case then; before the first moment the board idles, and after the last one too."""
        place = bisect.bisect_right(self._ends, second)
        if not self.moments or second < BEGIN_S:
            return self._resting
        if place >= len(self.moments):
            return Moment(second, second, {}, self.heat, self._over_current(second))
        return self.moments[place]

    def mean_rails(self, second: float, over_s: float) -> list[float]:
        """The mean watts of each rail over the time before."""
        begin, found = second - over_s, [0.0] * len(self.board.rails)
        place = bisect.bisect_right(self._ends, begin)
        at = begin
        while at < second:
            moment = self.moments[place] if at >= BEGIN_S and place < len(self.moments) else None
            until = min(second, moment.end_s if moment else (BEGIN_S if at < BEGIN_S else second))
            watts = power.rail_watts(self.board, self.mode, moment.parts if moment else {})
            found = [total + its * (until - at) / over_s for total, its in zip(found, watts)]
            at, place = until, place + (moment is not None)
        return found

    def _step(self, seconds: float, parts: Mapping[str, float]) -> None:
        if self.now_s - BEGIN_S + seconds > self.faults.reboot_s:
            self._restart()
        start, held = self.now_s, self._over_current(self.now_s)
        self.now_s += seconds
        self.moments.append(Moment(start, self.now_s, parts, self.heat, held))
        self._ends.append(self.now_s)
        self.exceeded += self._watts(parts) > self.mode.budget_w
        self.heat = thermal.after(
            self.heat,
            self.board,
            self._watts(parts),
            seconds,
            ambient_c=self.faults.ambient_c,
            cooling=self.faults.fan,
        )

    def _over_current(self, second: float) -> bool:
        return self.faults.over_current(second - BEGIN_S)

    def _watts(self, parts: Mapping[str, float]) -> float:
        return power.board_watts(self.mode, parts)
