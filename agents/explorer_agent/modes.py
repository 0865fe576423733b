"""The board's power mode, set before what is asked to run in it, and set back however it ends.

    old mode promised ──► nvpmodel -m N ──► is it N? ──► settle ──► clocks locked again ──► build or measure
                              │ asks for a restart
                              ├── not allowed: answered with nothing; refused in words, the board as it was
                              └── allowed: YES ──► the board restarts ──► the next agent finds it in that mode

nvpmodel undoes jetson_clocks without a word, so clocks are locked after it. A mode that the user lets a restart of the
board set is meant to last: it is not set back.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path
from typing import Any, Callable

from explorer_agent import jetson, sysfs, undo
from explorer_agent.clocks import ADVICE, Held
from explorer_agent.messages import BUSY, INFEASIBLE, AgentError

SETTLE_S = 5.0  # after nvpmodel, which goes on setting clocks for a while
RESTART_S = 180.0  # for a board that was told to restart to end this agent
ALLOW = "allow it with device_options: {reboot: allow}, or set it by hand"
_ASKS = re.compile(r"reboot|yes/no|\[y/n\]|confirm", re.IGNORECASE)
_FORBIDDEN = re.compile(r"password|not allowed|permission|must be root|run as root|superuser", re.IGNORECASE)

Stop = Callable[[], bool]


class Modes:
    """The power modes of the board below `root`, for as long as this agent serves.

    Attributes:
        offered: their names; none where nothing can set them.
        switches: how often the mode was changed.
        lasting: in words, the mode that an earlier agent restarted the board for; empty if there is none.
    """

    def __init__(self, held: Held, *, home: Path, reboot: str = "never", root: Path = sysfs.ROOT) -> None:
        """Look at the board.

        Raises:
            AgentError: busy: it is about to restart.
        """
        self._held, self._root, self._reboot = held, root, reboot
        self._found = jetson.power_modes(root)
        self._mark = _Mark(home / "restart.json", root)
        self._refused: dict[str, str] = {}
        self._promised = False
        self.switches = 0
        self._own = self.current()
        self.offered = self._offered()
        self.lasting = self._after_restart()

    def current(self) -> str:
        """The mode's name now; empty where it is not told."""
        found = jetson.power_modes(self._root)
        if found is None or found.current or not undo.tool("nvpmodel", self._root):
            return found.current if found else ""
        try:
            number = self._held.journal.power_mode()
        except OSError:  # it may need rights that this account has not
            return ""
        return next((name for name, its in found.numbers.items() if its == number), "")

    def reach(self, wanted: str, *, goodbye: Callable[[str], None], stop: Stop = lambda: False) -> dict[str, Any]:
        """Have the board in the mode `wanted`; without one, in the one that this agent found it in.

        Args:
            wanted: its name.
            goodbye: is told when the board restarts.
            stop: whether nobody waits for it any more.

        Returns:
            {"power_mode", "mode_set_s", "mode_switches"}; nothing of a board without modes.

        Raises:
            AgentError: infeasible: it cannot be set; the board is as it was.
        """
        if self._found is None:
            return {}
        began, name = time.monotonic(), wanted or self._own
        if name in self._refused:
            raise AgentError(INFEASIBLE, self._refused[name], because={"power_mode": name})
        if name != self.current():
            self._switch(name, goodbye, stop)
        else:
            self._held.lock_again()
        return {"power_mode": name, "mode_set_s": time.monotonic() - began, "mode_switches": self.switches}

    def _offered(self) -> tuple[str, ...]:
        if self._found is None:
            return ()
        if undo.tool("nvpmodel", self._root):
            return self._found.names
        return (self._own,) if self._own else ()

    def _switch(self, name: str, goodbye: Callable[[str], None], stop: Stop) -> None:
        before, promised = self.current(), self._promised
        try:
            self._held.secure()
            self._promise(before)
        except (OSError, ValueError) as error:  # what could not be set back is not touched
            raise self._refuse(name, f"the power mode {name} cannot be set: {_why(str(error))}") from error
        try:
            told = self._run(name)
        except OSError as error:
            told = str(error)
        asks = bool(_ASKS.search(told)) or "takes longer" in told
        if self.current() == name and not asks:
            self.switches += 1
            _pause(_settle_s(self._root), stop)
            self._held.lock()
            return
        self._as_it_was(before)
        if not promised and self.current() == before:  # who may not set a mode could not set it back either
            self._take_back()
        if not asks:
            raise self._refuse(name, f"the power mode {name} cannot be set: {_why(told)}")
        if self._reboot != "allow":
            raise self._refuse(name, f"mode {name} needs a reboot of this board; {ALLOW}")
        self._restart(name, before, goodbye, stop)

    def _promise(self, before: str) -> None:
        if self._promised:
            return
        assert self._found is not None
        if before not in self._found.numbers:
            raise OSError("which mode it is in is not told, so that it could not be set back")
        entry = {"do": "nvpmodel", "mode": self._found.numbers[before]}
        # Who lets the board restart for a mode cannot have it back in one that only a restart leads to.
        self._held.journal.promise([dict(entry, may_stay=True) if self._reboot == "allow" else entry])
        self._promised = True

    def _take_back(self) -> None:
        self._held.journal.forget("nvpmodel")
        self._promised = False

    def _run(self, name: str, answer: bytes = b"") -> str:
        assert self._found is not None
        return self._held.journal.run("nvpmodel", "-m", str(self._found.numbers[name]), answer=answer)

    def _as_it_was(self, before: str) -> None:
        """After an attempt that failed, or failed half-way."""
        if before and self.current() != before:
            with contextlib.suppress(OSError):  # the promise stands: it is tried again in the end
                self._run(before)
        self._held.lock_again()

    def _restart(self, name: str, before: str, goodbye: Callable[[str], None], stop: Stop) -> None:
        """Agree to a restart, and wait for it to end this process."""
        boot, deadline = undo.boot_id(self._root), time.monotonic() + RESTART_S
        self._mark.put(name, before, boot)
        try:
            self._take_back()
            told = self._run(name, b"YES\n")
        except OSError as error:
            told = str(error)
        while time.monotonic() < deadline and not stop():
            if undo.boot_id(self._root) != boot:
                break
            time.sleep(0.1)
        else:
            if not stop():
                raise self._refuse(
                    name, f"the board was told to restart for the mode {name}, and did not: {_why(told)}"
                )
        goodbye(f"the board restarts for the power mode {name}")

    def _after_restart(self) -> str:
        """What became of the restart that an earlier agent asked for."""
        mark = self._mark.read()
        if not mark:
            return ""
        name, before = str(mark.get("mode")), str(mark.get("was"))
        if self._mark.pending(mark):
            raise AgentError(BUSY, f"the board is about to restart for the power mode {name}")
        if mark.get("boot") == undo.boot_id(self._root) and not mark.get("seen"):  # whatever nvpmodel says it is in
            self._refused[name] = f"the board was told to restart for the mode {name}, and has not done so yet"
            return ""
        if self._own == name:
            self._mark.put(name, before, str(mark.get("boot")), seen=True)
            return f"the board was restarted for the power mode {name} and stays in it; it was in {before}"
        if not mark.get("seen"):
            self._refused[name] = f"the board was restarted for the mode {name}, and came up in {self._own}"
        self._mark.drop()
        return ""

    def _refuse(self, name: str, why: str) -> AgentError:
        self._refused[name] = why
        return AgentError(INFEASIBLE, why, because={"power_mode": name})


class _Mark:
    """A restart that was asked for, told to whoever serves after it."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path, self._root = path, root

    def put(self, mode: str, was: str, boot: str, *, seen: bool = False) -> None:
        mark = {"mode": mode, "was": was, "boot": boot, "at_s": _uptime_s(), "seen": seen}
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(mark), encoding="ascii")
        fresh.replace(self._path)

    def read(self) -> dict[str, Any]:
        try:
            mark = json.loads(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):  # none, or torn by the restart: then the mode alone tells
            return {}
        return mark if isinstance(mark, dict) else {}

    def pending(self, mark: dict[str, Any]) -> bool:
        """Whether the restart is still to come."""
        since = _uptime_s() - float(mark.get("at_s", 0))
        return mark.get("boot") == undo.boot_id(self._root) and 0 <= since < RESTART_S

    def drop(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


def _uptime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _settle_s(root: Path) -> float:
    """SETTLE_S; an imitation of a board, which has nothing to settle, may say otherwise."""
    return float(sysfs.imitation(root).get("settle_s", SETTLE_S))


def _pause(seconds: float, stop: Stop) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not stop():
        time.sleep(0.05)


def _why(told: str) -> str:
    """The words of nvpmodel or sudo, and what may be done about them."""
    words = " ".join(told.split()) or "nvpmodel says nothing about it"
    return f"{words}; {ADVICE}" if _FORBIDDEN.search(words) else words
