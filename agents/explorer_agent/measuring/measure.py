"""One engine, measured: raw latencies, window edges and CPU time; everything derived from them is the host's business.

     load        first      warm-up              window 0    window 1          window n
    ├─────┤├────────┤├──────────────────┤├──────────┤├──────────┤ … ├──────────┤
                       ends when steady,    each window_s long, back to back, until
                       not by count         the interval is tight or the budget spent

Closed loop: one inference at a time, the next starts when the last has ended; so the clock is read once an
inference, the end of one being the start of the next, and an engine of 0.3 ms pays 0.1 µs for being watched.
"""

from __future__ import annotations

import gc
import statistics
import time
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Sequence

from explorer_agent import board
from explorer_agent.measuring.stats import relative_half_width
from explorer_agent.messages import Plan
from explorer_agent.meters import Meter
from explorer_agent.sampling import Sampler

WARMUP_AT_MOST = 5  # times warmup_s
STEADY = 0.05  # two stretches of warm-up whose medians differ by less
DISTURBED = 0.10  # cores kept busy by others, above which the measurement says so
_NS = 1e9

Step = Callable[[], Any]
Tell = Callable[[float], None]


@dataclass(frozen=True)
class Window:
    """A stretch of back-to-back inferences. Times in ns of the monotonic clock."""

    start: int
    end: int
    cpu: int  # of this process, all threads
    latencies: Sequence[int]

    @property
    def seconds_each(self) -> float:
        return (self.end - self.start) / len(self.latencies) / _NS


def measure(
    load: Callable[[], Step], plan: Plan, meter: Meter | None, *, tell: Tell
) -> tuple[dict[str, Any], dict[str, array[float]]]:
    """Load an engine, warm it up and measure it.

    Args:
        load: loads the engine and returns the function that runs it once.
        plan: how long.
        meter: read throughout if it measures; None for no power at all.
        tell: hears the share of the budget that is spent.

    Returns:
        The header (facts, flags) and the raw series, seconds and joules or watts as float64.
    """
    before = board.state()
    with _watched(meter) as sampler:
        idle = _idle(plan, sampler)
        started = time.perf_counter()
        step = load()
        loaded = time.perf_counter()
        step()
        first = time.perf_counter()
        steady = warm_up(step, plan)
        board_busy, own_busy = board.busy_s(), time.process_time()
        windows, half_width = run_windows(step, plan, tell)
        others = _busy_others(board_busy, own_busy, windows)
    flags = _flags(steady, half_width <= plan.relative_interval, others)
    header = {
        "load_s": loaded - started,
        "first_s": first - loaded,
        "windows": len(windows),
        "relative_half_width": min(half_width, 1e9),
        "others_busy_cores": others,
        "flags": flags,
        "board_before": before,
        "board_after": board.state(),
        "sampler_cpu_s": sampler.cpu_s if sampler else 0.0,
        "sampler_failure": sampler.failure if sampler else "",
    }
    return header, _series(windows, idle, sampler)


def warm_up(step: Step, plan: Plan) -> bool:
    """Run until two stretches in a row agree; False when they did not within WARMUP_AT_MOST times the time planned."""
    stretch_ns = int(plan.warmup_s * _NS / 2)
    deadline = time.perf_counter_ns() + int(plan.warmup_s * _NS * WARMUP_AT_MOST)
    last = statistics.median(_run(step, stretch_ns).latencies)
    while True:
        now = statistics.median(_run(step, stretch_ns).latencies)
        if abs(now - last) <= STEADY * last:
            return True
        if time.perf_counter_ns() > deadline:
            return False
        last = now


def run_windows(step: Step, plan: Plan, tell: Tell) -> tuple[list[Window], float]:
    """Windows until the interval of the mean and of the median is tight or the budget is spent; also the half-width
    reached.
    """
    windows: list[Window] = []
    begin = time.perf_counter()
    half_width = float("inf")
    while True:
        windows.append(_run(step, int(plan.window_s * _NS)))
        spent = (time.perf_counter() - begin) / plan.budget_s if plan.budget_s > 0 else 1.0
        half_width = max(
            relative_half_width([w.seconds_each for w in windows]),
            relative_half_width([statistics.median(w.latencies) for w in windows]),
        )
        enough = len(windows) >= plan.windows_min and half_width <= plan.relative_interval
        if enough or (spent >= 1.0 and len(windows) >= 2):  # of one window nothing can be said
            return windows, half_width
        tell(min(spent, 1.0))


def _run(step: Step, duration_ns: int) -> Window:
    """Inferences back to back for `duration_ns`, at least one."""
    latencies: list[int] = []
    note, clock = latencies.append, time.perf_counter_ns
    with _no_garbage_collection():
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
def _no_garbage_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _watched(meter: Meter | None) -> Iterator[Sampler | None]:
    if meter is None or meter.quantity == "model":
        yield None
        return
    with Sampler(meter) as sampler:
        yield sampler


def _idle(plan: Plan, sampler: Sampler | None) -> tuple[float, float]:
    """The edges of a stretch in which nothing ran; empty where no meter would see it."""
    start = time.perf_counter()
    if sampler is not None and plan.idle_s > 0:
        time.sleep(plan.idle_s)
    return start, time.perf_counter()


def _busy_others(board_busy: float | None, own_busy: float, windows: Sequence[Window]) -> float | None:
    """Cores that other processes kept busy while the windows ran; None where the board does not tell."""
    now = board.busy_s()
    if board_busy is None or now is None:
        return None
    wall = (windows[-1].end - windows[0].start) / _NS
    tick = 0.02  # /proc/stat counts in ticks of 10 ms, at both edges
    return max(0.0, now - board_busy - (time.process_time() - own_busy) - tick) / wall


def _flags(steady: bool, tight: bool, others: float | None) -> list[str]:
    disturbed = others is not None and others > DISTURBED
    return [
        name
        for name, raised in (("warmup-not-steady", not steady), ("unstable", not tight), ("disturbed", disturbed))
        if raised
    ]


def _series(windows: Sequence[Window], idle: tuple[float, float], sampler: Sampler | None) -> dict[str, array[float]]:
    series = {
        "latency_s": array("d", (ns / _NS for window in windows for ns in window.latencies)),
        "window_start_s": array("d", (window.start / _NS for window in windows)),
        "window_end_s": array("d", (window.end / _NS for window in windows)),
        "window_count": array("d", (len(window.latencies) for window in windows)),
        "window_cpu_s": array("d", (window.cpu / _NS for window in windows)),
    }
    if sampler is not None:
        series.update({"idle_s": array("d", idle), "meter_time_s": sampler.times_s})
        series.update({f"meter_{number}": rail for number, rail in enumerate(sampler.rails)})
    return series
