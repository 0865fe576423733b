"""Files and folders below the agent's home, opened so that nothing put there by others leads out of it; and the order
in which they were used.

A symlink is never followed: a file that is one counts as absent and is replaced, a folder that is one is refused.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import BinaryIO, Iterable, Iterator

_USE_NS = 10**9  # one use is "a second": file systems round to a microsecond, or to two seconds


def folder(path: Path) -> Path:
    """`path` as a folder of our own, made if there is none.

    Raises:
        OSError: something else is in its place.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise NotADirectoryError(f"{path} is no folder of ours: remove what is there")
    return path


def own(path: Path) -> None:
    """Have `path` be a folder into which nobody but this user puts anything; made if there is none.

    Raises:
        OSError: it belongs to somebody else.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = path.stat()
    if facts.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user: choose a folder of your own")
    if facts.st_mode & 0o022:
        path.chmod(facts.st_mode & 0o7755)


def size(path: Path) -> int | None:
    """The size of the plain file `path`; None when there is none, or something else."""
    try:
        facts = path.lstat()
    except OSError:  # its folder may be missing, or be a file
        return None
    return facts.st_size if stat.S_ISREG(facts.st_mode) and not path.parent.is_symlink() else None


def remove(path: Path) -> None:
    """Remove the file or symlink `path`, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def to_read(path: Path) -> BinaryIO:
    """`path` opened to be read; never through a symlink."""
    return os.fdopen(os.open(str(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def to_write(path: Path, *, append: bool = False) -> BinaryIO:
    """`path` opened to be written; whatever else is in its place is removed first."""
    if size(path) is None:
        remove(path)
    how = os.O_APPEND if append else os.O_TRUNC
    fd = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | how, 0o600)
    return os.fdopen(fd, "ab" if append else "wb")


def plain_files(*folders: Path) -> Iterator[Path]:
    """The plain files in `folders` and in folders in them."""
    for place in folders:
        with os.scandir(str(place)) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from plain_files(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry.path)


class Uses:
    """The order in which files were used, kept in their modification times as a count and not as a time: a board
    without a clock of its own lives through 1970 at every start.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._last_ns = max((path.lstat().st_mtime_ns for path in files), default=0)

    def touch(self, path: Path) -> None:
        """`path` is used now."""
        self._last_ns += _USE_NS
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to change: it only keeps its place in the row
            os.utime(str(path), ns=(self._last_ns, self._last_ns), follow_symlinks=False)


def oldest_first(files: Iterable[Path]) -> list[Path]:
    """`files` in the order of their last use."""
    return sorted(files, key=lambda path: path.lstat().st_mtime_ns)
