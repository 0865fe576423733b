"""One look at a board: where to look, what the counters stood at when it began, and how a finding is told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from explorer_agent import board, jetson, sysfs

Finding = Dict[str, str]
OK, NOTE, WARN, BAD = "ok", "note", "warn", "bad"


def finding(topic: str, state: str, found: str, advice: str = "", *, because: str = "") -> Finding:
    """What was found about `topic`.

    Args:
        topic: the host groups by it.
        state: ok; note: good to know; warn: works, but worse than it could; bad: stands in the way.
        found: in words that need no manual.
        advice: what to do about it.
        because: half a sentence: why measurements made now would be doubtful, if they would be.
    """
    told = {"topic": topic, "state": state, "found": found, "advice": advice}
    return dict(told, because=because) if because else told


@dataclass
class Look:
    """What the checks are given. Counters are read when it is made; checks compare them with a later reading."""

    home: Path
    capabilities: Mapping[str, Any]
    root: Path = sysfs.ROOT
    python: str = sys.executable
    jetson: Mapping[str, str] = field(init=False)
    throttled: Mapping[str, int] = field(init=False)
    cpu_s: Mapping[int, float] = field(init=False)

    @property
    def simulated(self) -> bool:
        """Whether the board is a virtual one: what the machine that plays it has or lacks is not the board's."""
        return bool(self.capabilities.get("simulated"))

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.jetson = jetson.facts(self.root)
        self.throttled = jetson.throttle_counts(self.root)
        self.busy_s = board.busy_s(self.root)
        self.cpu_s = cpu_seconds(self.root)


def cpu_seconds(root: Path) -> dict[int, float]:
    """Processor time so far of each process by its number, and as number 0 that of this agent's whole session."""
    found = {0: 0.0}
    for path, line in sysfs.texts(root, "proc/[0-9]*/stat"):
        seconds = sum(map(int, line.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
        pid = 0 if session_of(path.parent) == os.getsid(0) else int(path.parent.name)
        found[pid] = found.get(pid, 0.0) + seconds
    return found


def session_of(process: Path) -> int:
    """The session of a process, by its folder in /proc; 0 when it is gone."""
    fields = (sysfs.text(process / "stat") or "").rpartition(")")[2].split()
    return int(fields[3]) if fields else 0


def answer_of(command: Sequence[str], *, within_s: float) -> tuple[int, str]:
    """(exit status, what was printed) of a program; 127 when there is none, 124 when it took too long."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=within_s
        )
    except subprocess.TimeoutExpired:
        return 124, f"no answer within {within_s:.0f} s"
    except OSError as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()
