"""Files known by their sha256, below the agent's home; a name from the wire is checked before it becomes part of a
path.

    blobs/9f/86d081…       complete and verified since this board was started
    unproven/9f86d081…     complete and verified, but before the board was last started
    parts/9f86d081…        on their way in; a transfer that broke off goes on where it stopped

A file is not flushed to the disk when it arrives: on a memory card that would take as long as sending it. But then the
power may go before the disk has all of it, and leave a file that is not what its name says. So what is older than the
board's last start is hashed again before its first use.

There is a limit to what is kept. What was used longest ago makes way: first what this host has not been told of, then
what it has (it hears "missing" when it asks for that, and sends it again), never what a job needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Iterable

from explorer_agent import disk, places
from explorer_agent.messages import FAILED, AgentError
from explorer_agent.wire import CHUNK, ProtocolError

PARTS = 4  # transfers that broke off, of which the bytes are kept
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def checked(sha256: object) -> str:
    """`sha256` if it is one.

    Raises:
        ProtocolError: it is anything else; it may be an attempt at a path.
    """
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        raise ProtocolError(f"a sha256 is 64 lower-case hex digits, not {sha256!r:.100}")
    return sha256


class Blobs:
    """The store. One process writes it: the agent holds the lock of its home."""

    def __init__(self, home: Path, *, room_gb: float = 0.0, boot_id: Path = _BOOT_ID) -> None:
        self.place = home
        self._blobs, self._unproven, self._parts = (
            places.folder(home / name) for name in ("blobs", "unproven", "parts")
        )
        self._lock = threading.RLock()  # the thread that reads and the foreman's both come here
        self._lent: Counter[str] = Counter()
        self._told: set[str] = set()
        self._tidy(boot_id)
        files = list(self._files())
        self._uses = places.Uses(files)
        self._used = sum(path.lstat().st_size for path in files)
        self.room = disk.room_bytes(home, self._used, room_gb=room_gb)

    def path(self, sha256: str) -> Path:
        """Where `sha256` lies or would lie."""
        name = checked(sha256)
        return self._blobs / name[:2] / name[2:]

    def here(self, sha256: str) -> bool:
        """Whether the file `sha256` is here; the host is told so, and may rely on it."""
        with self._lock:
            path = self.path(sha256)
            if places.size(path) is None and not self._proven(sha256):
                return False
            self._told.add(sha256)
            self._uses.touch(path)
            return True

    def borrow(self, *wanted: tuple[str, str]) -> Loan:
        """Files for a job, (sha256, what it is) each; none of them is removed until the loan is given back.

        Raises:
            AgentError: missing: one was never sent here, or is gone.
        """
        with self._lock:
            for sha256, what in wanted:
                if not self.here(sha256):
                    text = f"the {what} {sha256[:12]}… is not on this device"
                    raise AgentError(FAILED, text, hint="send it with put first", cause="missing", sha256=sha256)
            return Loan(self._lent, self._lock, [(sha256, self.path(sha256)) for sha256, _ in wanted])

    def arrived(self, sha256: str) -> int:
        """Bytes of an unfinished transfer that are here already."""
        return places.size(self._parts / checked(sha256)) or 0

    def scratch(self) -> Path:
        """A new empty file to be filled and then adopted."""
        handle, name = tempfile.mkstemp(dir=str(self._parts), prefix="new-")
        os.close(handle)
        return Path(name)

    def adopt(self, path: Path) -> str:
        """Take a file written here into the store; returns its sha256. The newest stays, however large."""
        sha256 = sha256_of(path)
        with self._lock:
            size = path.stat().st_size
            self._evict(adding=size, lacking=0)
            self._settle(path, sha256, size)
        return sha256

    def receive(self, sha256: str, chunks: Iterable[bytes], *, size: int, offset: int) -> int:
        """Append `chunks` to the transfer of `sha256` at `offset`; verified and moved into place once `size` bytes
        are here.

        Returns:
            How many of its bytes are here.

        Raises:
            ProtocolError: the offset is not where the last transfer stopped, or the stream was cut.
            AgentError: failed: no room, or the bytes are not those of that sha256.
        """
        part = self._parts / checked(sha256)
        if offset and offset != self.arrived(sha256):
            raise ProtocolError(f"transfer of {sha256[:12]}… continues at {self.arrived(sha256)}, not at {offset}")
        with Loan(self._lent, self._lock, [(sha256, part)]):
            self.make_room(size - offset)
            try:
                return self._append(part, sha256, chunks, size, offset)
            except OSError as error:
                places.remove(part)
                raise disk.as_error(error, f"receiving {sha256[:12]}…") from error
            finally:
                self._uses.touch(part)

    def make_room(self, needed: int) -> None:
        """Have room for `needed` more bytes in the store.

        Raises:
            AgentError: disk: even without all that may go there is none.
        """
        with self._lock:
            if self._evict(adding=needed, lacking=needed - disk.free_bytes(self.place)):
                free, left = disk.free_bytes(self.place), max(0, self.room - self._used)
                limit = f" of the {self.room // 10**6} MB that may be kept there" if left < free else ""
                raise disk.no_room(self.place, needed=needed, free=min(free, left), why=limit)

    def free_disk(self, needed: int) -> None:
        """Have `needed` bytes free on the disk, for what is not counted here.

        Raises:
            AgentError: disk: as for `make_room`.
        """
        with self._lock:
            if self._evict(adding=0, lacking=needed - disk.free_bytes(self.place)):
                raise disk.no_room(self.place, needed=needed, free=disk.free_bytes(self.place))

    def _append(self, part: Path, sha256: str, chunks: Iterable[bytes], size: int, offset: int) -> int:
        state = _hash_of(part) if offset else hashlib.sha256()
        arrived = offset
        with places.to_write(part, append=bool(offset)) as out:
            for chunk in chunks:
                arrived += len(chunk)
                if arrived > size:
                    break
                state.update(chunk)
                out.write(chunk)
        if arrived < size:
            return arrived
        if arrived > size or state.hexdigest() != sha256:
            places.remove(part)
            text = f"transfer damaged: other bytes arrived than those of {sha256[:12]}…"
            raise AgentError(FAILED, text, hint="send it again", cause="missing", sha256=sha256)
        with self._lock:
            self._settle(part, sha256, size)
        return arrived

    def _settle(self, path: Path, sha256: str, size: int) -> None:
        target = self.path(sha256)
        self._used += size - (places.size(target) or 0)
        places.folder(target.parent)
        os.replace(str(path), str(target))
        self._told.add(sha256)
        self._uses.touch(target)

    def _proven(self, sha256: str) -> bool:
        """Whether `sha256` was here when the board was started, and still is what its name says."""
        old = self._unproven / sha256
        size = places.size(old)
        if size is None:
            return False
        self._used -= size
        if sha256_of(old) != sha256:  # the power went before it was on the disk
            places.remove(old)
            return False
        self._settle(old, sha256, size)
        return True

    def _evict(self, *, adding: int, lacking: int) -> bool:
        """Remove what may go until the store has room for `adding` bytes more, and the disk `lacking` bytes more;
        True if that was not enough.
        """
        if lacking <= 0 and (not adding or self._used + adding <= self.room):
            return False
        files = {path: self._name(path) for path in places.oldest_first(self._files())}
        self._used = sum(path.lstat().st_size for path in files)  # unfinished transfers have grown meanwhile
        over = self._used + adding - self.room if adding else 0
        may_go = [path for path, name in files.items() if not self._lent[name] and not name.startswith("new-")]
        for path in sorted(may_go, key=lambda path: files[path] in self._told):  # a stable sort: by use within each
            if over <= 0 and lacking <= 0:
                break
            size = path.lstat().st_size
            places.remove(path)
            self._told.discard(files[path])
            self._used, over, lacking = self._used - size, over - size, lacking - size
        return over > 0 or lacking > 0

    def _name(self, path: Path) -> str:
        return path.parent.name + path.name if path.parent.parent == self._blobs else path.name

    def _files(self) -> Iterable[Path]:
        return places.plain_files(self._blobs, self._unproven, self._parts)

    def _tidy(self, boot_id: Path) -> None:
        """Remove what a crash left half done, and see whether the board was started anew."""
        parts = places.oldest_first(places.plain_files(self._parts))
        whole = [path for path in parts if _SHA256.fullmatch(path.name)]
        for path in {*parts} - {*whole[-PARTS:]}:
            places.remove(path)
        last, now = self.place / "boot", boot_id.read_text(encoding="ascii") if boot_id.is_file() else ""
        if not now or places.size(last) is None or last.read_text(encoding="ascii", errors="replace") != now:
            for path in places.plain_files(self._blobs):
                os.replace(str(path), str(self._unproven / self._name(path)))
            with contextlib.suppress(OSError), places.to_write(
                last
            ) as file:  # no room: all is looked at again next time
                file.write(now.encode("ascii"))


class Loan:
    """Files that must stay where they are until they are given back."""

    def __init__(self, lent: Counter[str], lock: Any, files: list[tuple[str, Path]]) -> None:
        self.paths = [path for _, path in files]
        self._names = [sha256 for sha256, _ in files]
        self._lent = lent
        self._lock = lock
        with lock:
            lent.update(self._names)

    def back(self) -> None:
        """Give them back; may be called twice."""
        with self._lock:
            self._lent.subtract(self._names)
            self._names = []

    def __enter__(self) -> Loan:
        return self

    def __exit__(self, *_: Any) -> None:
        self.back()


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes."""
    return str(_hash_of(path).hexdigest())


def _hash_of(path: Path) -> Any:
    state = hashlib.sha256()
    with places.to_read(path) as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            state.update(chunk)
    return state
