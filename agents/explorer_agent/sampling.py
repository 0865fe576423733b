"""What is read beside a measurement: a process of its own reads each probe at its own pace, every reading stamped on
the clock that the windows use (monotonic, the same in every process).

    job      ─fork─┬──────────── load, warm up, windows … ────────────┬─"."─► series, facts
    sampling       └─ first readings ─"."─►  ▲   ▲   ▲   ▲   ▲   ▲   ─┴─ last readings, all of them sent

A thread a probe, so that a slow sensor delays no other. Readings stay in the sampling process until the end: the job
never waits for it and runs no line of it in between. It dies with the job, however that ends. Nothing is integrated
here: the readings go to the host as they are, and so does what reading cost.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import threading
import time
import traceback
import warnings
from array import array
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Sequence

from explorer_agent import board, family
from explorer_agent.meters import Meter

PERIOD_S = 0.02  # a window of a second holds the fifty readings that a good integral needs
FIRST_S = 10.0  # so long the job waits for the first reading of each probe, before it begins
LAST_S = 5.0  # so long a probe that hangs is waited for at the end
PATIENCE_S = 30.0  # for the sampling process itself: far longer than it takes on a loaded machine
NAP_S = 0.05  # longest sleep, after which it looks whether the measurement is over
NICE = 5  # the job's own threads go first
_DOUBLE = array("d").itemsize


@dataclass(frozen=True)
class Probe:
    """Something to read: `read` gives a number for each of `series`, NaN where there is none, every `period_s`."""

    name: str
    series: Sequence[str]
    read: Callable[[], Sequence[float]]
    period_s: float


@dataclass
class Watch:
    """What was read, filled when the measurement is over.

    `series`: seconds as "<probe>_time_s", and the probe's own, of equal length. `facts`, a probe: "cpu_s" and "wall_s"
    that all its readings took, "cpu_share" of all that the board's processors did meanwhile (None: not known),
    "readings", "hz" reached, "max_gap_s", "core" it was bound to (None: any), and "failure": why its series ended
    early, or empty.
    """

    series: dict[str, array[float]] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)


def of_meter(meter: Meter) -> Probe:
    """The meter's rails, at the pace that the meter asks for."""
    series = [f"meter_{number}" for number, _ in enumerate(meter.rails())]
    return Probe("meter", series, meter.read, float(getattr(meter, "period_s", PERIOD_S)))


@contextmanager
def watched(probes: Sequence[Probe], *, threads: int = 0) -> Iterator[Watch]:
    """Read `probes` until the block ends, at its two edges too.

    Fork before libraries start threads of their own: only the calling thread lives on in the child.

    Args:
        probes: what to read; none is fine.
        threads: how many the job keeps busy, 0 for one a core; if fewer than there are cores, one is left to sampling.
    """
    watch = Watch()
    if not probes:
        yield watch
        return
    busy_s = board.busy_s()
    process = _Process(probes, spare_cores(threads))
    try:
        process.wait_for_first()
        yield watch
        answer, numbers = process.finish()
    finally:
        process.end()
    for number, probe in enumerate(probes):
        facts = _facts_of(answer, number)
        _fill(watch, probe, dict(facts, cpu_share=_share(facts["cpu_s"], busy_s, board.busy_s())), numbers)


def spare_cores(threads: int) -> list[int]:
    """Cores that a job of so many threads leaves alone, the best first: one that it may not use at all, else the last
    of its own when it does not fill them.
    """
    if not hasattr(os, "sched_getaffinity"):
        return []
    mine = os.sched_getaffinity(0)
    outside = [core for core in range(os.cpu_count() or 1) if core not in mine]
    return outside + ([max(mine)] if 0 < threads < len(mine) else [])


class _Process:
    """The sampling process, as the job sees it."""

    def __init__(self, probes: Sequence[Probe], cores: Sequence[int]) -> None:
        theirs, self._control = os.pipe()
        self._answer, answer = os.pipe()
        with warnings.catch_warnings():
            # A library's threads that sleep hold no lock; the child only reads files and writes to a pipe.
            warnings.filterwarnings("ignore", message=".*multi-threaded.*", category=DeprecationWarning)
            self._pid = os.fork()
        if self._pid == 0:
            _child(probes, cores, theirs, answer)
        os.close(theirs)
        os.close(answer)

    def wait_for_first(self) -> None:
        """Until every probe has been read once, or has failed, or hangs."""
        self._read(1, FIRST_S + PATIENCE_S)

    def finish(self) -> tuple[dict[str, Any], array[float]]:
        """Have it stop, and take what it has read: facts, and all numbers, reading by reading."""
        with contextlib.suppress(OSError):  # it has died: said below
            os.write(self._control, b".")
        size = self._read(8, LAST_S + PATIENCE_S)
        told = self._read(int.from_bytes(size, "big"), PATIENCE_S)
        facts = json.loads(told.decode("ascii")) if told else {"failure": self._how_it_ended()}
        numbers = array("d")
        numbers.frombytes(self._read(sum(facts.get("numbers", ())) * _DOUBLE, PATIENCE_S))
        return facts, numbers

    def end(self) -> None:
        """Nothing is left of it, in whatever state it is."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
        os.close(self._control)
        os.close(self._answer)

    def _how_it_ended(self) -> str:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {os.WEXITSTATUS(status)}"
        return f"the sampling process ended before the measurement did ({how})"

    def _read(self, size: int, patience_s: float) -> bytes:
        """`size` bytes; none if they do not come in time, or never will."""
        found, deadline = b"", time.monotonic() + patience_s
        while len(found) < size:
            left = max(0.0, deadline - time.monotonic())
            piece = os.read(self._answer, size - len(found)) if select.select([self._answer], [], [], left)[0] else b""
            if not piece:
                return b""
            found += piece
        return found


def _facts_of(answer: dict[str, Any], number: int) -> dict[str, Any]:
    if "probes" in answer:
        found: dict[str, Any] = answer["probes"][number]
        return found
    nothing = {"cpu_s": 0.0, "wall_s": 0.0, "readings": 0, "hz": 0.0, "max_gap_s": 0.0, "core": None}
    return dict(nothing, failure=answer["failure"])


def _share(cpu_s: float, before_s: float | None, after_s: float | None) -> float | None:
    if before_s is None or after_s is None:
        return None
    return min(1.0, cpu_s / max(after_s - before_s, cpu_s, 1e-9))


def _fill(watch: Watch, probe: Probe, facts: dict[str, Any], numbers: array[float]) -> None:
    """Take this probe's share from the front of `numbers`."""
    width = 1 + len(probe.series)
    mine = numbers[: facts["readings"] * width]
    del numbers[: len(mine)]
    for column, name in enumerate((f"{probe.name}_time_s", *probe.series)):
        watch.series[name] = mine[column::width]
    watch.facts[probe.name] = facts


def _child(probes: Sequence[Probe], cores: Sequence[int], control: int, answer: int) -> None:
    """The sampling process' own life; it never returns."""
    parent = os.getppid()
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the job's to hear
        family.die_with_parent(parent)
        os.nice(NICE)
        facts, numbers = _sample(probes, _bind(cores), control, answer)
        told = json.dumps(facts).encode("ascii")
        with os.fdopen(answer, "wb") as pipe:
            pipe.write(len(told).to_bytes(8, "big") + told + numbers)
        os._exit(0)
    except BaseException:  # noqa: BLE001  the last line of defence of a child: told to the job's log, then gone
        with contextlib.suppress(OSError):
            os.write(2, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(1)


def _bind(cores: Sequence[int]) -> int | None:
    """Stay on the first of `cores` that the kernel grants."""
    for core in cores:
        with contextlib.suppress(OSError):  # it is offline, or not for this container
            os.sched_setaffinity(0, {core})
            return core
    return None


def _sample(probes: Sequence[Probe], core: int | None, control: int, answer: int) -> tuple[dict[str, Any], bytes]:
    diaries = [_Diary(probe) for probe in probes]
    _wait_until(lambda: all(diary.begun for diary in diaries), FIRST_S)
    os.write(answer, b".")
    os.read(control, 1)  # ends too when the job is no more
    for diary in diaries:
        diary.last = True
    _wait_until(lambda: all(diary.ended for diary in diaries), LAST_S)
    taken = [diary.close(core) for diary in diaries]
    numbers = [len(rows) for _, rows in taken]
    return {"probes": [facts for facts, _ in taken], "numbers": numbers}, b"".join(rows.tobytes() for _, rows in taken)


def _wait_until(holds: Callable[[], bool], patience_s: float) -> None:
    deadline = time.perf_counter() + patience_s
    while not holds() and time.perf_counter() < deadline:
        time.sleep(0.001)


class _Diary:
    """The readings of one probe, row by row (time, numbers), by a thread of its own."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._rows = array("d")
        self._cpu_s = self._wall_s = 0.0
        self._failure = ""
        self.begun = self.last = self.ended = False
        threading.Thread(target=self._run, name=probe.name, daemon=True).start()

    def close(self, core: int | None) -> tuple[dict[str, Any], array[float]]:
        """What it cost and how evenly it was read, and the rows."""
        rows, width = self._rows[:], 1 + len(self._probe.series)  # a copy: its thread may hang, and come back
        times = rows[::width]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        failure = self._failure or ("" if self.ended else f"it did not answer within {LAST_S:g} s")
        facts = {"cpu_s": self._cpu_s, "wall_s": self._wall_s, "readings": len(times), "core": core}
        pace = {"hz": len(gaps) / sum(gaps) if gaps else 0.0, "max_gap_s": max(gaps, default=0.0)}
        return dict(facts, failure=failure, **pace), rows

    def _run(self) -> None:
        try:
            due = time.perf_counter()
            while True:
                last = self.last
                self._read()
                if last:
                    break
                due = max(due + self._probe.period_s, time.perf_counter())  # what was missed is not made up for
                self._sleep_until(due)
        except Exception as error:  # noqa: BLE001  a sensor or a plug-in that fails midway: its series ends, and says why
            self._failure = f"{type(error).__name__}: {error}"
        self.begun = self.ended = True

    def _read(self) -> None:
        before = time.perf_counter()
        numbers = [float(number) for number in self._probe.read()]
        after = time.perf_counter()
        if len(numbers) != len(self._probe.series):
            raise ValueError(f"{len(numbers)} numbers for {len(self._probe.series)} series")
        self._rows.extend([(before + after) / 2, *numbers])
        self._cpu_s, self._wall_s = time.thread_time(), self._wall_s + after - before
        self.begun = True

    def _sleep_until(self, due: float) -> None:
        """No wait for an event: before Python 3.11 that follows the clock's jumps."""
        left = due - time.perf_counter()
        while left > 0 and not self.last:
            time.sleep(min(left, NAP_S))
            left = due - time.perf_counter()
