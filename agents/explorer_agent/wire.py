r"""Frames on two byte streams: one line of ASCII JSON, then as many raw bytes as the line announces.

    {"type": "put", "id": 7, "sha256": "9f86…", "body": 3}\\n
    abc

The law that keeps old and new apart from quarrelling:

1.  Parameters go by name. A reader ignores fields it does not know; a writer never changes what a field means.
2.  A new field is optional, and leaving it out means what it meant before the field existed.
3.  A message of an unknown type is refused with ``error{unsupported}``; the connection lives on.
4.  PROTOCOL grows only when an old reader would misunderstand a new writer. `hello` carries it, and the newer side
decides
    whether it can still talk to the older.
5.  A line that is no frame at all ends the connection: after it nobody knows where the next frame begins.

No pickle, no base64, no NaN; nothing from a peer is ever executed or taken for a path.
"""

from __future__ import annotations

import json
import math
import threading
from typing import Any, BinaryIO, Dict, Iterable, Iterator

# History: 1 first.
PROTOCOL = 1
MAX_LINE = 1 << 20
MAX_BODY = 1 << 40
MAX_DEPTH = 32  # of what is nested in a line; it must be written again and compared, each with a stack of its own
CHUNK = 1 << 18

Message = Dict[str, Any]


class ProtocolError(Exception):
    """The bytes, or the fields, are not what this protocol speaks."""


class Body:
    """The raw bytes behind a frame: to be read once, before the next frame."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self.size = size
        self.left = size

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces of at most CHUNK.

        Raises:
            ProtocolError: the stream ended inside the body.
        """
        while self.left:
            piece = self._stream.read(min(CHUNK, self.left))
            if not piece:
                raise ProtocolError(f"the stream ended {self.left} bytes before the end of a body of {self.size}")
            self.left -= len(piece)
            yield piece

    def read(self) -> bytes:
        """All of it at once."""
        return b"".join(self.chunks())


class Frame:
    """One message and the body that came with it."""

    def __init__(self, message: Message, body: Body) -> None:
        self.message = message
        self.body = body


class Reader:
    """Takes frames off a blocking byte stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._body = Body(stream, 0)

    def read(self) -> Frame | None:
        """The next frame, or None when the stream ended between two frames; what is left of the last body is skipped.

        Raises:
            ProtocolError: what came is not a frame.
        """
        for _ in self._body.chunks():
            pass
        line = self._stream.readline(MAX_LINE + 1)
        if not line:
            return None
        message = parse(line)
        self._body = Body(self._stream, _body_size(message))
        return Frame(message, self._body)


class Writer:
    """Puts frames on a byte stream; threads may share it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._cut = False  # a frame was begun and not finished: whatever followed would be taken for its body

    def write(self, message: Message, body: bytes | Iterable[bytes] = b"", *, size: int | None = None) -> None:
        """Send `message` and its body; `size` must be given when the body comes in pieces.

        Raises:
            OSError: nobody listens any more, or an earlier frame was cut.
        """
        pieces = [body] if isinstance(body, (bytes, bytearray, memoryview)) else body
        size = len(body) if isinstance(body, (bytes, bytearray, memoryview)) else size
        if size:
            message = dict(message, body=size)
        line = encode(message)
        with self._lock:
            if self._cut:
                raise BrokenPipeError("an earlier frame was cut")
            self._cut = True
            self._stream.write(line)
            for piece in pieces:
                self._stream.write(piece)
            self._stream.flush()
            self._cut = False


def encode(message: Message) -> bytes:
    """`message` as its line.

    Raises:
        ValueError: it holds a NaN or an infinity.
        ProtocolError: the line is longer than MAX_LINE.
    """
    line = json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
    if len(line) > MAX_LINE:
        raise ProtocolError(
            f"a line of {len(line)} bytes; at most {MAX_LINE} are allowed, the rest belongs in the body"
        )
    return line


def parse(line: bytes) -> Message:
    """The message in `line`.

    Raises:
        ProtocolError: it is no JSON object with a type, is too long, or is cut off.
    """
    if not line.endswith(b"\n"):
        why = "longer than 1 MiB" if len(line) > MAX_LINE else "the stream was cut"
        raise ProtocolError(f"a line without an end: {why}")
    try:
        message = json.loads(line.decode("ascii"), parse_constant=_refuse, parse_float=_finite, parse_int=_small)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not a line of ASCII JSON ({error}): {line[:80]!r}") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError(f"a frame is a JSON object with a type: {line[:80]!r}")
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH:
        _bound_depth(message)
    return message


def _bound_depth(message: Message) -> None:
    level: list[Any] = [message]
    for _ in range(MAX_DEPTH):
        level = [
            value
            for each in level
            for value in (each.values() if isinstance(each, dict) else each)
            if isinstance(value, (dict, list))
        ]
    if level:
        raise ProtocolError(f"a line that nests deeper than {MAX_DEPTH}")


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"number out of range: {digits[:20]}")
    return value


def _small(digits: str) -> int:
    if len(digits) > 20:  # nothing we say needs more than 64 bits, and huge integers take quadratic time to read
        raise ValueError(f"number out of range: {digits[:20]}…")
    return int(digits)


def _body_size(message: Message) -> int:
    size = message.get("body", 0)
    if type(size) is not int or not 0 <= size <= MAX_BODY:
        raise ProtocolError(f"body must be a number of bytes, not {size!r}")
    return size
