"""Between the SSH library and the network: fewer, larger steps, and an end to waiting.

The library reads a packet in two steps and writes each of 32 KiB by itself. Here a read takes what has come, and while
a file is sent several packets leave together: half the work in the kernel, and the far side is woken less often.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

AHEAD = 1 << 17
TOGETHER = 1 << 18


class Pipe:
    """What the library takes for its socket; one of its threads reads, any may write."""

    def __init__(self, under: Any, *, stall_s: float) -> None:
        """Wrap `under`, a socket or a channel; the connection ends when it takes nothing for `stall_s`."""
        self._under = under
        self._stall_s = stall_s
        self._ahead = memoryview(b"")
        self._late: list[bytes] = []
        self._late_size = 0
        self._patient = 0  # the thread whose packets may be held back
        self._lock = threading.Lock()
        self._closed = False  # the library looks for this name

    def recv(self, size: int) -> bytes:
        if not self._ahead:
            self._ahead = memoryview(self._under.recv(AHEAD))
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return bytes(taken)

    def send(self, data: bytes) -> int:
        with self._lock:
            self._late.append(data)
            self._late_size += len(data)
            if self._late_size >= TOGETHER or self._patient != threading.get_ident():
                self._flush()
        return len(data)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Meanwhile packets of this thread may be held back until there are several, or until `flush`."""
        self._patient = threading.get_ident()
        try:
            yield
            self.flush()
        finally:
            self._patient = 0

    def flush(self) -> None:
        """Send what is held back.

        Raises:
            OSError: the connection is over.
        """
        with self._lock:
            self._flush()

    def settimeout(self, seconds: float | None) -> None:
        self._under.settimeout(seconds)

    def getpeername(self) -> Any:
        return self._under.getpeername()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):  # closed already, or never connected
            if isinstance(self._under, socket.socket):
                self._under.shutdown(socket.SHUT_RDWR)  # wakes who waits in it, which closing alone does not
        self._under.close()

    def _flush(self) -> None:
        left = memoryview(b"".join(self._late))
        self._late, self._late_size = [], 0
        moved = time.monotonic()
        try:
            while left:
                if sent := self._some(left):
                    left, moved = left[sent:], time.monotonic()
                elif time.monotonic() - moved > self._stall_s:
                    raise BrokenPipeError(f"the network took nothing for {self._stall_s:.0f} s")
        except OSError:
            self.close()  # part of a packet has left: nothing can follow it
            raise

    def _some(self, data: memoryview) -> int:
        try:
            sent = int(self._under.send(data))
        except TimeoutError:
            return 0
        if not sent:
            raise BrokenPipeError("the connection was closed")
        return sent
