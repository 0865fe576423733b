"""Answers kept by their question: <home>/<kind>/<sha256 of the question>, one frame of the wire each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from explorer_agent.messages import digest
from explorer_agent.wire import Message, ProtocolError, Reader, Writer


class Cache:
    """One folder of answers, at most `room` bytes of them: the oldest make way."""

    def __init__(self, folder: Path, *, room: int = 1 << 30) -> None:
        self._folder = folder
        self._room = room
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, question: Any) -> tuple[Message, bytes] | None:
        """The answer to `question`, or None; a damaged one is thrown away."""
        path = self._folder / digest(question)
        try:
            with open(path, "rb") as file:
                frame = Reader(file).read()
                return (frame.message, frame.body.read()) if frame else None
        except FileNotFoundError:
            return None
        except ProtocolError:  # the disk filled up or the power went while it was written: asking again mends it
            path.unlink()
            return None

    def keep(self, question: Any, message: Message, body: bytes = b"") -> None:
        """Keep `message` and `body` as the answer to `question`."""
        path = self._folder / digest(question)
        temporary = path.with_suffix(".new")
        with open(temporary, "wb") as file:
            Writer(file).write(dict({"type": "kept"}, **message), body)
        os.replace(temporary, path)
        self._make_room()

    def forget(self, question: Any) -> None:
        """Drop the answer to `question`."""
        path = self._folder / digest(question)
        if path.exists():
            path.unlink()

    def _make_room(self) -> None:
        files = [(path.stat(), path) for path in self._folder.iterdir()]
        total = sum(facts.st_size for facts, _ in files)
        for facts, path in sorted(files, key=lambda file: file[0].st_mtime)[:-1]:  # the newest stays, however large
            if total <= self._room:
                return
            path.unlink()
            total -= facts.st_size
