"""What the board's power and clocks are governed by: rails, meters, power mode, clocks, sudo."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from explorer_agent import board, jetson, rails, sysfs, undo
from explorer_agent.clocks import LEFT, LOCKED, Domain
from explorer_agent.clocks import found as found_clocks
from explorer_agent.doctor.look import NOTE, OK, WARN, Finding, Look, answer_of, finding

SLOW_S = 1.0
WINDOWS = 5  # an energy wants a window of so many lags, and of 5 s at least
TOOL_S = 10
_TOOLS = {"nvpmodel": ["-q"], "jetson_clocks": ["--show"]}  # asked to tell, not to change


def sensors(look: Look) -> Iterator[Finding]:
    found = rails.rails(look.root)
    readings = {rail.name: rail.watts() for rail in found}
    if found:
        yield finding(
            "rails", OK, "supply lines now: " + ", ".join(f"{name} {_watts(watts)}" for name, watts in readings.items())
        )
        yield from _total(rails.totals(found), readings)
        yield from _lag(rails.lags(look.root))
    elif look.jetson:
        advice = "look below /sys/class/hwmon; a container needs /sys mounted"
        yield finding("rails", WARN, "no power sensor (ina3221, ina238) found", advice)


def _watts(watts: float | None) -> str:
    return "no reading" if watts is None else f"{watts:.2f} W"


def _total(found: Sequence[rails.Total], readings: dict[str, float | None]) -> Iterator[Finding]:
    if not found:
        yield finding("total", NOTE, "none: these rails are unknown here, each is kept for itself")
        return
    first, *others = found
    told = f"{_watts(first.watts(readings))}, {first.means} (policy {first.policy})"
    yield finding("total", OK, told)
    if first.doubt:
        other = others[0]
        yield finding("total", NOTE, f"in doubt: {first.doubt}; {other.policy} says {_watts(other.watts(readings))}")


def _lag(found: Sequence[rails.Lag]) -> Iterator[Finding]:
    known = [lag for lag in found if lag.seconds is not None]
    if not known:
        yield finding("lag", NOTE, "how far the sensors' readings lag behind is not told")
        return
    worst = max(known, key=lambda lag: lag.seconds or 0)
    seconds = worst.seconds or 0
    mean = f" (each is a mean of {worst.samples} samples)" if worst.samples and worst.samples > 1 else ""
    if seconds < SLOW_S:
        yield finding("lag", OK, f"readings are up to {seconds * 1000:.0f} ms old{mean}")
        return
    advice = f"measure each candidate for {max(5, WINDOWS * seconds):.0f} s or more: budget_s in the space file"
    because = f"power readings lag by up to {seconds:.1f} s"
    yield finding("lag", WARN, f"readings are up to {seconds:.1f} s old{mean}", advice, because=because)


def meters(look: Look) -> Iterator[Finding]:
    """Which meter a run takes, by its placement, and why not those that are asked before it."""
    found = {name: facts for name, facts in look.capabilities["meters"].items() if name != "declared"}
    usable = [name for name, facts in found.items() if facts["available"]]
    why_not = "; ".join(f"{name}: {facts['why_not']}" for name, facts in found.items() if not facts["available"])
    everywhere = [name for name in usable if not found[name].get("units")]
    if usable:
        taken = [_taken(name, found[name]) for name in usable if name not in everywhere[1:]]
        yield finding("meter", OK, "; ".join([*taken, *(f"{name} by its name" for name in everywhere[1:])]))
        if why_not:
            yield finding("meter", NOTE, f"passed over: {why_not}")
    if everywhere:
        return
    advice = "take energy for an estimate: from idle_w and busy_core_w, which the board's file declares"
    if usable:
        on = " or ".join(found[usable[0]]["units"])
        yield finding("meter", NOTE, f"none for what does not run on {on}", advice)
        return
    because = "no power meter can be used, so energy cannot be measured"
    yield finding("meter", WARN, f"none that can be used; {why_not}", advice, because=because)


def _taken(name: str, facts: Mapping[str, Any]) -> str:
    on = " or ".join(facts.get("units", ()))
    lag_s = facts.get("lag_s", 0.0)
    told = [f"total {facts['policy']}"] if facts.get("policy") else []
    told += [f"up to {lag_s:.1f} s late"] if lag_s >= SLOW_S else []
    return f"{name} is taken{' for what runs on ' + on if on else ''}" + (f" ({', '.join(told)})" if told else "")


def power_mode(look: Look) -> Iterator[Finding]:
    modes = jetson.power_modes(look.root)
    if modes is None:
        if look.jetson:
            yield finding("power mode", NOTE, "no /etc/nvpmodel.conf: which power modes there are is not told")
        return
    current = modes.current or _asked(look.root)
    if not current:
        found = f"which one is set is not told; there are {', '.join(modes.names)}"
        yield finding("power mode", NOTE, found, "ask on the board: sudo nvpmodel -q")
    else:
        yield finding("power mode", OK, f"{current}, of {', '.join(modes.names)}")
    lasting = look.capabilities.get("power_mode", {}).get("lasting", "")
    if lasting:
        yield finding("power mode", NOTE, lasting, "set it by hand to have it back: sudo nvpmodel -m")


def _asked(root: Path) -> str:
    """The mode's name as nvpmodel tells it; empty when it does not."""
    _, told = answer_of([undo.tool("nvpmodel", root), "-q"], within_s=TOOL_S)
    return next((line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("NV Power Mode:")), "")


def clocks(look: Look) -> Iterator[Finding]:
    domains = found_clocks(look.root)
    processors = [domain for domain in domains if domain.name.startswith(("cpu", "policy"))]
    governors = board.governors(look.root)
    if processors:
        yield _clock("processor", processors, governors, look)
    else:
        yield finding("clocks", NOTE, "the processor's clock cannot be seen from here")
    graphics = [domain for domain in domains if domain not in processors]
    if graphics:
        yield _clock("GPU", graphics, [], look)
    report = look.capabilities.get("clocks", {"state": LEFT})
    if report["state"] == LOCKED:
        yield finding("clocks", OK, "held by the agent while it serves; put back after it")
    elif report["state"] != LEFT:
        yield finding("clocks", NOTE, f"clocks: lock was asked for, but came out as {report['state']}: {report['why']}")


def _clock(what: str, domains: Sequence[Domain], governors: Sequence[str], look: Look) -> Finding:
    low, high = ([sysfs.number(getattr(domain, end)) or 0 for domain in domains] for end in ("low", "high"))
    mega = 1e3 if what == "processor" else 1e6  # cpufreq counts in kHz, devfreq in Hz
    names = f" ({' and '.join(governors)})" if governors else ""
    if low == high:
        return finding("clocks", OK, f"{what} held at {max(high) / mega:.0f} MHz{names}")
    tool = "jetson_clocks" if look.jetson else "cpupower frequency-set -g performance"
    advice = f"clocks: lock in the board's file, or by hand: sudo {tool}"
    span = f"{what} free between {min(low) / mega:.0f} and {max(high) / mega:.0f} MHz{names}"
    return finding("clocks", WARN, span, advice, because=f"the {what}'s clock is free to move")


def sudo(look: Look) -> Iterator[Finding]:
    """Whether the agent may set clocks and power mode: asked in a way that never asks for a password."""
    there = {name: path for name in _TOOLS for path in [undo.tool(name, look.root)] if path}
    if not there:
        return
    if os.geteuid() == 0:
        yield finding("sudo", OK, "the agent runs as root: it may set clocks and power mode")
        return
    asked = {name: [undo.tool("sudo", look.root), "-n", path, *_TOOLS[name]] for name, path in there.items()}
    refused = [name for name, command in asked.items() if answer_of(command, within_s=TOOL_S)[0]]
    if refused:
        found = f"without a password the agent may not use {' and '.join(refused)}"
        yield finding("sudo", NOTE, found, "set clocks and power mode by hand, or see Clocks in agents/README.md")
    else:
        yield finding("sudo", OK, f"the agent may use {' and '.join(asked)} without a password")
