"""One host at a time: a lock on the home that names its holder, so that "busy" has a face; and how a host that comes
back gets past its own earlier session.

    held by another holder          wait `wait_s`, then: busy, and who it is
    held by the same holder         its link broke, and the earlier agent may not know yet:
                                      SIGHUP    it ends its session, finishes the job under way, keeps the reply
                                      …         for as long as it promised in the lock's file
                                      SIGKILL   it did not keep its promise
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Callable

from explorer_agent.messages import BUSY, AgentError

GRACE_S = 30.0  # beyond what an agent promised: to end a nursery, to write a reply to a slow disk, to set clocks
_LOOK_S = 0.05


class Lock:
    """``with Lock(path, wait_s=5): …``; the kernel lets go of it however this process ends."""

    def __init__(
        self,
        path: Path,
        *,
        wait_s: float,
        holder: str = "",
        promise_s: float = 0.0,
        waiting: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Take nothing yet.

        Args:
            path: the lock's file.
            wait_s: how long to wait for another holder.
            holder: who asks, in words; whoever asks in the same words is the same host come back.
            promise_s: how long this process will need at most to let go once it is asked to.
            waiting: hears, several times a second, what is being waited for; may raise to give up.
        """
        self._path = path
        self._wait_s = wait_s
        self._holder = holder
        self._promise_s = promise_s
        self._waiting = waiting
        self._asked: dict[int, float] = {}  # process → when it is killed

    def __enter__(self) -> Lock:
        self._file = os.open(str(self._path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            self._take()
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        os.close(self._file)

    def _take(self) -> None:
        patience = time.monotonic() + self._wait_s
        while not self._try():
            owner = self._owner()
            if self._holder and owner.get("holder") == self._holder:
                patience = max(patience, self._ask_to_leave(owner))
            if time.monotonic() > patience:
                raise self._busy(owner)
            self._waiting(f"waiting for {_face(owner)} to end")
            time.sleep(_LOOK_S)
        holder = {
            "pid": os.getpid(),
            "user": _user(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),  # for people; nothing is decided by it
            "holder": self._holder,
            "promise_s": self._promise_s,
        }
        with contextlib.suppress(OSError):  # a disk without room for a name: held all the same, by "another agent"
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps(holder).encode("ascii"), 0)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _owner(self) -> dict[str, Any]:
        """Who holds the lock by the words of the file; empty between taking the lock and writing them."""
        try:
            found = json.loads(os.pread(self._file, 1 << 16, 0).decode("ascii"))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _ask_to_leave(self, owner: dict[str, Any]) -> float:
        """Tell our own earlier agent that its host is gone, or end it when its time is up; until when to wait."""
        pid = owner.get("pid")
        if type(pid) is not int or not self._has_it_open(pid):  # just gone; its number may be another's by now
            return 0.0
        if pid not in self._asked:
            promise = owner.get("promise_s")
            promise_s = float(promise) if isinstance(promise, (int, float)) else 0.0
            self._asked[pid] = time.monotonic() + promise_s + GRACE_S
            _signal(pid, signal.SIGHUP)
            _signal(pid, signal.SIGCONT)  # it may have been stopped
        elif time.monotonic() > self._asked[pid]:
            _signal(pid, signal.SIGKILL)
            return self._asked[pid] + GRACE_S
        return self._asked[pid]

    def _has_it_open(self, pid: int) -> bool:
        """Whether the process `pid` has the lock's file open; a number that was given to another one has not."""
        ours = os.fstat(self._file)
        try:
            fds = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:  # gone, or somebody else's
            return False
        return pid != os.getpid() and any(_is_file(fd, ours) for fd in fds)

    def _busy(self, owner: dict[str, Any]) -> AgentError:
        text = f"this device is in use: {_face(owner)}"
        return AgentError(BUSY, text, hint="wait for it, or end that process")


def _face(owner: dict[str, Any]) -> str:
    if "pid" not in owner:
        return "another agent"
    words = "process {} of {}, since {}".format(*(owner.get(key, "?") for key in ("pid", "user", "since")))
    holder = "".join(letter if letter.isprintable() else "?" for letter in str(owner.get("holder", "")))
    return f"{holder[:200]} ({words})" if holder else words


def _is_file(fd: Path, ours: os.stat_result) -> bool:
    try:
        return os.path.samestat(fd.stat(), ours)
    except OSError:
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
        os.kill(pid, number)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        return f"uid {os.getuid()}"
