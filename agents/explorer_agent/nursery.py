"""The nursery: a process that has every runtime's library imported already, and forks a child for each job.

    agent ──socket──► nursery ──fork──► child: one job          {"do": "start", …} + its pipe and log file
          ◄──────────         ◄─wait4──                         {"exit": status, "job": id, …}

A job so starts in milliseconds instead of the second that importing takes, and a crash, a memory overrun or a kill
costs that job alone. Libraries are tried in a child of their own first: one that dies on import is reported as
unavailable and never imported here. When the agent goes away, however it does, the socket ends, and nursery and job
end with it. What a job leaves running is ended with the job (see `family`), so that no pipe of its stays open either.
"""

from __future__ import annotations

import array
import contextlib
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

from explorer_agent import family, plugins, runtimes, worker

PROBE_S = 60

Command = Dict[str, Any]


class Child:
    """A job under way."""

    def __init__(self, job: int, pid: int) -> None:
        self.job = job
        self.pid = pid

    def kill(self) -> None:
        """End the job and whatever it started in its group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not made its own group yet
            os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> dict[str, Any]:
        """How it ended; what it left behind ends too."""
        with contextlib.suppress(PermissionError):  # a compiler's helper with rights of its own
            self.kill()  # its number is taken until it is waited for, so that this hits nobody else
        _, status, usage = os.wait4(self.pid, 0)
        return {"job": self.job, "exit": status, "max_rss_mb": usage.ru_maxrss // 1024}


class Nursery:
    """One job at a time."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._child: Child | None = None
        self._libraries = family.children()  # helpers that a library started when it was imported

    def run(self) -> None:
        """Serve until the agent goes away."""
        family.adopt_orphans()
        family.die_with_parent(os.getppid(), signal_number=0)  # from here on the socket tells, and there is tidying up
        control, ended = self._control.fileno(), _ended_children()
        while True:
            ready, _, _ = select.select([control, ended], [], [])
            if ended in ready:
                os.read(ended, 1 << 10)
                self._reap()
            if control in ready and not self._obey():
                break
        if self._child:
            self._child.reap()
        family.end_children(but=self._libraries)

    def _reap(self) -> None:
        """Wait for whoever has ended: the job, or an orphan of its."""
        for pid in iter(_one_that_ended, 0):
            if self._child is None or pid != self._child.pid:
                os.waitpid(pid, 0)
                continue
            how = self._child.reap()
            family.end_children(but=self._libraries)
            self._say(how)
            self._child = None

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
        pid = os.fork()
        if pid == 0:
            self._control.close()
            become_child(lambda: job_main(command, *files), log=files[1])
        for file in files:
            os.close(file)
        self._child = Child(command["job"], pid)

    def _say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the agent has gone: the next look at the socket ends the loop
            self._control.send(json.dumps(message).encode("ascii"))


def _ended_children() -> int:
    """A descriptor that becomes readable when a child has ended. No pipe held open by the child itself would do: what
    the child leaves behind may hold that too.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def _one_that_ended() -> int:
    """A child that has ended and waits to be waited for; 0 when there is none."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return found.si_pid if found else 0


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
    code, parent = 1, os.getppid()
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        family.die_with_parent(parent)
        main()
        code = 0
    except BaseException:  # noqa: BLE001  the last line of defence of a child: told to its log, then gone
        with contextlib.suppress(OSError):  # a full disk has no room for a log either
            os.write(log, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
            family.flush_c()
        os._exit(code)


def limit_memory(limit_mb: float) -> None:
    """Bound what this process may allocate, and offer it first when the kernel must choose whom to kill.

    RLIMIT_DATA counts private memory that can be written. RLIMIT_AS would count reservations too, of which thread
    stacks and allocators make many gigabytes that are never touched.
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # /proc may be read-only
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
    for number in numbers:
        os.set_inheritable(number, False)  # a program that a job starts has no business with the job's pipe
    return data, list(numbers)


def main(control_fd: int, chosen: dict[str, list[str]]) -> None:
    """The nursery's own main: find out what there is, import it, then serve."""
    family.die_with_parent(os.getppid())
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the agent's to hear; it tells us
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
