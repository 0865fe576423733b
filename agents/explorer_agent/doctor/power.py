"""What the board's power and clocks are governed by: rails, meters, power mode, clocks, sudo."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, Sequence

from explorer_agent import board, jetson, rails
from explorer_agent.doctor.look import NOTE, OK, WARN, Finding, Look, answer_of, finding

SLOW_S = 1.0
WINDOWS = 5  # an energy wants a window of so many lags, and of 5 s at least
TOOL_S = 10
_TOOLS = {"nvpmodel": ["-q"], "jetson_clocks": ["--show"]}  # asked to tell, not to change


def sensors(look: Look) -> Iterator[Finding]:
    found = rails.rails(look.root)
    readings = {rail.name: rail.watts() for rail in found}
    if found:
        yield finding("rails", OK, ", ".join(f"{name} {_watts(watts)}" for name, watts in readings.items()))
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
    found_words = f"readings are {seconds:.2g} s behind at worst"
    found_words += f" (each the mean of {worst.samples})" if worst.samples else ""
    if seconds < SLOW_S:
        yield finding("lag", OK, found_words)
        return
    advice = f"measure energy for at least {max(5, WINDOWS * seconds):.0f} s a candidate (measure: budget_s)"
    because = f"power readings lag by up to {seconds:.1f} s"
    yield finding("lag", WARN, found_words, advice, because=because)


def meters(look: Look) -> Iterator[Finding]:
    found = {name: facts for name, facts in look.capabilities["meters"].items() if name != "declared"}
    usable = [name for name, facts in found.items() if facts["available"]]
    if usable:
        yield finding("meter", OK, f"{', '.join(usable)}: power and energy can be measured")
        return
    why_not = "; ".join(f"{name}: {facts['why_not']}" for name, facts in found.items())
    advice = "declare idle_w and busy_core_w in the board's file, and take energy for the estimate it then is"
    yield finding("meter", WARN, f"none can be read. {why_not}", advice, because="energy cannot be measured here")


def power_mode(look: Look) -> Iterator[Finding]:
    modes = jetson.power_modes(look.root)
    if modes is None:
        if look.jetson:
            yield finding("power mode", NOTE, "no /etc/nvpmodel.conf: which power modes there are is not told")
        return
    current = modes.current or _asked(look.root)
    others = [name for name in modes.names if name != current]
    if not current:
        found = f"which one is set is not told; there are {', '.join(modes.names)}"
        yield finding("power mode", NOTE, found, "sudo nvpmodel -q tells")
    else:
        yield finding("power mode", OK, f"{current}; there are also {', '.join(others) or 'no others'}")


def _asked(root: Path) -> str:
    """The mode's name as nvpmodel tells it; empty when it does not, or this is not about the running system."""
    _, told = answer_of(["nvpmodel", "-q"], within_s=TOOL_S) if root == Path("/") else (1, "")
    return next((line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("NV Power Mode:")), "")


def clocks(look: Look) -> Iterator[Finding]:
    cores = jetson.cpu_clocks(look.root)
    if not cores:
        yield finding("clocks", NOTE, "the processor's clock cannot be seen from here")
    else:
        governors = board.governors(look.root)
        steady = all(clock.locked for clock in cores) or governors == ["performance"]
        span = min(clock.low_mhz for clock in cores), max(clock.high_mhz for clock in cores)
        yield _clock("processor", *span, steady, f", governor {' and '.join(governors)}", look)
    for clock in jetson.gpu_clocks(look.root):
        yield _clock(f"GPU {clock.name}", clock.low_mhz, clock.high_mhz, clock.locked, "", look)


def _clock(what: str, low_mhz: float, high_mhz: float, steady: bool, more: str, look: Look) -> Finding:
    span = f"{low_mhz:.0f}" if low_mhz == high_mhz else f"{low_mhz:.0f} to {high_mhz:.0f}"
    if steady:
        return finding("clocks", OK, f"{what} held at {span} MHz{more}")
    tool = "jetson_clocks" if look.jetson else "cpupower frequency-set -g performance"
    until = ", which holds until the next start or change of power mode" if look.jetson else ""
    because = f"the clock of the {what.split()[0]} is free to move"
    return finding("clocks", WARN, f"{what} between {span} MHz{more}", f"sudo {tool}{until}", because=because)


def sudo(look: Look) -> Iterator[Finding]:
    """Whether the agent may set clocks and power mode: asked in a way that never asks for a password."""
    if not look.jetson or look.root != Path("/"):
        return
    if os.geteuid() == 0:
        yield finding("sudo", OK, "the agent runs as root, and may set clocks and power mode")
        return
    refused = [tool for tool, words in _TOOLS.items() if answer_of(["sudo", "-n", tool, *words], within_s=TOOL_S)[0]]
    if not refused:
        yield finding("sudo", OK, "clocks and power mode may be set without a password")
        return
    advice = "set them by hand before a run, or allow it: agents/README.md, sudoers"
    yield finding("sudo", NOTE, f"{' and '.join(refused)} cannot be run without a password", advice)
