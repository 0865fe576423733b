"""One host at a time: a lock on the home that names its holder, so that "busy" has a face."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import time
from pathlib import Path
from typing import Any

from explorer_agent.messages import BUSY, AgentError


class Lock:
    """``with Lock(path, wait_s=5): …``; the kernel lets go of it however this process ends."""

    def __init__(self, path: Path, *, wait_s: float) -> None:
        self._path = path
        self._wait_s = wait_s

    def __enter__(self) -> Lock:
        self._file = open(self._path, "a+", encoding="ascii")
        deadline = time.monotonic() + self._wait_s
        while not self._try():
            if time.monotonic() > deadline:
                raise self._busy()
            time.sleep(0.05)
        holder = {"pid": os.getpid(), "user": _user(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        self._file.truncate(0)
        self._file.write(json.dumps(holder))
        self._file.flush()
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _busy(self) -> AgentError:
        self._file.seek(0)
        words = self._file.read()
        self._file.close()
        try:
            holder = "process {pid} of {user}, since {since}".format(**json.loads(words))
        except (ValueError, KeyError, TypeError):  # caught between taking the lock and writing the name
            holder = "another agent"
        return AgentError(BUSY, f"this device is in use: {holder}", hint="wait for it, or end that process")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        return f"uid {os.getuid()}"
