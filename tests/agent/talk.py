"""The host's end of the wire with nothing between it and the test, and a look at who still lives."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from explorer_agent.wire import Message, Reader, Writer

FAKE = {"runtime": "fake"}


@cache
def interpreter(version: str) -> str:
    """A Python of that version; empty when there is none here."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [*map(str, sorted(pyenv.glob(f"{version}.*/bin/python"))), f"python{version}"]
    for candidate in candidates:
        question = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        with contextlib.suppress(OSError):
            answer = subprocess.run(question, capture_output=True, text=True, timeout=30, check=False)
            if answer.stdout.strip() == version:
                return candidate
    return ""


class Talk:
    """The host's end of the wire, with nothing between it and the test."""

    def __init__(
        self,
        python: str,
        bundle: Path,
        home: Path,
        *words: str,
        through: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        arguments = [*through, python, "-I", "-W", "error", str(bundle), "serve", "--home", str(home), *words]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.out, self.incoming = self.process.stdin, self.process.stdout
        self.writer, self.reader = Writer(self.out), Reader(self.incoming)
        self.home = home
        self.notes: list[Message] = []
        self.number = 0

    def hear(self) -> tuple[Message, bytes]:
        frame = self.reader.read()
        assert frame is not None, self.process.stderr.read().decode()  # type: ignore[union-attr]
        return frame.message, frame.body.read()

    def say(self, request: str, body: bytes = b"", **fields: Any) -> int:
        self.number += 1
        self.writer.write({"type": request, "id": self.number, **fields}, body)
        return self.number

    def answer(self, number: int) -> tuple[Message, bytes]:
        while True:
            message, body = self.hear()
            if message.get("id") == number:
                return message, body
            self.notes.append(message)

    def ask(self, request: str, body: bytes = b"", **fields: Any) -> tuple[Message, bytes]:
        return self.answer(self.say(request, body, **fields))

    def put(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        reply, _ = self.ask("put", data, sha256=sha256, size=len(data))
        assert reply["type"] == "put", reply
        return sha256

    def script(self, **script: Any) -> str:
        """A network for the fake runtime."""
        return self.put(json.dumps(script).encode())

    def build(self, source: str, **deployment: Any) -> Message:
        return self.ask("build", source=source, deployment={**FAKE, **deployment})[0]

    def close(self) -> int:
        if not self.out.closed:
            with contextlib.suppress(OSError):
                self.out.close()
        status = self.process.wait(30)
        self.incoming.close()
        self.process.stderr.close()  # type: ignore[union-attr]
        return status


def family(pid: int) -> list[int]:
    """The processes whose ancestor is `pid`."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def gone(pids: list[int], *, within_s: float = 10) -> bool:
    """Whether all of `pids` end in time; a zombie has ended."""
    deadline = time.monotonic() + within_s
    while any(map(_alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
