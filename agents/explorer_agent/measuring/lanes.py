"""Running one engine back to back: by one inference at a time, or by several in flight.

    one stream     ├─ inference ─┼─ inference ─┼─ inference ─┤          the end of one is the start of the next
    k streams      ├─ inference ─┼─ inference ─┼─ inference ─┤          a thread each, all begin together;
                   ├─ inference ──┼─ inference ──┼─ inference ─┤        a window ends with an inference, not between

The clock is read once an inference, so an engine of 0.3 ms pays 0.1 µs for being watched.
"""

from __future__ import annotations

import gc
import statistics
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Sequence

NS = 1e9
_FIRST_LOOK_S = 0.0005

Step = Callable[[], Any]


@dataclass(frozen=True)
class Window:
    """A stretch of back-to-back inferences. Times in ns of the monotonic clock; latencies in order of completion."""

    start: int
    end: int
    cpu: int  # of this process, all threads
    latencies: Sequence[int]

    @property
    def seconds_each(self) -> float:
        """Seconds for each inference: with several in flight less than its latency."""
        return (self.end - self.start) / len(self.latencies) / NS

    @property
    def median_ns(self) -> float:
        return statistics.median(self.latencies)


class Lanes:
    """A loaded engine: one step for each inference that may be in flight."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps

    def now_ns(self) -> int:
        """The clock that the windows use."""
        return time.perf_counter_ns()

    def run(self, duration_ns: int) -> Window:
        """Inferences back to back for so long, at least one a stream; nothing is in flight before or after."""
        if len(self.steps) == 1:
            return closed_loop(self.steps[0], duration_ns)
        with self.flowing(duration_ns) as flow:
            return flow.rest()

    def each(self, duration_ns: int) -> list[list[int]]:
        """The latencies of every stream, in ns, while all of them work for so long."""
        with self.flowing(duration_ns) as flow:
            flow.rest()
        return flow.latencies()

    @contextmanager
    def windows(self) -> Iterator[Callable[[int], Window]]:
        """A function that gives the next window of so many ns; several streams go on between windows."""
        if len(self.steps) == 1:
            yield lambda duration_ns: closed_loop(self.steps[0], duration_ns)
            return
        with self.flowing() as flow:
            yield flow.window

    @contextmanager
    def flowing(self, duration_ns: int | None = None) -> Iterator[_Flow]:
        """All streams at work, for so long or until the block ends."""
        with no_garbage_collection():
            flow = _Flow(self.steps, duration_ns)
            try:
                yield flow
            finally:
                flow.end()
        flow.check()


class _Flow:
    """Streams at work, a thread each; their inferences are collected from outside."""

    def __init__(self, steps: Sequence[Step], duration_ns: int | None) -> None:
        self._done = [[] for _ in steps]  # type: list[list[tuple[int, int]]]
        self._taken = [0] * len(steps)
        self._over = False
        self._duration_ns = duration_ns
        self._failure: BaseException | None = None
        self._ready = threading.Barrier(len(steps) + 1, timeout=60)
        self._threads = [
            threading.Thread(target=self._work, args=(step, done), name="stream", daemon=True)
            for step, done in zip(steps, self._done)
        ]
        for thread in self._threads:
            thread.start()
        self._cpu = time.process_time_ns()
        self._start = time.perf_counter_ns()
        self._ready.wait()

    def window(self, duration_ns: int) -> Window:
        """All that is completed within so many ns from the end of the last window, one inference at least."""
        until = self._start + duration_ns
        while True:
            left = (until - time.perf_counter_ns()) / NS
            if left > 0:
                time.sleep(left)
            elif any(map(len, self._done)) and self._some():
                return self._cut()
            else:
                time.sleep(_FIRST_LOOK_S)
            self.check()

    def rest(self) -> Window:
        """All that is completed until the streams end by themselves."""
        for thread in self._threads:
            thread.join()
        self.check()
        return self._cut()

    def latencies(self) -> list[list[int]]:
        """Of every stream so far."""
        return [[latency for _, latency in done] for done in self._done]

    def end(self) -> None:
        self._over = True
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """Raise what ended a stream."""
        if self._failure is not None:
            raise self._failure

    def _some(self) -> bool:
        return any(len(done) > taken for done, taken in zip(self._done, self._taken))

    def _cut(self) -> Window:
        fresh: list[tuple[int, int]] = []
        for number, done in enumerate(self._done):
            many = len(done)
            fresh += done[self._taken[number] : many]
            self._taken[number] = many
        fresh.sort()
        cpu, start, end = time.process_time_ns(), self._start, fresh[-1][0]
        window = Window(start, end, cpu - self._cpu, [latency for _, latency in fresh])
        self._cpu, self._start = cpu, end
        return window

    def _work(self, step: Step, done: list[tuple[int, int]]) -> None:
        note, clock = done.append, time.perf_counter_ns
        try:
            self._ready.wait()
            before = clock()
            end = before + self._duration_ns if self._duration_ns is not None else None
            while not self._over and (end is None or before < end or not done):
                step()
                after = clock()
                note((after, after - before))
                before = after
        except BaseException as error:  # noqa: BLE001  raised again by whoever collects
            self._failure = self._failure or error
            self._over = True


def closed_loop(step: Step, duration_ns: int) -> Window:
    """Inferences of one stream back to back for `duration_ns`, at least one."""
    latencies: list[int] = []
    note, clock = latencies.append, time.perf_counter_ns
    with no_garbage_collection():
        cpu = time.process_time_ns()
        start = before = clock()
        end = start + duration_ns
        while before < end or not latencies:
            step()
            after = clock()
            note(after - before)
            before = after
        cpu = time.process_time_ns() - cpu
    return Window(start, before, cpu, latencies)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Nothing is collected within: it would stop all streams, and one inference would pay for it."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
