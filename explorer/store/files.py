"""Files that are absent, whole, or end in a torn line, whenever the power goes."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from explorer.errors import BadInput, Problem


def own(path: str, flags: int) -> int:
    """Open a file to be cut or written; never through a symlink, which may lead to a file that is none of a study's."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def last_byte(file: IO[bytes]) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def line_of(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def open_whole_lines(path: Path) -> int:
    """Open for appending, with the torn tail of a killed write cut off."""
    handle = own(str(path), os.O_RDWR | os.O_CREAT | os.O_APPEND)
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        os.ftruncate(handle, whole)
        os.fsync(handle)
    return handle


def write_packed(path: Path, data: Mapping[str, Any]) -> None:
    write_whole(path, gzip.compress(line_of(data), mtime=0))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is either absent or complete, whenever the power goes."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def whole_objects(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file of lines; what is torn or of another kind is passed over."""
    for line in (path.read_bytes() if path.exists() else b"").split(b"\n"):
        with contextlib.suppress(ValueError):
            if isinstance(found := json.loads(line), dict):
                yield found


def read_json(path: Path) -> dict[str, Any] | None:
    """A packed JSON object; None where there is no such file.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return dict(json.loads(gzip.decompress(path.read_bytes())))
    except FileNotFoundError:
        return None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise BadInput(Problem("cannot read what was measured", file=path, seen=str(error))) from error
