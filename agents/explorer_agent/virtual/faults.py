"""What goes wrong, when it is asked for; and the noise that is always there.

serve --simulate agx-orin-64 --fault 'over_current_s=[[1.0, 0.5]]' --fault reboot_s=12 --fault samples=512
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, fields
from typing import Any, Callable, Mapping, Sequence

from explorer_agent.messages import UNSUPPORTED, AgentError
from explorer_agent.rails import CONVERSION_S
from explorer_agent.virtual.boards import Board

HELD_BY_CURRENT = 0.5  # of the clocks is left during an over-current event: ASSUMED


@dataclass(frozen=True)
class Faults:
    """Seconds are those of the board's own time, from when a job begins."""

    over_current_s: Sequence[Sequence[float]] = ()  # [begin, how long] each: clocks held, and oc3 counts it
    reboot_s: float = math.inf  # the board is gone at this moment
    reboot_modes: Sequence[str] = ()  # power modes that only a restart leads to
    out_of_memory_mb: float = math.inf  # an engine with more weights cannot be loaded
    fan: float = 1.0  # of the cooling that is left
    ambient_c: float = 25.0
    samples: int = 1  # that a power sensor averages: a reading then lags by as many times 6.6 ms
    dead_rails: Sequence[str] = ()  # whose sensors do not answer
    noise: float = 0.004  # relative standard deviation of a latency
    drift: float = 0.0  # by how much of themselves latencies grow a second
    spikes: float = 0.002  # share of the inferences that somebody interrupts
    spike: float = 0.6  # by how much of themselves these are longer
    noise_w: float = 0.05  # of a sensor's reading, watts

    @classmethod
    def of(cls, given: Mapping[str, Any], board: Board) -> Faults:
        """What `given` asks for of `board`.

        Raises:
            AgentError: unsupported: a fault that nobody here knows, or one that cannot be so.
        """
        kinds = {field.name: field.default for field in fields(cls)}
        unknown = sorted(set(given) - set(kinds))
        if unknown:
            text = f"unknown fault {', '.join(map(repr, unknown))} of a virtual board"
            raise AgentError(UNSUPPORTED, text, hint="known: " + ", ".join(kinds))
        for name, value in given.items():
            if not (_pairs(value) if name == "over_current_s" else _fits(value, kinds[name])):
                raise AgentError(UNSUPPORTED, f"the fault {name} of a virtual board cannot be {value!r:.80}")
        faults = cls(**given)
        _require("reboot_modes", faults.reboot_modes, list(board.modes))
        _require("dead_rails", faults.dead_rails, [rail.name for rail in board.rails])
        return faults

    @property
    def lag_s(self) -> float:
        """Over so long a reading of a power sensor is the mean."""
        return self.samples * CONVERSION_S

    def over_current(self, second: float) -> bool:
        """Whether such an event holds the clocks back now."""
        return any(begin <= second < begin + lasts for begin, lasts in self.over_current_s)

    def events(self, until_s: float) -> int:
        """How many over-current events there were by then."""
        return sum(begin <= until_s for begin, _ in self.over_current_s)

    def factors(self, chance: random.Random, second: float) -> Callable[[], float]:
        """Gives what each latency is multiplied with, so many seconds into the job."""
        drifted, noise, spikes, spike = 1 + self.drift * second, self.noise, self.spikes, self.spike
        gauss, even, exp = chance.gauss, chance.random, math.exp

        def factor() -> float:
            grown = drifted * exp(gauss(0.0, noise))
            return grown * (1 + spike * even()) if even() < spikes else grown

        return factor

    def reading_w(self, watts: float, chance: random.Random) -> float:
        """What the sensor makes of so many watts."""
        return max(0.0, watts + chance.gauss(0.0, self.noise_w))


def _fits(value: Any, default: Any) -> bool:
    """Whether `value` can stand for `default`: words, or a number; where 1 is usual, one above zero."""
    if isinstance(default, tuple):
        return isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)
    if isinstance(value, bool) or not isinstance(value, int if isinstance(default, int) else (int, float)):
        return False
    return math.isfinite(value) and (value > 0 if default == 1 else value >= 0)


def _pairs(value: Any) -> bool:
    """Whether it is a list of [begin, how long]."""
    lists = isinstance(value, (list, tuple)) and all(
        isinstance(each, (list, tuple)) and len(each) == 2 for each in value
    )
    return lists and all(_fits(number, 0.0) for each in value for number in each)


def _require(name: str, given: Sequence[Any], known: Sequence[str]) -> None:
    strange = [str(each) for each in given if each not in known]
    if strange:
        text = f"the fault {name} of a virtual board cannot be {', '.join(strange)}"
        raise AgentError(UNSUPPORTED, text, hint="known: " + ", ".join(known))
