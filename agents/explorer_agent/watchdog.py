"""A second process that outlives the agent by a moment, to undo what the agent changed on the board.

    agent     ──start──►  watchdog: "ready"  ──►  the first change
              ──pipe, held open──►  waits         (seconds may be written to it: "undo then, unless I say more")
    its end, in good order, by kill -9, out of memory: the pipe ends  ──►  undo  ──►  end

It is in a session of its own and deaf to the signals that end sessions. While it lives it holds a lock on the
board's /sys, so that two agents with different homes never take each other's settings for the board's own. If it is
killed too, the next agent undoes before it serves, and ``restore`` does by hand or at boot.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import explorer_agent
from explorer_agent.undo import Journal, locked

WAIT_S = 10.0  # for another agent's watchdog to end
LAST_S = 400.0  # for undoing: two programs that take all the time they are given, tried three times
TRIES = 3
READY = b"ready\n"
_LAUNCH = """
import sys
sys.path.insert(0, sys.argv[1])
from explorer_agent.watchdog import main
main(*sys.argv[2:])
"""


class Watchdog:
    """The agent's end."""

    def __init__(self, home: Path, *, root: Path, by: str) -> None:
        """Start it, and hear that it stands.

        Raises:
            OSError: it does not; nothing may be changed.
        """
        place = str(Path(explorer_agent.__file__).parents[1])
        words = [sys.executable, "-I", "-S", "-c", _LAUNCH, place, str(home.resolve()), str(root.resolve()), by]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert self._process.stdin is not None  # asked for
        assert self._process.stdout is not None
        self._pipe = self._process.stdin.fileno()
        answer = self._process.stdout.readline()
        self._process.stdout.close()
        if answer != READY:
            self.close()
            raise OSError(answer.decode("utf-8", "replace").strip() or "the watchdog does not start")

    def at_most(self, seconds: float) -> bool:
        """Have it undo in `seconds`, whatever becomes of this process, unless told otherwise before; False when it is
        not there to hear.
        """
        try:
            os.write(self._pipe, b"%.3f\n" % seconds)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Have it undo now; returns when it has."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_S)


def main(home: str, root: str, by: str) -> None:
    """The watchdog's own main; its stdin is the pipe."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    with contextlib.suppress(OSError):  # only root may ask to be spared when memory runs out
        Path("/proc/self/oom_score_adj").write_text("-900", encoding="ascii")
    board = os.open(Path(root) / "sys", os.O_RDONLY | os.O_CLOEXEC)
    if not locked(board, within_s=WAIT_S):
        os.write(1, b"another agent has changed this board's settings, and has not put them back yet\n")
        return
    os.write(1, READY)
    os.dup2(2, 1)
    try:
        _wait(0)
    finally:
        _undo(Journal(Path(home), root=Path(root), by=by))


def _undo(journal: Journal) -> None:
    for _ in range(TRIES):  # a knob may be busy for a moment
        if not journal.undo(own=True).failed:
            return
        time.sleep(1)


def _wait(pipe: int) -> None:
    """Until the pipe ends, or the time given through it has passed."""
    deadline: float | None = None
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([pipe], [], [], left)[0]:
            return
        words = os.read(pipe, 4096).split()
        if not words:
            return
        deadline = time.monotonic() + float(words[-1])
