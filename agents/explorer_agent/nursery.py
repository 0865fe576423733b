"""The nursery: a process that has every runtime's library imported already, and forks a child for each job.

    agent ──socket──► nursery ──fork──► child: one job          {"do": "start", …} + its pipe and log file
          ◄──────────         ◄─wait4──                         {"exit": status, "job": id, …}

A job so starts in milliseconds instead of the second that importing takes, and a crash, a memory overrun or a kill
costs that job alone. Libraries are tried in a child of their own first: one that dies on import is reported as
unavailable and never imported here. When the agent goes away the socket ends, and nursery and job end with it; Linux
sees to that even if they are killed (PDEATHSIG).
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import faulthandler
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
import warnings
from typing import Any, Callable, Dict

from explorer_agent import plugins, runtimes, worker

PROBE_S = 60
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)

Command = Dict[str, Any]


class Child:
    """A job under way. `alive` becomes readable when the last process of the job has gone."""

    def __init__(self, job: int, pid: int, alive: int) -> None:
        self.job = job
        self.pid = pid
        self.alive = alive

    def kill(self) -> None:
        """End the job and whatever it started."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not made its own group yet, or is gone
            os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> dict[str, Any]:
        """How it ended."""
        os.close(self.alive)
        _, status, usage = os.wait4(self.pid, 0)
        return {"job": self.job, "exit": status, "max_rss_mb": usage.ru_maxrss // 1024}


class Nursery:
    """One job at a time."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._child: Child | None = None

    def run(self) -> None:
        """Serve until the agent goes away."""
        while True:
            waiting = [self._control.fileno()] + ([self._child.alive] if self._child else [])
            ready, _, _ = select.select(waiting, [], [])
            if self._child and self._child.alive in ready:
                self._say(self._child.reap())
                self._child = None
            if self._control.fileno() in ready and not self._obey():
                break
        if self._child:
            self._child.kill()

    def _obey(self) -> bool:
        data, files = receive(self._control)
        if not data:
            return False
        command = json.loads(data.decode("ascii"))
        if command["do"] == "start":
            self._start(command, files)
        elif self._child and self._child.job == command["job"]:
            self._child.kill()
        return True

    def _start(self, command: Command, files: list[int]) -> None:
        gone, alive = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(gone)
            self._control.close()
            become_child(lambda: job_main(command, *files), log=files[1])
        os.close(alive)
        for file in files:
            os.close(file)
        self._child = Child(command["job"], pid, gone)

    def _say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the agent has gone: the next look at the socket ends the loop
            self._control.send(json.dumps(message).encode("ascii"))


def job_main(command: Command, reply: int, log: int) -> None:
    """What the child of a job does with its own life."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable()
    limit_memory(command.get("memory_mb", 0))
    with os.fdopen(reply, "wb") as pipe:
        worker.run(command, pipe)


def become_child(main: Callable[[], None], *, log: int = 2) -> None:
    """Run `main` in this freshly forked process, and end it without unwinding what belongs to the parent."""
    code = 1
    try:
        os.setsid()
        die_with_parent()
        main()
        code = 0
    except BaseException:  # noqa: BLE001  the last line of defence of a child: told to its log, then gone
        os.write(log, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        _LIBC.fflush(None)  # what C code printed and still holds
        os._exit(code)


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def limit_memory(limit_mb: float) -> None:
    """Bound what this process may allocate, and offer it first when the kernel must choose whom to kill.

    RLIMIT_DATA counts private memory that can be written. RLIMIT_AS would count reservations too, of which thread
    stacks and allocators make many gigabytes that are never touched.
    """
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
    if limit_mb:
        limit = int(limit_mb * (1 << 20))
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def probe(name: str) -> dict[str, Any]:
    """What the runtime `name` can do here, found out by a child, so that a crash while importing is only its own."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        become_child(lambda: _tell(write, runtimes.describe(name)))
    os.close(write)
    answer = _read_all(read, PROBE_S)
    if answer is None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not answer:
        why = f"took longer than {PROBE_S} s" if answer is None else f"ended {how_it_ended(status)}"
        return runtimes.absent("importing it " + why)
    found: dict[str, Any] = json.loads(answer.decode("ascii"))
    return found


def _tell(write: int, facts: dict[str, Any]) -> None:
    with os.fdopen(write, "wb") as pipe:
        pipe.write(json.dumps(facts).encode("ascii"))


def _read_all(read: int, patience_s: float) -> bytes | None:
    """Everything up to the end; None when it does not come in time."""
    with os.fdopen(read, "rb", buffering=0) as pipe:
        found = b""
        while select.select([pipe], [], [], patience_s)[0]:
            piece = pipe.read(1 << 16)
            if not piece:
                return found
            found += piece
    return None


def how_it_ended(status: int) -> str:
    """The exit status of `wait` in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else "unknown"
        likely = "; most likely the kernel ran out of memory" if number == signal.SIGKILL else ""
        return f"by signal {number} ({name}){likely}"
    return f"with exit status {os.WEXITSTATUS(status)}"


def send(control: socket.socket, command: Command, files: tuple[int, ...] = ()) -> None:
    """Send `command` and open files along with it."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    control.sendmsg([json.dumps(command).encode("ascii")], ancillary)


def receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """One message and the files that came with it; no bytes when the other side has gone."""
    numbers = array.array("i")
    data, ancillary, _, _ = control.recvmsg(1 << 20, socket.CMSG_SPACE(2 * numbers.itemsize))
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
    return data, list(numbers)


def main(control_fd: int, chosen: dict[str, list[str]]) -> None:
    """The nursery's own main: find out what there is, import it, then serve."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the agent's to hear
    # Both libraries keep one sleeping thread from import on (seen with 1.31 and 2026.4); they hold no lock while
    # asleep.
    warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork.*", category=DeprecationWarning)
    control = socket.socket(fileno=control_fd)
    plugins.load(**chosen)
    found = {name: probe(name) for name in runtimes.RUNTIMES}
    control.send(json.dumps({"runtimes": found}).encode("ascii"))
    for name, facts in found.items():
        if facts["available"]:
            runtimes.describe(name)
    Nursery(control).run()
