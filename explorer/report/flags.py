"""What a flag on a trial means, and what to do about it: the vocabulary of doubt, in sentences.

A *void* trial is no number at all: the board cools down, the measurement is tried once more, and then the trial is
recorded as failed with its reason. Every other flag leaves the number standing, marked ``!``, and its reason is told
wherever the number is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

VOID_REASON = "void:"  # how the reason of a void trial begins


class Doubt(NamedTuple):
    """What was seen, and what to do about it."""

    meaning: str
    advice: str

    def __str__(self) -> str:
        return f"{self.meaning}; {self.advice}"


_LONGER = "measure for longer (measure: budget_s)"
_ALONE = "leave the device to the measurement"

VOID: Mapping[str, Doubt] = {
    "throttled": Doubt("the board slowed itself down meanwhile", "cool it better, or choose a lower power mode"),
    "clocks-moved": Doubt(
        "its clocks or its power mode did not stay as they were set",
        "see what else sets them: a desktop, a fan service",
    ),
}

DOUBTS: Mapping[str, Doubt] = {
    "warmup-not-steady": Doubt("it was still changing when the warm-up had to end", "raise measure: warmup_s"),
    "unstable": Doubt(
        "its interval is wider than was asked for",
        "measure for longer (measure: budget_s), or ask for less (relative_interval)",
    ),
    "disturbed": Doubt("other programs used the processor meanwhile", _ALONE),
    "starved": Doubt("other programs kept the processor from it for more than half of what it needed", _ALONE),
    "drifting": Doubt(
        "it became steadily faster or slower while it was measured", "raise measure: warmup_s, or cool the board better"
    ),
    "too-short": Doubt("fewer than two windows, or than eight inferences", _LONGER),
    "few-independent-samples": Doubt(
        "its inferences follow each other too closely to say how sure the interval is", _LONGER
    ),
    "over-current": Doubt(
        "the board drew more than its limit and held its clocks back for moments",
        "use a stronger supply, or choose a lower power mode",
    ),
    "clocks-not-locked": Doubt(
        "the clocks were free to move", "device_options: {clocks: lock}; agents/README.md says what it needs"
    ),
    "too-warm": Doubt(
        "the board was still hot after the time for cooling down", "raise measure: cooldown_s, or cool it better"
    ),
    "swapping": Doubt("the board moved memory to its swap meanwhile", "free memory, or choose a smaller batch"),
    "desktop-running": Doubt(
        "a desktop ran on the board and shared its GPU", "stop it: sudo systemctl isolate multi-user.target"
    ),
    "someone-on-the-gpu": Doubt("another program was using the GPU", _ALONE),
    "few-power-readings": Doubt("too few power readings for a sure mean", _LONGER),
    "no-idle-baseline": Doubt(
        "the idle power is unknown, so there is no net energy", "give it time to be idle (measure: idle_s)"
    ),
    "rail-missing": Doubt(
        "a power rail gave no reading, so what needs it is missing", "'explorer agent check' names the rail"
    ),
    "power-lags": Doubt(
        "shorter than five lags of the power sensor, which still showed what was before",
        "raise measure: window_s or budget_s",
    ),
    "meter-failed": Doubt("the power meter broke off", "the trial's raw file has its words"),
    "no-meter": Doubt("nothing measured power", "'explorer agent check' says why not"),
    "no-reference": Doubt(
        "the reference engine was not measured beside it, so drift is neither seen nor cancelled",
        "what the run said tells why",
    ),
    "out-of-control": Doubt(
        "the reference engine beside it lay beyond its control limits", "see the control chart, and what changed"
    ),
    "trtexec-disagrees": Doubt(
        "trtexec runs the same engine faster or slower by more than a tenth",
        "run its command by hand: the record has it, and its conditions (verified)",
    ),
    "no-cuda-graph": Doubt(
        "no CUDA graph could be made of it, so the CPU starts each of its kernels by itself",
        "the trial's raw file has CUDA's words",
    ),
    "arrival-too-short": Doubt("too few batches to judge fixed arrival", _LONGER),
    "fewer-queries": Doubt("fewer inferences than the percentile that is asked for needs", _LONGER),
}


def explain(flag: str) -> str:
    """A flag's sentence; empty for a flag that a newer version, or a plug-in, has set."""
    found = DOUBTS.get(flag) or VOID.get(flag)
    return str(found) if found else ""


def meaning(flag: str) -> str:
    """What was seen, without what to do about it; empty for a flag that is not known here."""
    found = DOUBTS.get(flag) or VOID.get(flag)
    return found.meaning if found else ""


def is_void(reason: str) -> bool:
    """Whether a failed trial was measured, but under conditions that make its numbers worthless."""
    return reason.startswith(VOID_REASON)


def with_reasons(flags: Iterable[str]) -> str:
    """``disturbed (other programs used the processor meanwhile), unstable (…)``, without the advice."""
    return ", ".join(f"{flag} ({meaning(flag)})" if meaning(flag) else flag for flag in flags)
