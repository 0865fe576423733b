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
NEAR = 0.05  # a clock is where it is locked when it reads so near to it; Tegra's counters are 1 % off
STAYS_S = 1.0  # so long one may take to get there
ADVICE = "agents/README.md of explorer says how the agent's account may be allowed to"


@dataclass(frozen=True)
class Domain:
    """Processors or a GPU that share a clock."""

    name: str
    low: Path
    high: Path
    now: Path
    governor: Path | None = None

    @property
    def knobs(self) -> list[Path]:
        """What locking turns, in the order it does."""
        return [knob for knob in (self.low, self.governor) if knob is not None]

    def locked(self) -> bool:
        return _now(self.low) == _now(self.high) != ""

    def stays(self) -> bool:
        """Whether it is where it is locked, as far as it tells; a GPU that sleeps reads 0."""
        at, now = (float(_now(file) or 0) for file in (self.low, self.now))
        return not now or abs(now - at) <= NEAR * at

    def lock(self) -> None:
        """Leave no choice: the lowest frequency is the highest that is allowed now, be it less than the chip's."""
        self.low.write_text(read(self.high), encoding="ascii")
        if self.governor is not None:
            self.governor.write_text("performance", encoding="ascii")


class Held:
    """The board's settings, for as long as this process holds them; `report` says how its clocks are, `asked` whether
    they are to be locked.
    """

    def __init__(self, home: Path, root: Path, asked: str = "leave") -> None:
        self._home, self._root = home, root
        self._by = os.urandom(8).hex()
        self._watchdog: Watchdog | None = None
        self._busy = threading.Lock()
        self._pushed_s = float("-inf")
        self._secured = False
        self._before: dict[Path, undo.Entry] = {}
        self._stored: list[OSError] = []  # why jetson_clocks could not tell how it is
        self.journal = Journal(home, root=root, by=self._by)
        self.asked = asked
        self.untouchable = ""  # why nothing may be changed
        self.report = _report(LEFT, "nobody asked for them to be locked", [])

    def at_most(self, seconds: float) -> None:
        """Have all put back in `seconds` unless this is called again before, even if this process hangs; any thread
        may call it, and often: all but one call in PUSH_S do nothing.
        """
        with self._busy:
            if self._watchdog is None or time.monotonic() < self._pushed_s + PUSH_S:
                return
            self._pushed_s = time.monotonic()
            if not self._watchdog.at_most(seconds) and self.journal.pending():
                self._watchdog.close()
                with contextlib.suppress(OSError):  # it was killed; without another the next agent puts back
                    self._watchdog = Watchdog(self._home, root=self._root, by=self._by)
                    self._watchdog.at_most(seconds)

    def secure(self) -> list[Domain]:
        """The board's clocks, each of which may be changed from now on: a watchdog stands, and how they are is on disk.

        Raises:
            OSError, ValueError: what could not be put back later is not touched.
        """
        if self.untouchable:
            raise OSError(self.untouchable)
        domains = found(self._root)
        knobs = [knob for domain in domains for knob in domain.knobs if knob not in self._before]
        before = {knob: undo.writing(knob, self._root) for knob in knobs}
        with self._busy:
            self._watchdog = self._watchdog or Watchdog(self._home, root=self._root, by=self._by)
        self.journal.promise(list(before.values()))
        self._before.update(before)
        if not self._secured:
            self._secured = True
            self._stored = self._store()
        return domains

    def lock(self) -> None:
        """Lock what can be, if that was asked for; `report` is what came of it."""
        if self.asked != "lock":
            return
        try:
            if not found(self._root):
                self.report = _report(LEFT, "this board shows no clock that could be set", [])
                return
            domains = self.secure()
        except (OSError, ValueError) as error:
            self.report = _report(LEFT, f"not locked, as it could not be put back later: {error}", [])
            return
        failed = self._jetson_clocks()
        for domain in domains:
            try:
                if not domain.locked():
                    domain.lock()
            except OSError as error:
                failed.append(error)
        before = [self._before[knob] for domain in domains for knob in domain.knobs]
        self.report = _outcome(domains, before, failed, self._root)

    def lock_again(self) -> None:
        """Lock what has been let go by somebody else meanwhile: nvpmodel undoes jetson_clocks without a word."""
        if self.report["state"] == LOCKED and loose(self._root):
            self.lock()

    def close(self) -> None:
        """Put everything back."""
        with self._busy:
            if self._watchdog is not None:
                self._watchdog.close()
            self._watchdog = None
        _tell(self.journal.undo(own=True))  # done already, unless the watchdog was killed

    def _store(self) -> list[OSError]:
        """Have jetson_clocks write down how all it turns is: once, in the mode that will be gone back to before this is
        put back.
        """
        if not undo.tool("jetson_clocks", self._root):
            return []
        try:
            # It asks before it overwrites; what an earlier run stored has been restored, or is from before a reboot.
            self.journal.run("jetson_clocks", "--store", str(self._root / undo.STORED_CLOCKS), answer=b"y\n")
            self.journal.promise([{"do": "jetson_clocks"}])
        except OSError as error:
            return [error]
        return []

    def _jetson_clocks(self) -> list[OSError]:
        if self._stored or not undo.tool("jetson_clocks", self._root):
            return list(self._stored)
        try:
            self.journal.run("jetson_clocks")
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
    held = Held(home, root, clocks)
    try:
        failed = _tell(Journal(home, root=root).undo()).failed
        if failed:  # how the board was is not known for sure, so it is changed no further
            words = "an earlier agent's settings could not be put back: {} ({} is to be deleted once they are right)"
            held.untouchable = words.format("; ".join(failed), home / "undo.jsonl")
            held.report = _report(LEFT, held.untouchable, [])
        else:
            held.lock()
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
    domains += [Domain(gpu.name, gpu / "min_freq", gpu / "max_freq", gpu / "cur_freq") for gpu in jetson.gpus(root)]
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
    low, high, now = (folder / f"scaling_{which}_freq" for which in ("min", "max", "cur"))
    return Domain(name, low, high, now, governor if settable else None)


def _outcome(domains: list[Domain], before: list[undo.Entry], failed: list[OSError], root: Path) -> dict[str, Any]:
    """What is so now, read back."""
    now = [_now(knob) for domain in domains for knob in domain.knobs]
    changed = ["{path}: {text} to {}".format(new, **old) for old, new in zip(before, now) if old["text"] != new]
    free = [domain.name for domain in domains if not domain.locked()]
    elsewhere = [domain.name for domain in _astray(domains, root) if domain.name not in free]
    words = ["not locked: " + ", ".join(free)] if free else []
    words += ["locked, but clocked otherwise: " + ", ".join(elsewhere)] if elsewhere else []
    why = "; ".join(dict.fromkeys(words + [str(error) for error in failed]))
    if not words and not failed:
        return _report(LOCKED, "", changed)
    if changed or len(free) < len(domains):
        return _report(PARTLY, why, changed)
    refused = any(isinstance(error, PermissionError) for error in failed)
    return _report(NOT_PERMITTED, f"{why}; {ADVICE}", []) if refused else _report(LEFT, why, [])


def _astray(domains: list[Domain], root: Path) -> list[Domain]:
    """Those that do not run where they are locked after a moment; asked of Jetsons, whose clocks tell the truth."""
    deadline = time.monotonic() + STAYS_S
    astray = domains if jetson.facts(root) else []
    while True:
        astray = [domain for domain in astray if not domain.stays()]
        if not astray or time.monotonic() > deadline:
            return astray
        time.sleep(0.05)


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
