"""How much of a study is left to do: candidates, and time in which boards were at work, over all of its runs.

It ends for a reason that has a name: every candidate is tried, the trials or the time are spent, or nothing is left to
gain. The last part of a limit of time is kept for measuring undecided candidates again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from explorer.config import Experiment
from explorer.result import Record

KEPT_MOST = 0.2  # of a limit of time may be kept for races
# Nothing is left to gain when so many proposals in a row were each expected to add less than this share to the
# hypervolume.
STOP_BELOW, ASKS = 0.001, 10


@dataclass(frozen=True)
class Stop:
    """Why a study ends.

    Attributes:
        name: space, time, trials or gain.
        words: the same in words.
    """

    name: Literal["space", "time", "trials", "gain"]
    words: str


class Budget:
    """What one run may spend, begun now; `before` is what earlier runs of the study have done."""

    def __init__(
        self,
        experiment: Experiment,
        before: tuple[Record, ...],
        races: Sequence[Mapping[str, Any]] = (),
        runs: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        given = experiment.search.stop_below
        self._stop_below = STOP_BELOW if given is None else given
        self._gainless = ASKS if _ended_without_gain(runs, len(before), self._stop_below) else 0
        self._limits = experiment.search
        self._size = experiment.space.size
        self._before = len(before)
        self._spent_before_s = spent_s(before, races)
        self._started = time.monotonic()
        self._kept_s = 0.0
        self.done = len(before)

    @property
    def left_s(self) -> float | None:
        """Seconds that are left; None without a limit."""
        if self._limits.seconds is None:
            return None
        return max(0.0, self._limits.seconds - self._spent_before_s - (time.monotonic() - self._started))

    @property
    def out_of_time(self) -> bool:
        return self.left_s == 0.0

    @property
    def closing(self) -> bool:
        """No candidate may be begun any more: what is left of the time is kept for races."""
        return self.left_s is not None and self.left_s <= self._kept_s

    def keep(self, seconds: float) -> None:
        """Keep so much of a limit of time for races; no more than a share of it."""
        if self._limits.seconds is not None:
            self._kept_s = min(seconds, KEPT_MOST * self._limits.seconds)

    def allows(self, under_way: int) -> bool:
        """Whether another candidate may be begun beside so many that are under way."""
        enough = self._limits.trials is not None and self.done + under_way >= self._limits.trials
        return not enough and not self.closing and not self.nothing_to_gain

    def expects(self, gain: float | None) -> None:
        """Hear by what share of itself the next candidate is expected to enlarge the hypervolume; None: not known."""
        self._gainless = self._gainless + 1 if gain is not None and gain < self._stop_below else 0

    @property
    def nothing_to_gain(self) -> bool:
        """Whether the last candidates were expected to add next to nothing."""
        return self._gainless >= ASKS

    def planned(self, untried: int) -> int:
        """How many candidates the study will have tried in the end, with so many that nobody has tried yet."""
        return min(self._limits.trials or self._size, self.done + untried)

    def eta_s(self, planned: int) -> float:
        """Seconds until `planned` candidates are done, if it goes on as in this run, which has finished some."""
        return (time.monotonic() - self._started) / (self.done - self._before) * (planned - self.done)

    def why_done(self, untried: int | None = None) -> Stop | None:
        """Why there is nothing left to do; None when there is.

        Args:
            untried: how many possible candidates nobody has tried; None where that is not known: then it is over only
                when every candidate of the space is tried.
        """
        if untried == 0 or self.done >= self._size:
            return Stop("space", self._exhausted)
        if self.out_of_time:
            return Stop("time", "the time is up")
        if self._limits.trials is not None and self.done >= self._limits.trials:
            return Stop("trials", f"the budget of {self._limits.trials} trials is spent")
        if self.nothing_to_gain:
            little = f"each expected to enlarge the hypervolume by less than {100 * self._stop_below:g} %"
            return Stop("gain", f"nothing is left to gain: the last {ASKS} proposals were {little}")
        return None

    def told(self, stop: Stop) -> dict[str, Any]:
        """The end of a run as the store keeps it."""
        bound = {"stop_below": self._stop_below} if stop.name == "gain" else {}
        return {"ended": stop.name, "why": stop.words, "trials": self.done, **bound}

    @property
    def _exhausted(self) -> str:
        """That the space is; what is impossible was never tried."""
        if self.done >= self._size:
            every = "its one candidate has" if self.done == 1 else f"all {self.done:,} candidates have"
            return f"the space is exhausted: {every} been tried"
        rest = f"the other {self._size - self.done:,} of {self._size:,} are impossible"
        tried = "1 candidate has" if self.done == 1 else f"{self.done:,} candidates have"
        return f"the space is exhausted: {tried} been tried, {rest}"


def _ended_without_gain(runs: Sequence[Mapping[str, Any]], done: int, stop_below: float) -> bool:
    """Whether the last run ended so, nothing was tried since, and no less is asked for now."""
    last = runs[-1] if runs else {}
    same = last.get("ended") == "gain" and last.get("trials") == done
    return same and stop_below >= float(last.get("stop_below", 1.0))


def spent_s(records: tuple[Record, ...], races: Sequence[Mapping[str, Any]] = ()) -> float:
    """Seconds in which at least one board was at work: what boards did at the same time counts once."""
    done = [(record.started, record.seconds) for record in records]
    done += [(str(race["started"]), float(race["seconds"])) for race in races]
    spans = sorted((datetime.fromisoformat(started).timestamp(), seconds) for started, seconds in done)
    total, until = 0.0, float("-inf")
    for begin, seconds in spans:
        total += max(0.0, begin + seconds - max(begin, until))
        until = max(until, begin + seconds)
    return total
