"""Files known by their sha256, kept once.

<cache>/blobs/ab/abcdef…      the bytes; never changed, present only when whole
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from explorer.errors import BadInput, Problem


def cache_root() -> Path:
    """Where everything dear is kept: ``$EXPLORER_CACHE``, else ``~/.cache/explorer`` (or below ``$XDG_CACHE_HOME``)."""
    if chosen := os.environ.get("EXPLORER_CACHE"):
        return Path(chosen).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "explorer"


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# A scratch folder this old belongs to nobody: its process was killed.
STALE_S = 24 * 3600.0


class Artifacts:
    """A folder of blobs shared by every study and process of this user."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            (root / "blobs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            hint = "choose another place with the environment variable EXPLORER_CACHE"
            raise BadInput(Problem("cannot write the cache", file=root, seen=str(error.strerror), hint=hint)) from error
        self._clear_away()

    def _clear_away(self) -> None:
        for left_behind in self.root.glob("scratch-*"):
            with suppress(FileNotFoundError):  # somebody else was quicker
                if time.time() - left_behind.stat().st_mtime > STALE_S:
                    shutil.rmtree(left_behind, ignore_errors=True)

    def path(self, sha256: str) -> Path:
        """Where the blob lies, or would lie."""
        return self.root / "blobs" / sha256[:2] / sha256

    def __contains__(self, sha256: str) -> bool:
        return self.path(sha256).exists()

    def put(self, path: Path) -> str:
        """Copy a file in; its sha256."""
        with self.scratch() as scratch:
            shutil.copyfile(path, copy := scratch / "copy")
            return self.adopt(copy)

    def adopt(self, path: Path) -> str:
        """Move a file in from the same file system; its sha256. An equal blob that is there already stays."""
        sha256 = sha256_of(path)
        target = self.path(sha256)
        target.parent.mkdir(exist_ok=True)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.replace(target)
        return sha256

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder on the cache's own file system, so that `adopt` is a rename."""
        with tempfile.TemporaryDirectory(dir=self.root, prefix="scratch-") as folder:
            yield Path(folder)
