"""A measurement: raw latencies, edges and CPU time; everything derived from them is the host's business.

     idle   load   first   warm-up       windows             others: load …   rounds          arrival     idle
    ├─────┼──────┼───────┼───────────┼─────┬─────┬─────┼──────────────────┼──┬──┬──┬──┬──┼────────────┼──────┤
     where a               ends when   back to back until                   interleaved,     where it is
     meter sees it         no trend    the interval is                      until the        asked for
                           is left     tight or the                         ratio is tight
                                       budget spent
    ▲─────────── meter and board's state are read throughout, by a process of their own ────────────────────▲

Cooling down, and the power mode, come before: the agent sees to them. Without a budget there are no windows, only
rounds: a race.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Sequence

from explorer_agent import conditions
from explorer_agent.measuring import arrivals, lagging, sharing, verdict
from explorer_agent.measuring.bench import Bench
from explorer_agent.measuring.lanes import NS, Lanes, Step, Window
from explorer_agent.measuring.rounds import Block, run_rounds
from explorer_agent.measuring.steady import warm_up
from explorer_agent.measuring.windows import Tell, run_windows
from explorer_agent.messages import UNSUPPORTED, AgentError, Deployment, Plan
from explorer_agent.meters import Meter
from explorer_agent.sampling import Watch, of_meter


@dataclass(frozen=True)
class Entrant:
    """An engine that takes part.

    `load` gives one function for each inference that may be in flight, all of which may run at the same time; `told`,
    what the loaded engine says of how it runs.
    """

    load: Callable[[], Sequence[Step]]
    deployment: Deployment = field(default_factory=Deployment)
    engine: str = ""  # sha256
    told: Callable[[], Mapping[str, Any]] = dict


@dataclass
class _Taken:
    """All that was seen, as it came."""

    facts: list[dict[str, Any]] = field(default_factory=list)  # of each entrant
    idle: Sequence[float] = ()
    idle_after: Sequence[float] = ()
    windows: Sequence[Window] = ()
    half_width: float = 0.0
    blocks: Sequence[Block] = ()
    levels: Sequence[arrivals.Level] = ()
    sharing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    share: verdict.Share = field(default_factory=lambda: verdict.Share(None, 0.0, None))


def measure(
    entrants: Sequence[Entrant],
    plan: Plan,
    meter: Meter | None,
    *,
    tell: Tell,
    clocks: str = "leave",
    bench: Bench | None = None,
) -> tuple[dict[str, Any], dict[str, array[float]]]:
    """Load engines, warm them up and measure them.

    Args:
        entrants: the engine that is asked for, and those beside it.
        plan: what, and how long.
        meter: read throughout if it measures; None for no power at all.
        tell: hears the share of the budget that is spent.
        clocks: how they are meant to be: "lock" or "leave".
        bench: where; this board, unless said otherwise.

    Returns:
        The header (facts, flags) and the raw series, seconds and joules or watts as float64.

    Raises:
        AgentError: unsupported: the plan has neither windows nor rounds.
    """
    if not plan.budget_s and not plan.rounds:
        raise AgentError(UNSUPPORTED, "a plan with neither a budget for windows nor rounds measures nothing")
    bench = bench or Bench()
    before, probes = bench.state(), [bench.probe()]
    settle_s = None  # nobody would see an idle stretch
    if meter is not None and meter.quantity != "model":
        probes, told = [*probes, of_meter(meter)], meter.facts()
        plan, settle_s = lagging.long_enough(plan, meter, told), lagging.settle_s(told)
    with bench.watched(probes, threads=_threads(entrants)) as watch:
        taken = _take(entrants, plan, tell, bench, settle_s=settle_s)
    series = _series(taken, watch)
    after = bench.state()
    doubts = [*_doubts(taken, plan), *conditions.flags(before, after, series, clocks)]
    header = dict(_facts(taken, watch), flags=doubts, board_before=before, board_after=after, plan=vars(plan))
    return dict(header, streams=entrants[0].deployment.streams, **bench.facts()), series


def _take(entrants: Sequence[Entrant], plan: Plan, tell: Tell, bench: Bench, *, settle_s: float | None) -> _Taken:
    taken = _Taken()
    taken.idle = _pause(plan, settle_s, bench)
    lanes = [_ready(entrants[0], plan, taken, bench)]
    watcher = bench.watcher()
    if plan.budget_s:
        taken.windows, taken.half_width = run_windows(lanes[0], plan, tell)
        taken.share = watcher.share()
        taken.sharing = _sharing(lanes[0], plan, taken.facts[0]["runs"], bench)
    if plan.rounds:
        lanes += [_ready(entrant, plan, taken, bench) for entrant in entrants[1:]]
        watcher = bench.watcher()
        taken.blocks = run_rounds(lanes, [entrant.engine for entrant in entrants], plan, tell)
        taken.share = taken.share if taken.windows else watcher.share()
    if plan.rate_hz and taken.windows:
        taken.levels = _arrivals(lanes[0], plan, entrants[0].deployment.batch, taken.windows, bench)
    taken.idle_after = _pause(plan, settle_s, bench)
    return taken


def _ready(entrant: Entrant, plan: Plan, taken: _Taken, bench: Bench) -> Lanes:
    """Load an engine and warm it up."""
    started = bench.now_s()
    steps = entrant.load()
    loaded = bench.now_s()
    for step in steps:
        step()
    first = bench.now_s()
    lanes = bench.lanes(steps)
    steady = warm_up(lanes, plan)
    facts = {"engine": entrant.engine, "deployment": vars(entrant.deployment), "steady": steady}
    facts["runs"] = dict(entrant.told())
    taken.facts.append(dict(facts, load_s=loaded - started, first_s=(first - loaded) / len(steps)))
    return lanes


def _sharing(lanes: Lanes, plan: Plan, runs: Mapping[str, Any], bench: Bench) -> dict[str, dict[str, float]]:
    """What the units of the first engine cost each other, if there are several."""
    names = sharing.units(runs, len(lanes.steps))
    return sharing.sharing(lanes.steps, names, int(plan.window_s * NS), lanes=bench.lanes) if names else {}


def _arrivals(lanes: Lanes, plan: Plan, batch: int, windows: Sequence[Window], bench: Bench) -> list[arrivals.Level]:
    inferences = sum(len(window.latencies) for window in windows)
    seconds = sum(window.end - window.start for window in windows) / NS
    return arrivals.search(lanes, plan, batch, inferences * batch / seconds, level=bench.level)


def _pause(plan: Plan, settle_s: float | None, bench: Bench) -> tuple[float, float]:
    """The edges of a stretch in which nothing runs, from when the meter's readings have forgotten what did."""
    waits = settle_s is not None and plan.idle_s > 0
    bench.wait((settle_s or 0.0) if waits else 0.0)
    start = bench.now_s()
    bench.wait(plan.idle_s if waits else 0.0)
    return start, bench.now_s()


def _threads(entrants: Sequence[Entrant]) -> int:
    """How many cores are kept busy; 0 for all."""
    asked = [entrant.deployment.threads * entrant.deployment.streams for entrant in entrants]
    return max(asked) if all(asked) else 0


def _doubts(taken: _Taken, plan: Plan) -> list[str]:
    rounds = taken.blocks[-1].round + 1 if taken.blocks else 0
    return [
        *(() if all(facts["steady"] for facts in taken.facts) else ("warmup-not-steady",)),
        *verdict.engine_flags(taken.facts[0]["runs"]),
        *verdict.flags(taken.windows, taken.half_width, taken.share, plan),
        *verdict.race_flags(rounds, plan),
        *verdict.arrival_flags(taken.levels, plan),
    ]


def _facts(taken: _Taken, watch: Watch) -> dict[str, Any]:
    meter = watch.facts.get("meter", {})
    return {
        "load_s": taken.facts[0]["load_s"],
        "first_s": taken.facts[0]["first_s"],
        "entrants": taken.facts,
        "sharing": taken.sharing,
        "windows": len(taken.windows),
        "relative_half_width": min(taken.half_width, 1e9),
        "others_busy_cores": taken.share.others,
        "own_busy_cores": taken.share.own,
        "waited_cores": taken.share.waited,
        "state": {"names": list(conditions.NAMES)},
        "sampling": watch.facts,
        "sampler_cpu_s": sum(facts["cpu_s"] for facts in watch.facts.values()),
        "sampler_failure": meter.get("failure", ""),
    }


def _series(taken: _Taken, watch: Watch) -> dict[str, array[float]]:
    windows, blocks = taken.windows, [block.window for block in taken.blocks]
    series = dict(_of_windows("window", windows), latency_s=_all(window.latencies for window in windows))
    if taken.blocks:
        series.update(_of_windows("block", blocks), block_latency_s=_all(window.latencies for window in blocks))
        series["block_round"] = array("d", (block.round for block in taken.blocks))
        series["block_entrant"] = array("d", (block.entrant for block in taken.blocks))
    if taken.levels:
        series["arrival_subjects"] = array("d", (level.subjects for level in taken.levels))
        series["arrival_seconds"] = array("d", (level.seconds for level in taken.levels))
        series["arrival_count"] = array("d", (len(level.latencies) for level in taken.levels))
        series["arrival_latency_s"] = _all(level.latencies for level in taken.levels)
    if "meter" in watch.facts:
        series.update(idle_s=array("d", taken.idle), idle_after_s=array("d", taken.idle_after))
    series.update(watch.series)
    return series


def _of_windows(name: str, windows: Sequence[Window]) -> dict[str, array[float]]:
    return {
        f"{name}_start_s": array("d", (window.start / NS for window in windows)),
        f"{name}_end_s": array("d", (window.end / NS for window in windows)),
        f"{name}_count": array("d", (len(window.latencies) for window in windows)),
        f"{name}_cpu_s": array("d", (window.cpu / NS for window in windows)),
    }


def _all(stretches: Any) -> array[float]:
    """Latencies in ns, stretch by stretch, as seconds."""
    return array("d", (ns / NS for stretch in stretches for ns in stretch))
