"""Small files of /proc and /sys below any root. A sensor that is not there, is switched off or answers with an error
has no reading: None, never zero.

The root is the machine's own; for tests and imitations EXPLORER_AGENT_ROOT names a folder that holds a board's files
and programs, read once when the agent starts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterator

ROOT = Path(os.environ.get("EXPLORER_AGENT_ROOT") or "/").absolute()
CHUNK = 1 << 16
IMITATION = "imitation.json"


def imitation(root: Path = ROOT) -> dict[str, Any]:
    """What the folder of a board that is only imitated says of itself; nothing on a real one.

    "simulated": the name of the virtual board that all numbers come from; "machine": what else of `board.describe` is
    the board's and not this machine's; "settle_s": how long it takes to reach a power mode.
    """
    found = json.loads(text(root / IMITATION) or "{}") if root != Path("/") else {}
    return found if isinstance(found, dict) else {}


def text(path: Path) -> str | None:
    """What the file holds, without NULs and space at its ends; None when it cannot be read, or holds nothing.

    Read by descriptor: a sensor may answer EAGAIN, of which Python's buffered files make a TypeError.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            data = b"".join(iter(lambda: os.read(file, CHUNK), b""))
        finally:
            os.close(file)
    except OSError:  # ENOENT, EACCES, ENODATA, EAGAIN, EIO: all mean "not known"
        return None
    return data.decode("utf-8", "replace").strip("\0 \n\t") or None


def number(path: Path) -> int | None:
    """The whole number in the file; None as for `text`, or when it holds none."""
    try:
        return int(text(path) or "")
    except ValueError:
        return None


def numbers(root: Path, pattern: str) -> list[int]:
    """The whole numbers in all the files that `pattern` names below `root`."""
    return [found for found in map(number, sorted(root.glob(pattern))) if found is not None]


def texts(root: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    """(file, text) of all the files that `pattern` names below `root`."""
    for path in sorted(root.glob(pattern)):
        found = text(path)
        if found is not None:
            yield path, found
