"""Our figures beside those of NVIDIA's own runner, for the same engine and under the same conditions.

    measured ──► can it be? ──no──► why not
                    │ yes
                    ▼
                 trtexec on the board ──► its throughput ──► ours within BOUND of it? ──no──► the flag DISAGREES

What comes of it is kept with the trial. No figure changes by it, and no trial ends by it.

Throughputs are compared: both count batches by the clock on the wall, with all that the host does between them. Its
latency is kept beside, and not judged: it is the device's own, copies and computing, without what the host takes to
begin a batch and to hear of its end, which ours holds.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from explorer.derivation import VOID
from explorer.device import Built, Device
from explorer.device.replies import Ran
from explorer.errors import Infeasible, JobFailed, on_board
from explorer.result import Metric
from explorer.statistics import Measurement, derive

TRTEXEC = "trtexec"
DISAGREES = "trtexec-disagrees"
# Share of ours, beyond our own interval. Two runs under the same conditions differ by less: our loop takes 1.7 µs a
# batch of its own (measured on an EPYC, with a CUDA that does nothing), and trtexec calls itself unstable from a spread
# of 1 % on. What goes wrong shows as more: copies left out, no graph, other clocks, a unit that was not asked for.
BOUND = 0.10
LOAD_S = 120.0  # for trtexec to start and to load a plan, on a slow board
_COMPARED = ("throughput_ips", "latency_ms")


def verify(
    device: Device, built: Built, deployment: Mapping[str, Any], measurement: Measurement, plan: Mapping[str, Any]
) -> dict[str, Any]:
    """What trtexec makes of an engine that was just measured, as plain JSON: what it told and how ours compares, or
    "why_not".

    Args:
        device: the board.
        built: the engine.
        deployment: how it was run.
        measurement: ours.
        plan: by which ours was taken.

    Raises:
        DeviceLost: the board went away.
    """
    why_not = _not_to_be_asked(device, deployment)
    if why_not:
        return _not_verified(why_not)
    timeout_s = LOAD_S + plan["warmup_s"] + plan["budget_s"]
    try:
        ran = device.verify(built, deployment, plan, no_graph=_no_graph(measurement), timeout_s=timeout_s)
    except (Infeasible, JobFailed) as ending:
        return _not_verified(str(ending).removeprefix(on_board(device.name, "verify: ")))
    return judged(ran, derive(measurement, int(deployment.get("batch", 1)))[0])


def judged(ran: Ran, ours: Mapping[str, Metric]) -> dict[str, Any]:
    """How ours compares with what trtexec told, or why that cannot be said."""
    told = {
        "by": TRTEXEC,
        "version": ran.version,
        "command": shlex.join(ran.command),
        "conditions": dict(ran.conditions),
    }
    why_not = _why_worthless(ran)
    if why_not:
        return {**told, "why_not": why_not}
    theirs = ran.figures["throughput_ips"]
    ratio = {name: ours[name].value / ran.figures[name] for name in _COMPARED if ran.figures.get(name)}
    return {**told, **ran.figures, "ratio": ratio, "agrees": _agrees(ours["throughput_ips"], theirs)}


def doubts(verified: Mapping[str, Any]) -> tuple[str, ...]:
    """The flags that a trial gets by its verification."""
    return (DISAGREES,) if verified.get("agrees") is False else ()


def _not_verified(why_not: str) -> dict[str, Any]:
    return {"by": TRTEXEC, "why_not": why_not}


def _not_to_be_asked(device: Device, deployment: Mapping[str, Any]) -> str:
    runtime = str(deployment.get("runtime", ""))
    if runtime != "tensorrt":
        return f"trtexec runs engines of TensorRT, not of {runtime}"
    return "" if device.can_verify else "the board's agent is older than this program, and knows no verify"


def _no_graph(measurement: Measurement) -> str:
    """Why ours ran without CUDA graphs; empty where it ran with them, or nobody told."""
    entrants = measurement.header.get("entrants") or [{}]
    streams = entrants[0].get("runs", {}).get("streams", ())
    return next((told["no_graph"] for told in streams if told.get("no_graph")), "")


def _why_worthless(ran: Ran) -> str:
    """Why what it told is no figure to compare with; empty when it is one."""
    if not ran.passed or ran.exit:
        return f"trtexec ended with exit status {ran.exit}" + (f": {ran.why}" if ran.why else "")
    if not ran.figures.get("throughput_ips"):
        return "trtexec passed, but told no throughput"
    void = [flag for flag in ran.flags if flag in VOID]
    return f"void: {' and '.join(void)} while trtexec ran" if void else ""


def _agrees(ours: Metric, theirs: float) -> bool:
    low, high = (ours.value if edge is None else edge for edge in (ours.low, ours.high))
    return low * (1 - BOUND) <= theirs <= high * (1 + BOUND)
