"""Fixed arrival: how many subjects, each sending samples at a fixed rate, can be served within the deadline.

    subjects' samples   . . . . . . . . . . . .      a batch arrives when its last sample has, on a schedule made in
    batches of 4              ▲       ▲       ▲      advance that never waits for the engine
    engine                    ├────┤  ├────┤  ├──    late by: done − arrived; the next free stream takes the next

Levels are tried from what the windows promise: doubled while they pass, halved while they fail, then in between.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Callable, Sequence

from explorer_agent.measuring.lanes import NS, Lanes, Step, no_garbage_collection
from explorer_agent.measuring.stats import quantile
from explorer_agent.messages import Plan

P99_COUNT, P90_COUNT = 459, 44  # queries without which MLPerf allows no such percentile (99 % confidence)
LEVEL_S, LEVEL_MOST_S = 5.0, 20.0  # a level lasts at most so long for p99, and for p90
SEARCH_S = 45.0  # after which no further level is begun
SUBJECTS_MOST = 1 << 20
FINE = 25  # levels nearer to each other than a twenty-fifth are not told apart
_AHEAD = 0.8  # of the throughput is the first level: queues form before the engine is full
_NAP_S = 0.05


@dataclass(frozen=True)
class Level:
    """One level tried: so many subjects for so long. Latencies in ns, in order of arrival."""

    subjects: int
    seconds: float
    latencies: Sequence[int]


def search(
    lanes: Lanes, plan: Plan, batch: int, throughput: float, *, level: Callable[..., Level] | None = None
) -> list[Level]:
    """The levels tried, in order, by an engine that does `throughput` samples a second when it is saturated; each by
    `level`, which is `serve` unless said otherwise.
    """
    tried: dict[int, bool] = {}
    levels: list[Level] = []
    deadline = lanes.now_ns() + SEARCH_S * NS
    subjects: int | None = max(1, int(throughput / plan.rate_hz * _AHEAD))
    while subjects is not None and lanes.now_ns() < deadline:
        count = batches_of(subjects, plan, batch)
        if count:
            levels.append((level or serve)(lanes.steps, plan, batch, subjects=subjects, count=count))
        tried[subjects] = not count or passed(levels[-1].latencies, plan.deadline_ms) is True  # too slow to be late
        subjects = next_level(tried)
    return levels


def batches_of(subjects: int, plan: Plan, batch: int) -> int:
    """How many batches a level takes: what p99 needs, or what arrives in LEVEL_S, or at least what p90 needs; 0 if even
    that lasts longer than LEVEL_MOST_S.

    Whatever the percentile needs, a level goes on until an engine that is 1 in FINE too slow has fallen behind by the
    deadline: a fast one would have done all of p99's batches before anybody could see that more arrive than it does.
    """
    rate = subjects * plan.rate_hz / batch
    if LEVEL_MOST_S * rate < P90_COUNT:
        return 0
    behind_s = min(LEVEL_S, FINE * plan.deadline_ms / 1e3)
    return max(int(behind_s * rate), min(P99_COUNT, max(P90_COUNT, int(LEVEL_S * rate))))


def next_level(tried: dict[int, bool]) -> int | None:
    """The level to try after those `tried` (passed or not); None when the limit is known."""
    low = max((level for level, held in tried.items() if held), default=0)
    high = min((level for level, held in tried.items() if not held), default=None)
    if high is None:
        return 2 * low if 2 * low <= SUBJECTS_MOST else None
    if high - low <= max(1, low // FINE):
        return None
    return max(1, high // 2) if low == 0 else (low + high) // 2


def passed(latencies: Sequence[int], deadline_ms: float) -> bool | None:
    """Whether the percentile that the count allows is within the deadline; None when it allows none."""
    if len(latencies) < P90_COUNT:
        return None
    return quantile(latencies, 0.99 if len(latencies) >= P99_COUNT else 0.90) <= deadline_ms * 1e6


def serve(steps: Sequence[Step], plan: Plan, batch: int, *, subjects: int, count: int) -> Level:
    """One level: `count` batches on their schedule, or fewer once it is clear that it fails."""
    apart_ns = batch / (subjects * plan.rate_hz) * NS
    queue = _Queue(count, apart_ns, plan.deadline_ms)
    workers = [threading.Thread(target=queue.work, args=(step,), name="server", daemon=True) for step in steps]
    with no_garbage_collection():
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    if queue.failure is not None:
        raise queue.failure
    return Level(subjects, (time.perf_counter_ns() - queue.start) / NS, queue.in_order())


class _Queue:
    """Batches in the order of their arrival, each for the first server that is free."""

    def __init__(self, count: int, apart_ns: float, deadline_ms: float) -> None:
        self.start = time.perf_counter_ns()
        self.failure: BaseException | None = None
        self._count, self._apart_ns, self._deadline_ns = count, apart_ns, deadline_ms * 1e6
        self._lock = threading.Lock()
        self._next = self._late = 0
        self._found: dict[int, int] = {}

    def work(self, step: Callable[[], object]) -> None:
        """What one server does."""
        try:
            number = self._take()
            while number is not None:
                arrival = self.start + int((number + 1) * self._apart_ns)
                _sleep_until(arrival)
                step()
                self._done(number, time.perf_counter_ns() - arrival)
                number = self._take()
        except BaseException as error:  # noqa: BLE001  raised again by who waits for the servers
            self.failure = self.failure or error

    def in_order(self) -> list[int]:
        return [self._found[number] for number in sorted(self._found)]

    def _take(self) -> int | None:
        with self._lock:
            if self._next >= self._count or self.failure is not None or self._is_lost():
                return None
            self._next += 1
            return self._next - 1

    def _done(self, number: int, latency: int) -> None:
        with self._lock:
            self._found[number] = latency
            self._late += latency > self._deadline_ns

    def _is_lost(self) -> bool:
        """Whether no more batches could mend it, by p90 now nor by p99 in the end."""
        done = len(self._found)
        return done >= P90_COUNT and self._late > 0.1 * done + 1 and self._late > 0.01 * self._count + 1


def _sleep_until(moment: int) -> None:
    left = moment - time.perf_counter_ns()
    while left > 0:
        time.sleep(min(left / NS, _NAP_S))
        left = moment - time.perf_counter_ns()
