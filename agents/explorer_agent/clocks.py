"""Clocks held still while there is measuring, and let go however it ends.

    earlier agent's leftovers undone ──► watchdog ──► old values on disk ──► lock ──► serve … ──► undone, read back

`lock` lets the processors and the GPU run at the highest frequency that the power mode allows, and only at that one:
by jetson_clocks where there is one (memory and power gating too), and by cpufreq and devfreq of /sys for the rest. What
could not be locked is said, never assumed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

from explorer_agent import jetson, sysfs, undo
from explorer_agent.lock import Lock
from explorer_agent.messages import AgentError
from explorer_agent.undo import Journal, read
from explorer_agent.watchdog import Watchdog

CHOICES = ("lock", "leave")
LOCKED, PARTLY, LEFT, NOT_PERMITTED = "locked", "partly", "left", "not permitted"
PUSH_S = 10.0  # how often the watchdog is told to wait; waking it costs the measured board
RESTORE_WAIT_S = 5.0
ADVICE = "agents/README.md of explorer says how the agent's account may be allowed to"


@dataclass(frozen=True)
class Domain:
    """Processors or a GPU that share a clock."""

    name: str
    low: Path
    high: Path
    governor: Path | None = None

    @property
    def knobs(self) -> list[Path]:
        """What locking turns, in the order it does."""
        return [knob for knob in (self.low, self.governor) if knob is not None]

    def locked(self) -> bool:
        return _now(self.low) == _now(self.high) != ""

    def lock(self) -> None:
        """Leave no choice: the lowest frequency is the highest that is allowed now, be it less than the chip's."""
        self.low.write_text(read(self.high), encoding="ascii")
        if self.governor is not None:
            self.governor.write_text("performance", encoding="ascii")


class Held:
    """The board's settings, for as long as this process holds them; `report` says how they are."""

    def __init__(self, home: Path, root: Path) -> None:
        self._home, self._root = home, root
        self._by = os.urandom(8).hex()
        self._journal = Journal(home, root=root, by=self._by)
        self._watchdog: Watchdog | None = None
        self._busy = threading.Lock()
        self._pushed_s = float("-inf")
        self.report = _report(LEFT, "nobody asked for them to be locked", [])

    def at_most(self, seconds: float) -> None:
        """Have all put back in `seconds` unless this is called again before, even if this process hangs; any thread
        may call it, and often: all but one call in PUSH_S do nothing.
        """
        with self._busy:
            if self._watchdog is None or time.monotonic() < self._pushed_s + PUSH_S:
                return
            self._pushed_s = time.monotonic()
            if not self._watchdog.at_most(seconds) and self._journal.pending():
                self._watchdog.close()
                with contextlib.suppress(OSError):  # it was killed; without another the next agent puts back
                    self._watchdog = Watchdog(self._home, root=self._root, by=self._by)
                    self._watchdog.at_most(seconds)

    def lock(self) -> dict[str, Any]:
        """Lock what can be; what came of it."""
        try:
            domains = found(self._root)
            if not domains:
                return _report(LEFT, "this board shows no clock that could be set", [])
            before = [undo.writing(knob, self._root) for domain in domains for knob in domain.knobs]
            self._watchdog = Watchdog(self._home, root=self._root, by=self._by)
            self._journal.promise(before)
        except (OSError, ValueError) as error:  # what could not be put back later is not touched
            return _report(LEFT, f"not locked, as it could not be put back later: {error}", [])
        failed = self._jetson_clocks()
        for domain in domains:
            try:
                if not domain.locked():
                    domain.lock()
            except OSError as error:
                failed.append(error)
        return _outcome(domains, before, failed)

    def close(self) -> None:
        """Put everything back."""
        with self._busy:
            if self._watchdog is not None:
                self._watchdog.close()
            self._watchdog = None
        _tell(self._journal.undo(own=True))  # done already, unless the watchdog was killed

    def _jetson_clocks(self) -> list[OSError]:
        if not undo.tool("jetson_clocks", self._root):
            return []
        try:
            # It asks before it overwrites; what an earlier run stored has been restored, or is from before a reboot.
            self._journal.run("jetson_clocks", "--store", str(self._root / undo.STORED_CLOCKS), agree=True)
            self._journal.promise([{"do": "jetson_clocks"}])
            self._journal.run("jetson_clocks")
        except OSError as error:
            return [error]
        return []


@contextlib.contextmanager
def board_settings(home: Path, *, clocks: str = "leave", root: Path = sysfs.ROOT) -> Iterator[Held]:
    """Undo what an earlier agent left, set the clocks, and put them back in the end; the caller holds the home's lock.

    Yields:
        Held, whose `report` is the hello's ``capabilities["clocks"]``: {"state": locked, partly, left or not
        permitted; "why"; "changed": in words}.
    """
    held = Held(home, root)
    try:
        failed = _tell(Journal(home, root=root).undo()).failed
        if failed:  # how the board was is not known for sure, so it is changed no further
            words = "an earlier agent's settings could not be put back: {} ({} is to be deleted once they are right)"
            held.report = _report(LEFT, words.format("; ".join(failed), home / "undo.jsonl"), [])
        elif clocks == "lock":
            held.report = held.lock()
        yield held
    finally:
        held.close()


def restore(home: Path, *, root: Path = sysfs.ROOT) -> int:
    """Put back by hand what an agent that was killed, and its watchdog with it, left; returns the exit status."""
    if not home.is_dir():
        print(f"nothing to put back: there is no {home}")
        return 0
    try:
        with Lock(home / "lock", wait_s=RESTORE_WAIT_S):
            undone = _tell(Journal(home, root=root).undo())
    except AgentError as error:  # an agent is at work, and puts back itself what it changed
        print(error, file=sys.stderr)
        return 3
    except OSError as error:
        print(f"cannot restore from {home}: {error}", file=sys.stderr)
        return 1
    print("\n".join(undone.done) or ("nothing was put back" if undone.failed else "nothing to put back"))
    return 1 if undone.failed else 0


def found(root: Path = sysfs.ROOT) -> list[Domain]:
    """The clocks that /sys shows, each once: processors often share one, and devfreq has several names."""
    folders = {os.path.realpath(path): path for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq")}
    domains = [_processors(Path(real)) for real in sorted(folders)]
    domains += [Domain(gpu.name, gpu / "min_freq", gpu / "max_freq") for gpu in jetson.gpus(root)]
    return [domain for domain in domains if domain.low.exists() and domain.high.exists()]


def loose(root: Path = sysfs.ROOT) -> list[str] | None:
    """The clocks that are free to move; None where none can be seen."""
    domains = found(root)
    return [domain.name for domain in domains if not domain.locked()] if domains else None


def held_at(root: Path = sysfs.ROOT) -> dict[str, int]:
    """Where the clocks that cannot move are, of a Jetson: kHz of its slowest processor, Hz of its fastest GPU. Other
    boards' clocks are read as what they were on average, and rise above their limits.
    """
    if not jetson.facts(root):
        return {}
    locked = [domain for domain in found(root) if domain.locked()]
    gpus = [int(_now(domain.low)) for domain in locked if domain.low.name == "min_freq"]
    processors = [int(_now(domain.low)) for domain in locked if domain.low.name == "scaling_min_freq"]
    return {**({"cpu_khz_min": min(processors)} if processors else {}), **({"gpu_hz": max(gpus)} if gpus else {})}


def _processors(folder: Path) -> Domain:
    name = folder.name if folder.name != "cpufreq" else folder.parent.name
    governor, choice = folder / "scaling_governor", folder / "scaling_available_governors"
    # "userspace" has been pinned by somebody, and would forget to what
    settable = "performance" in _now(choice).split() and _now(governor) != "userspace"
    return Domain(name, folder / "scaling_min_freq", folder / "scaling_max_freq", governor if settable else None)


def _outcome(domains: list[Domain], before: list[undo.Entry], failed: list[OSError]) -> dict[str, Any]:
    """What is so now, read back."""
    now = [_now(knob) for domain in domains for knob in domain.knobs]
    changed = ["{path}: {text} to {}".format(new, **old) for old, new in zip(before, now) if old["text"] != new]
    free = [domain.name for domain in domains if not domain.locked()]
    words = ["not locked: " + ", ".join(free)] if free else []
    why = "; ".join(dict.fromkeys(words + [str(error) for error in failed]))
    if not free and not failed:
        return _report(LOCKED, "", changed)
    if changed or len(free) < len(domains):
        return _report(PARTLY, why, changed)
    refused = any(isinstance(error, PermissionError) for error in failed)
    return _report(NOT_PERMITTED, f"{why}; {ADVICE}", []) if refused else _report(LEFT, why, [])


def _now(knob: Path) -> str:
    try:
        return read(knob)
    except OSError:  # there is none, or its processor is switched off
        return ""


def _report(state: str, why: str, changed: list[str]) -> dict[str, Any]:
    return {"state": state, "why": why, "changed": changed}


def _tell(undone: undo.Undone) -> undo.Undone:
    for words in undone.failed:
        print(f"not put back: {words}", file=sys.stderr)
    return undone
