"""Processes that belong to the agent, and how none of them is left behind.

    agent ──► nursery ──► job ──► whatever a compiler starts ──► and what that leaves in the background

A process group ends what stays in it. What leaves it becomes the nursery's child when its parent ends (the nursery is
its subreaper), and is ended there. If agent and nursery are killed together, what is left carries the agent's mark in
its environment and is ended by the next agent of that home. All of it works without rights, cgroups or namespaces.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Iterable, Iterator

MARK = "EXPLORER_AGENT_HOME"
PATIENCE_S = 5.0  # for a process that was killed; one that hangs in a driver does not end at all
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int, *, signal_number: int = signal.SIGKILL) -> None:
    """Have the kernel end this process when its parent, the process `parent`, ends; 0 as signal undoes it."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)
    if signal_number and os.getppid() != parent:  # it has ended already
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of whatever descends from this process and loses its own."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def flush_c() -> None:
    """Write what C code printed and still holds."""
    _LIBC.fflush(None)


def end_children(*, but: Iterable[int] = ()) -> None:
    """End every child of this process except `but`, and what becomes its child thereby."""
    spared, deadline = set(but), time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        left = [pid for pid in children() if pid not in spared]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def children() -> list[int]:
    """The children of this process, dead ones that nobody has waited for included."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # the usual case, told without looking at every process there is
        return []
    return [pid for pid, parent in _parents() if parent == os.getpid()]


def end_marked(home: Path) -> None:
    """End what earlier agents of `home` left behind."""
    mark = f"{MARK}={home}".encode("utf-8", "surrogateescape")
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:  # and once more: one may have forked while the others were looked at
        found = [pid for pid in _processes() if pid != os.getpid() and mark in _environment(pid)]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _LIBC.prctl(option, value, 0, 0, 0)


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _parents() -> Iterator[tuple[int, int]]:
    for pid in _processes():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            stat = Path(f"/proc/{pid}/stat").read_bytes()
            yield pid, int(stat.rpartition(b")")[2].split()[1])


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # ended, or somebody else's
        return []
