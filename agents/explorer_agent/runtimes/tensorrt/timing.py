"""Timing caches: how long each kernel took when it was tried, so that the next build need not try it again.

One file for each TensorRT, board and power mode: with other clocks another kernel may be the fastest.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Mapping

from explorer_agent import jetson, places
from explorer_agent.messages import digest

FOLDER = "explorer-agent/timing"


def folder() -> Path:
    """Where caches are kept: below the user's own."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / FOLDER


def path(below: Path, bound_to: Mapping[str, Any], power_mode: str) -> Path:
    """The file for a board, and for the power mode that was asked for, or else is."""
    modes = jetson.power_modes()
    mode = power_mode or (modes.current if modes else "")
    return below / (digest([dict(bound_to), mode])[:32] + ".timing")


class Cache:
    """One file. A cache is never worth a failure: what is damaged or cannot be written is told, and left out."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._said = "new"

    def into(self, config: Any) -> None:
        """Have the builder use what is known."""
        known = self._read()
        cache = config.create_timing_cache(known)
        if cache is None or not config.set_timing_cache(cache, False):
            self._said = "damaged, or another board's: begun anew"
            config.set_timing_cache(config.create_timing_cache(b""), False)
        elif known:
            self._said = "used"

    def _read(self) -> bytes:
        try:
            return self._file.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            self._said = f"not read: {error}"
            return b""

    def keep(self, config: Any) -> str:
        """Write what the builder learnt; returns what became of the cache, in words."""
        cache = config.get_timing_cache()
        if cache is None:
            return self._said
        temporary = ""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=str(self._file.parent), prefix="new-")
            with os.fdopen(handle, "wb") as file:
                file.write(bytes(cache.serialize()))
            os.replace(temporary, str(self._file))
        except OSError as error:
            if temporary:
                places.remove(Path(temporary))
            return f"{self._said}; not kept: {error}"
        return self._said
