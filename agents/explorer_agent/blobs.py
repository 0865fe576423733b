"""Files known by their sha256, below the agent's home; a name from the wire is checked before it becomes part of a
path.

blobs/9f/86d081…          complete and verified
parts/9f86d081…           on their way in; a transfer that broke off goes on where it stopped
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Iterable

from explorer_agent.messages import FAILED, AgentError
from explorer_agent.wire import CHUNK, ProtocolError

RESERVE_BYTES = 64 << 20  # the disk is full before it is quite full: logs and locks still need room
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def checked(sha256: object) -> str:
    """`sha256` if it is one.

    Raises:
        ProtocolError: it is anything else; it may be an attempt at a path.
    """
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        raise ProtocolError(f"a sha256 is 64 lower-case hex digits, not {sha256!r}")
    return sha256


class Blobs:
    """The store. One process writes it: the agent holds the lock of its home."""

    def __init__(self, home: Path) -> None:
        self._blobs = home / "blobs"
        self._parts = home / "parts"
        for folder in (self._blobs, self._parts):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where `sha256` lies or would lie."""
        name = checked(sha256)
        return self._blobs / name[:2] / name[2:]

    def find(self, sha256: str, what: str) -> Path:
        """The file `sha256`.

        Raises:
            AgentError: failed: it was never sent here, or is gone.
        """
        path = self.path(sha256)
        if not path.is_file():
            raise AgentError(FAILED, f"the {what} {sha256[:12]}… is not on this device", hint="send it with put first")
        return path

    def arrived(self, sha256: str) -> int:
        """Bytes of an unfinished transfer that are here already."""
        part = self._parts / checked(sha256)
        return part.stat().st_size if part.is_file() else 0

    def scratch(self) -> Path:
        """A new empty file to be filled and then adopted."""
        handle, name = tempfile.mkstemp(dir=str(self._parts), prefix="new-")
        os.close(handle)
        return Path(name)

    def adopt(self, path: Path) -> str:
        """Take a file written here into the store; returns its sha256."""
        sha256 = sha256_of(path)
        self._settle(path, sha256)
        return sha256

    def receive(self, sha256: str, chunks: Iterable[bytes], *, size: int, offset: int) -> None:
        """Append `chunks` to the transfer of `sha256` at `offset`; verified and moved into place once `size` bytes
        are here.

        Raises:
            ProtocolError: the offset is not where the last transfer stopped, or more came than was announced.
            AgentError: failed: no room, or the bytes are not those of that sha256.
        """
        part = self._parts / checked(sha256)
        if offset != (self.arrived(sha256) if offset else 0):
            raise ProtocolError(f"transfer of {sha256[:12]}… continues at {self.arrived(sha256)}, not at {offset}")
        self._need_room(size - offset)
        with open(part, "ab" if offset else "wb") as out:
            for chunk in chunks:
                out.write(chunk)
        self._finish(part, sha256, size)

    def _finish(self, part: Path, sha256: str, size: int) -> None:
        arrived = part.stat().st_size
        if arrived < size:
            return
        seen = sha256_of(part)
        if arrived > size or seen != sha256:
            part.unlink()
            raise AgentError(
                FAILED,
                f"transfer damaged: {sha256[:12]}… was announced, {seen[:12]}… arrived",
                hint="send it again",
            )
        self._settle(part, sha256)

    def _settle(self, path: Path, sha256: str) -> None:
        target = self.path(sha256)
        target.parent.mkdir(exist_ok=True)
        os.replace(path, target)

    def _need_room(self, size: int) -> None:
        free = shutil.disk_usage(str(self._parts)).free - RESERVE_BYTES
        if size > free:
            place = self._parts.parent
            text = f"no room: {size >> 20} MB are needed below {place}, {max(free, 0) >> 20} MB are free"
            raise AgentError(FAILED, text, hint="free some space, or serve from another --home")


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes."""
    state = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            state.update(chunk)
    return state.hexdigest()
