"""Answers kept by their question: <home>/<kind>/<sha256 of the question>, one frame of the wire each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from explorer_agent import places
from explorer_agent.messages import digest
from explorer_agent.wire import Message, ProtocolError, Reader, Writer


class Cache:
    """One folder of answers, at most `room` bytes of them: those not asked for the longest make way."""

    def __init__(self, folder: Path, *, room: int = 1 << 30) -> None:
        self._folder = places.folder(folder)
        self._room = room
        for left_behind in folder.glob("*.new"):
            places.remove(left_behind)
        self._uses = places.Uses(places.plain_files(folder))

    def get(self, question: Any) -> tuple[Message, bytes] | None:
        """The answer to `question`, or None; a damaged one is thrown away."""
        path = self._folder / digest(question)
        if places.size(path) is None:
            return None
        try:
            with places.to_read(path) as file:
                frame = Reader(file).read()
                answer = (frame.message, frame.body.read()) if frame else None
        except ProtocolError:  # the disk failed: asking again mends it
            answer = None
        if answer is None:
            path.unlink()
        self._uses.touch(path)
        return answer

    def keep(self, question: Any, message: Message, body: bytes = b"") -> None:
        """Keep `message` and `body` as the answer to `question`; on return they are on the disk."""
        path = self._folder / digest(question)
        temporary = path.with_suffix(".new")
        try:
            with places.to_write(temporary) as file:
                Writer(file).write(dict({"type": "kept"}, **message), body)
                os.fsync(file.fileno())
            os.replace(str(temporary), str(path))
            _flush(self._folder)
        except OSError:
            places.remove(temporary)
            raise
        self._uses.touch(path)
        self._make_room()

    def forget(self, question: Any) -> None:
        """Drop the answer to `question`."""
        places.remove(self._folder / digest(question))

    def _make_room(self) -> None:
        files = places.oldest_first(places.plain_files(self._folder))
        total = sum(path.lstat().st_size for path in files)
        for path in files[:-1]:  # the newest stays, however large
            if total <= self._room:
                return
            total -= path.lstat().st_size
            places.remove(path)


def _flush(folder: Path) -> None:
    """Have the disk know of a name given in `folder`."""
    handle = os.open(str(folder), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
