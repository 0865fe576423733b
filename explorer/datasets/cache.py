"""Generated and pre-treated arrays, kept on disk: made once, by whichever process comes first.

<cache>/datasets/<name>/<key>/*.npy    present only when whole
<cache>/datasets/<name>/<key>.lock     held by the process that makes them
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.artifacts import cache_root
from explorer.errors import BadInput, Problem


def key_of(description: Mapping[str, Any]) -> str:
    """A name that differs whenever the description does."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:32]


def cached(name: str, key: str, make: Callable[[], Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The arrays kept under `name` and `key`, mapped read-only; made and kept first where they are not there yet.

    Several processes may ask at once: one makes them, the others wait for it.

    Raises:
        BadInput: the cache cannot be written, or a file in it cannot be read.
    """
    folder = cache_root() / "datasets" / name / key
    if not folder.exists():
        try:
            _fill(folder, make)
        except OSError as error:
            hint = "choose another place with the environment variable EXPLORER_CACHE"
            raise BadInput(Problem("cannot write the cache", file=folder, seen=str(error), hint=hint)) from error
    try:
        return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(folder.glob("*.npy"))}
    except (OSError, ValueError) as error:
        hint = "delete that folder and try again"
        raise BadInput(Problem("cannot read cached arrays", file=folder, seen=str(error), hint=hint)) from error


def _fill(folder: Path, make: Callable[[], Mapping[str, NDArray[Any]]]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, also by a kill
        if folder.exists():
            return
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)  # left by a process that was killed
        part.mkdir()
        for name, array in make().items():
            with (part / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        part.rename(folder)
