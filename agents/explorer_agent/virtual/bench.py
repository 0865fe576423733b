"""The measuring room on a virtual board: its clock, its processors and its sensors, none of which takes real time.

lanes    a heap of (done, stream): the next inference that is completed moves the clock
sensors  read when all is over, at the moments at which they would have been: the board's files are made to show each
         moment in turn, and the agent's own readers read them
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections import Counter
from contextlib import contextmanager
from typing import Any, Callable, Container, Iterator, Mapping, Sequence

from explorer_agent import board, conditions
from explorer_agent.measuring import arrivals, verdict
from explorer_agent.measuring.bench import Bench
from explorer_agent.measuring.lanes import NS, Lanes, Step, Window
from explorer_agent.messages import Plan
from explorer_agent.sampling import Probe, Watch
from explorer_agent.virtual.schedule import Lane, Schedule, throttled
from explorer_agent.virtual.world import World

FIRST_TIMES = 4.0  # the first inference of a stream takes longer: modules are loaded


class VirtualStep:
    """One stream of an engine: each call is one inference, on the board's clock."""

    def __init__(self, world: World, schedule: Schedule, number: int, run: Callable[[], Any] | None = None) -> None:
        self.schedule, self.number = schedule, number
        self._world, self._run, self._fresh = world, run, True

    @property
    def lane(self) -> Lane:
        return self.schedule.lanes[self.number]

    def unshared(self, served: Container[str]) -> float:
        """By how much it is quicker while only its own unit works of all that the schedule means."""
        alone = any(lane.unit not in served for lane in self.schedule.lanes)
        return self.schedule.slowdown[self.lane.unit] if alone else 1.0

    def __call__(self) -> Any:
        lane, course = now(self), self._world.course
        seconds = lane.seconds * course.factors()() * (FIRST_TIMES if self._fresh else 1.0)
        self._fresh = False
        course.spend(seconds, {part: joules / seconds for part, joules in lane.joules.items()})
        return self._run() if self._run is not None else None

    @property
    def world(self) -> World:
        return self._world


def now(step: VirtualStep) -> Lane:
    """What `step` takes with the clocks that the board has now."""
    clocks = step.world.course.clocks
    return step.lane if clocks == 1.0 else throttled(step.schedule, clocks).lanes[step.number]


class VirtualLanes(Lanes):
    """Streams that run back to back on the board's clock."""

    def __init__(self, steps: Sequence[Step], world: World) -> None:
        super().__init__(steps)
        self._world = world

    def now_ns(self) -> int:
        return round(self._world.course.now_s * NS)

    def run(self, duration_ns: int) -> Window:
        flow = _Flow(self._steps(), self._world)
        return flow.rest(duration_ns / NS)

    def each(self, duration_ns: int) -> list[list[int]]:
        flow = _Flow(self._steps(), self._world)
        flow.rest(duration_ns / NS)
        return flow.latencies

    @contextmanager
    def windows(self) -> Iterator[Callable[[int], Window]]:
        flow = _Flow(self._steps(), self._world)
        yield lambda duration_ns: flow.window(duration_ns / NS)

    def _steps(self) -> list[VirtualStep]:
        return [step for step in self.steps if isinstance(step, VirtualStep)]


class _Flow:
    """Inferences of all streams in the order in which they are completed. Clocks are looked at once a stretch."""

    def __init__(self, steps: Sequence[VirtualStep], world: World) -> None:
        self._steps, self._course = steps, world.course
        self.latencies: list[list[int]] = [[] for _ in steps]  # ns, by stream
        self._queue: list[tuple[float, int, float]] = []  # when it is done, which stream, how long it takes
        self._look()
        for number, _ in enumerate(steps):
            self._submit(number, self._course.now_s)

    def window(self, seconds: float) -> Window:
        """All that is completed in so many seconds, one inference at least."""
        self._look()
        start, done = self._course.now_s, []  # type: tuple[float, list[tuple[float, int, float]]]
        end, queue, factor, seconds_of = start + seconds, self._queue, self._factor, self._seconds
        while not done or queue[0][0] <= end:
            at, number, lasted = queue[0]
            done.append((at, number, lasted))
            lasts = seconds_of[number] * factor()
            heapq.heapreplace(queue, (at + lasts, number, lasts))
        return self._passed(start, done)

    def rest(self, seconds: float) -> Window:
        """All that is begun in so many seconds; nothing is in flight after it."""
        self._look()
        start, done = self._course.now_s, []  # type: tuple[float, list[tuple[float, int, float]]]
        while self._queue:
            done.append(heapq.heappop(self._queue))
            if done[-1][0] < start + seconds:
                self._submit(done[-1][1], done[-1][0])
        return self._passed(start, done)

    def _look(self) -> None:
        """At the clocks, and what inferences take with them."""
        self._lanes = [now(step) for step in self._steps]
        served = {lane.unit for lane in self._lanes}
        self._seconds = [lane.seconds / step.unshared(served) for step, lane in zip(self._steps, self._lanes)]
        self._factor = self._course.factors()

    def _submit(self, number: int, at: float) -> None:
        seconds = self._seconds[number] * self._factor()
        heapq.heappush(self._queue, (at + seconds, number, seconds))

    def _passed(self, start: float, done: Sequence[tuple[float, int, float]]) -> Window:
        lasted = done[-1][0] - start
        joules: dict[str, float] = {}
        for _, number, seconds in done:
            self.latencies[number].append(round(seconds * NS))
        for number, many in Counter(number for _, number, _ in done).items():
            for part, its in self._lanes[number].joules.items():
                joules[part] = joules.get(part, 0.0) + its * many
        self._course.spend(lasted, {part: its / lasted for part, its in joules.items()})
        return Window(
            round(start * NS),
            round(self._course.now_s * NS),
            0,
            [round(seconds * NS) for _, _, seconds in done],
        )


class VirtualBench(Bench):
    """What the measuring room asks, answered for a board that is only imagined."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now_s(self) -> float:
        return self._world.course.now_s

    def wait(self, seconds: float) -> None:
        self._world.course.spend(seconds)

    def lanes(self, steps: Sequence[Step]) -> Lanes:
        return VirtualLanes(steps, self._world)

    def level(self, steps: Sequence[Step], plan: Plan, batch: int, *, subjects: int, count: int) -> arrivals.Level:
        course = self._world.course
        servers = [step for step in steps if isinstance(step, VirtualStep)]
        apart_s, start = batch / (subjects * plan.rate_hz), course.now_s
        found = _served(servers, apart_s, count, plan.deadline_ms / 1e3)
        lasted = max((number + 1) * apart_s + late for number, late in enumerate(found))
        course.spend(lasted, {part: its * len(found) / lasted for part, its in now(servers[0]).joules.items()})
        return arrivals.Level(subjects, course.now_s - start, [round(late * NS) for late in found])

    def state(self) -> dict[str, Any]:
        self._world.show()
        found = board.state(self._world.root)
        if self._world.course.moments:  # the job is over
            self._world.rest()
        return dict(found, load_1m=None)  # of the machine that simulates

    def probe(self) -> Probe:
        return conditions.probe(self._world.root)

    @contextmanager
    def watched(self, probes: Sequence[Probe], *, threads: int = 0) -> Iterator[Watch]:
        world, watch = self._world, Watch()
        start = world.course.now_s
        yield watch
        for probe in probes:
            times = _times(start, world.course.now_s, probe.period_s)
            rows = [_read(probe, world, second) for second in times]
            watch.series[f"{probe.name}_time_s"] = array("d", times)
            for column, name in enumerate(probe.series):
                watch.series[name] = array("d", (row[column] for row in rows))
            watch.facts[probe.name] = _paced(times)

    def watcher(self) -> verdict.Watcher:
        return _Undisturbed()

    def facts(self) -> Mapping[str, Any]:
        return {"simulation": self._world.facts()}


class _Undisturbed(verdict.Watcher):
    """Nobody else is at work on a board of one's own."""

    def __init__(self) -> None:
        """Counts nothing."""

    def share(self) -> verdict.Share:
        return verdict.Share(0.0, 0.0, 0.0)


def _served(servers: Sequence[VirtualStep], apart_s: float, count: int, deadline_s: float) -> list[float]:
    """Seconds from arrival until done, batch by batch; fewer once it is clear that it fails."""
    free, found, late = [0.0] * len(servers), [], 0
    for number in range(count):
        place = min(range(len(servers)), key=lambda server: free[server])
        course, arrival = servers[place].world.course, (number + 1) * apart_s
        seconds = now(servers[place]).seconds * course.factors()()
        free[place] = max(arrival, free[place]) + seconds
        found.append(free[place] - arrival)
        late += found[-1] > deadline_s
        if len(found) >= arrivals.P90_COUNT and late > 0.1 * len(found) + 1 and late > 0.01 * count + 1:
            break
    return found


def _times(start: float, end: float, period_s: float) -> list[float]:
    """When a sensor is read: at both edges, and every so often between them."""
    steps = max(1, math.ceil((end - start) / period_s - 1e-9))
    return [*(start + number * period_s for number in range(steps)), end]


def _read(probe: Probe, world: World, second: float) -> list[float]:
    world.show(second)
    return [float(number) for number in probe.read()]


def _paced(times: Sequence[float]) -> dict[str, Any]:
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    cost = {"cpu_s": 0.0, "wall_s": 0.0, "cpu_share": 0.0, "core": None, "failure": ""}
    return dict(cost, readings=len(times), hz=len(gaps) / max(sum(gaps), 1e-9), max_gap_s=max(gaps, default=0.0))
