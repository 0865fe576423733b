"""How much of a study is left to do: candidates, and time in which boards were at work, over all of its runs.

The last part of a limit of time is kept for measuring undecided candidates again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from explorer.config import Experiment
from explorer.result import Record

KEPT_MOST = 0.2  # of a limit of time may be kept for races


class Budget:
    """What one run may spend, begun now; `before` is what earlier runs of the study have done."""

    def __init__(
        self, experiment: Experiment, before: tuple[Record, ...], races: Sequence[Mapping[str, Any]] = ()
    ) -> None:
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
        return not enough and not self.closing

    def planned(self, untried: int) -> int:
        """How many candidates the study will have tried in the end, with so many that nobody has tried yet."""
        return min(self._limits.trials or self._size, self.done + untried)

    def eta_s(self, planned: int) -> float:
        """Seconds until `planned` candidates are done, if it goes on as in this run, which has finished some."""
        return (time.monotonic() - self._started) / (self.done - self._before) * (planned - self.done)

    def why_done(self, untried: int | None = None) -> str:
        """Why there is nothing left to do; empty when there is.

        Args:
            untried: how many possible candidates nobody has tried; None where that is not known: then it is over only
                when every candidate of the space is tried.
        """
        if untried == 0 or self.done >= self._size:
            return self._exhausted
        if self.out_of_time:
            return "the time is up"
        spent = self._limits.trials is not None and self.done >= self._limits.trials
        return f"the budget of {self._limits.trials} trials is spent" if spent else ""

    @property
    def _exhausted(self) -> str:
        """That the space is; what is impossible was never tried."""
        if self.done >= self._size:
            return f"the space is exhausted: all {self.done:,} candidates have been tried"
        rest = f"the other {self._size - self.done:,} of {self._size:,} are impossible"
        return f"the space is exhausted: {self.done:,} candidates have been tried, {rest}"


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
