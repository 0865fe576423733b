"""Generated and pre-treated arrays, kept on disk: made once, by whichever process comes first.

    <cache>/datasets/<name>/<key>.npy      present only when whole
    <cache>/datasets/<name>/<key>.lock     held by the process that makes it
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
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


def cached(name: str, key: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """The array kept under `name` and `key`, mapped read-only; made and kept first where it is not there yet.

    Several processes may ask at once: one makes it, the others wait for it.

    Raises:
        BadInput: the cache cannot be written, or the file in it cannot be read.
    """
    path = cache_root() / "datasets" / name / f"{key}.npy"
    if not path.exists():
        try:
            _fill(path, make)
        except OSError as error:
            hint = "choose another place with the environment variable EXPLORER_CACHE"
            raise BadInput(Problem("cannot write the cache", file=path, seen=str(error.strerror), hint=hint)) from error
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadInput(Problem("cannot read a cached array", file=path, seen=str(error), hint="delete that file and try again")) from error


def _fill(path: Path, make: Callable[[], NDArray[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, also by a kill
        if path.exists():
            return
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, make(), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
