"""Jobs as the agent sees them: a queue, one at a time in the nursery, watched by the clock.

    reader thread        ──queue──►  foreman thread  ──►  nursery  ──►  child
    (serve: has, put …)               waits for frames                    │ notes, done, error
                                      ◄───────────────────────────────────┘
    pulse thread, every second: a heartbeat to the host; the job's time is up? kill it

The child writes to a pipe of its own. However it dies, in the middle of a frame too, the pipe ends and the nursery
tells how.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict

import explorer_agent
from explorer_agent import board, disk, family, nursery
from explorer_agent.messages import BUSY, FAILED, AgentError
from explorer_agent.readiness import judged
from explorer_agent.streams import F_SETPIPE_SZ, PIPE_BYTES
from explorer_agent.wire import Message, ProtocolError, Reader

HEARTBEAT_S = 1.0
CLOSE_S = 20.0
QUEUE = 1000
LOG_TAIL = 4000
LOG_BYTES = 64 << 20
SPARE_MB = 256  # left to the rest of the board when a job's memory is bounded by what is free
# Makes the board ready for a command, until told to stop; what is to be said of that in the reply.
Prepare = Callable[[Dict[str, Any], Callable[[], bool]], Dict[str, Any]]
# -I keeps the user's environment and folder out of the nursery's imports; the agent's own place is put in front by
# hand, and is a zip file when the agent was started from one.
_LAUNCH = """
import json
import sys
sys.path.insert(0, sys.argv[1])
from explorer_agent.nursery import main
main(int(sys.argv[2]), json.loads(sys.argv[3]))
"""


@dataclass
class Job:
    """One request that needs a child. `finish(message, body, log_tail)` and `fail(error)` are called in the
    foreman's thread.
    """

    id: int
    command: dict[str, Any]
    timeout_s: float
    finish: Callable[[Message, bytes, str], None]
    fail: Callable[[AgentError], None]
    deadline: float = float("inf")
    started: bool = False
    log: int = -1
    ended: str = field(default="")  # why it was ended from here, in words


class Foreman:
    """Runs jobs one after the other."""

    def __init__(
        self,
        chosen: dict[str, list[str]],
        note: Callable[[Message], None],
        *,
        home: Path,
        prepare: Prepare = lambda command, stop: {},
    ) -> None:
        self._chosen = chosen
        self._note = note
        self._home = home
        self._prepare = prepare
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._closed = False
        self._lock = threading.Condition()
        self._nursery = _Nursery(chosen, home)
        self.runtimes: dict[str, dict[str, Any]] = self._nursery.runtimes
        self._worker = threading.Thread(target=self._work, name="foreman", daemon=True)
        self._worker.start()
        threading.Thread(target=self._pulse, name="pulse of the job", daemon=True).start()

    def submit(self, job: Job) -> None:
        """Queue `job`.

        Raises:
            AgentError: busy: there is no end to them.
        """
        with self._lock:
            if len(self._waiting) >= QUEUE:
                raise AgentError(BUSY, f"{QUEUE} jobs are waiting already")
            self._waiting.append(job)
            self._lock.notify()

    def cancel(self, job_id: int | None, why: str) -> bool:
        """End the job `job_id`, or all of them; False when there is none to end."""
        with self._lock:
            jobs = [job for job in (*self._waiting, self._running) if job and job_id in (None, job.id)]
            for job in jobs:
                job.ended = job.ended or why
            if self._running in jobs:
                self._nursery.kill(self._running)
            return bool(jobs)

    def cancel_waiting(self, why: str) -> None:
        """Have the jobs that have not begun never begin."""
        with self._lock:
            for job in self._waiting:
                job.ended = job.ended or why

    def busy(self) -> bool:
        """Whether a job runs or waits."""
        with self._lock:
            return self._running is not None or bool(self._waiting)

    def close(self) -> None:
        """Finish what is queued, then end the nursery."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        deadline = time.monotonic() + CLOSE_S
        while self._worker.is_alive() and time.monotonic() < deadline:  # a job may hang in a driver, beyond any kill
            time.sleep(0.005)
        self._nursery.close()

    def _work(self) -> None:
        for job in iter(self._next, None):
            try:
                self._run(job)
            except AgentError as error:
                job.fail(error)
            except OSError as error:  # a full disk, most likely: this job's reply is lost, the next may do
                job.fail(disk.as_error(error, f"the {job.command['kind']} ended, but not its reply"))
            except Exception as error:  # noqa: BLE001  or nothing would ever be run again, in silence
                text = f"the {job.command['kind']} ended, but not its reply: {type(error).__name__}: {error}"
                job.fail(AgentError(FAILED, text, trace=traceback.format_exc()))
            finally:
                with self._lock:
                    self._running = None

    def _next(self) -> Job | None:
        """The next job, which runs from now on; None when there will be none."""
        with self._lock:
            self._lock.wait_for(lambda: self._waiting or self._closed)
            self._running = self._waiting.popleft() if self._waiting else None
            return self._running

    def _run(self, job: Job) -> None:
        facts = self._prepare(job.command, lambda: bool(job.ended))
        with tempfile.TemporaryFile(dir=str(self._home)) as log:
            try:
                with self._begin(job, log) as reply:
                    outcome = self._listen(job, Reader(reply))
                status = self._nursery.wait(job)
            finally:
                with self._lock:  # what is left to do is done in its own time
                    job.deadline, job.log = float("inf"), -1
            tail = _tail(log)
        if isinstance(outcome, AgentError):
            raise outcome
        if outcome is None:
            raise self._obituary(job, status, tail)
        job.finish(judged(outcome[0], facts), outcome[1], tail)

    def _begin(self, job: Job, log: BinaryIO) -> BinaryIO:
        if not job.ended and not self._nursery.alive():
            self._nursery.close()
            fresh = _Nursery(self._chosen, self._home)  # takes seconds, in which the pulse must go on
            with self._lock:
                self._nursery = fresh
        with self._lock:
            if job.ended:
                raise AgentError(FAILED, job.ended)
            limit_mb = job.command.get("memory_mb") or max(board.memory_mb().get("MemAvailable", 0) - SPARE_MB, 0)
            job.deadline, job.started, job.log = time.monotonic() + job.timeout_s, True, log.fileno()
            return self._nursery.start(job, limit_mb, log)

    def _listen(self, job: Job, reader: Reader) -> tuple[Message, bytes] | AgentError | None:
        """The outcome: (message, body), an AgentError, or None when the child died without a word."""
        try:
            while True:
                frame = reader.read()
                if frame is None:
                    return None
                kind = frame.message["type"]
                if kind == "done":
                    return {k: v for k, v in frame.message.items() if k not in ("type", "body")}, frame.body.read()
                if kind == "error":
                    return AgentError.from_wire(frame.message)
                self._note(dict(frame.message, type="note", job=job.id))
        except ProtocolError:  # cut in the middle of a frame: it died while speaking
            return None

    def _obituary(self, job: Job, status: dict[str, Any], tail: str) -> AgentError:
        if job.ended:
            return AgentError(FAILED, job.ended, trace=tail)
        how = nursery.how_it_ended(status["exit"]) if "exit" in status else "together with the nursery"
        text = "the {} ended {} (at most {} MB in use)".format(job.command["kind"], how, status.get("max_rss_mb", "?"))
        return AgentError(FAILED, text, trace=tail)

    def _pulse(self) -> None:
        # Not by waiting for an event with a time limit: before Python 3.11 that follows the clock on the wall, and a
        # clock that is set back by a day stops it for a day.
        while not self._closed:
            time.sleep(HEARTBEAT_S)
            with self._lock:
                job = self._running
                if job is not None and not job.ended:
                    job.ended = _overdue(job)
                    if job.ended:
                        self._nursery.kill(job)
                if job is not None and job.started and not self._nursery.alive():
                    family.end_marked(self._home)  # what the job left behind may hold its pipe open, and us
            if job is not None:
                self._note({"type": "note", "job": job.id, "kind": "heartbeat"})


def _overdue(job: Job) -> str:
    """Why `job` has to be ended; empty when it may go on."""
    kind = job.command["kind"]
    if time.monotonic() > job.deadline:
        return f"the {kind} took longer than the {job.timeout_s:.0f} s it was given, and was ended"
    if job.log >= 0 and os.fstat(job.log).st_size > LOG_BYTES:
        return f"the {kind} printed more than {LOG_BYTES >> 20} MB, and was ended before it fills the disk"
    return ""


class _Nursery:
    """The agent's end of the nursery."""

    def __init__(self, chosen: dict[str, list[str]], home: Path) -> None:
        family.end_marked(home)  # what an earlier nursery left behind when it was killed
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = str(Path(explorer_agent.__file__).parents[1])
        arguments = [sys.executable, "-I", "-c", _LAUNCH, root, str(theirs.fileno()), json.dumps(chosen)]
        # The BLAS that comes with numpy would otherwise start a thread for every core, to be copied badly by every
        # fork.
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", **{family.MARK: str(home)})
        self._process = subprocess.Popen(
            arguments, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment
        )
        theirs.close()
        self._control = ours
        self.runtimes: dict[str, dict[str, Any]] = self._receive().get("runtimes", {})

    def alive(self) -> bool:
        return self._process.poll() is None

    def start(self, job: Job, memory_mb: float, log: BinaryIO) -> BinaryIO:
        read, write = os.pipe()
        with contextlib.suppress(OSError):  # a larger pipe is faster, the usual one does too
            fcntl.fcntl(write, F_SETPIPE_SZ, PIPE_BYTES)
        command = dict(job.command, do="start", job=job.id, memory_mb=memory_mb)
        try:
            nursery.send(self._control, command, (write, log.fileno()))
        finally:
            os.close(write)
        return os.fdopen(read, "rb")

    def kill(self, job: Job | None) -> None:
        with contextlib.suppress(OSError):  # it died; the job's pipe has ended or is about to
            nursery.send(self._control, {"do": "kill", "job": job.id if job else -1})

    def wait(self, job: Job) -> dict[str, Any]:
        """How `job` ended; empty when the nursery ended with it."""
        while True:
            message = self._receive()
            if not message or message.get("job") == job.id:
                return message

    def close(self) -> None:
        self._control.close()
        try:
            self._process.wait(family.PATIENCE_S + 1)  # it ends what its job has left, at the end of the socket
        except subprocess.TimeoutExpired:  # it may still be importing
            self._process.kill()
            self._process.wait()

    def _receive(self) -> dict[str, Any]:
        try:
            data, _ = nursery.receive(self._control)
        except OSError:
            return {}
        found: dict[str, Any] = json.loads(data.decode("ascii")) if data else {}
        return found


def _tail(log: BinaryIO) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - LOG_TAIL))
    return log.read().decode("utf-8", "replace")
