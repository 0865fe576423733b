"""The agent's ends of the two byte streams: nothing here waits for ever on a host that is there no longer.

    host ══► Incoming ──► Reader       no byte for the lease's seconds: reads as the end of the stream
    host ◄══ Outgoing ◄── Writer       no progress for as long (STALL_S without a lease): TimeoutError
                 ▲
               Link.hang_up(why)       from a signal or another thread: both ends are over at once

A link that broke seldom says so: the far end of a cable that was pulled out sends nothing, and a pipe to a process that
stands still stays full. What is not heard of for long enough is taken to be gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import math
import os
import select
import signal
import stat
import time
from typing import Any, BinaryIO, cast

STALL_S = 60.0
F_SETPIPE_SZ = 1031  # of Linux; Python 3.10 knows it by name
PIPE_BYTES = 1 << 20  # the most an ordinary user gets; fewer changes between the two processes
_BUFFER = 1 << 18
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)


class Link:
    """What both ends have in common: when the host was last heard, and why it is over."""

    def __init__(self) -> None:
        self.why = ""  # it is over; empty while it is not
        self.hurry = False  # the agent is to end at once, whatever is under way
        self.lease_s = 0.0  # 0: the host may be silent for as long as it likes
        self.heard_s = time.monotonic()
        self.woken, self._wake = os.pipe()  # readable once it is over, so that whoever waits wakes up
        os.set_blocking(self._wake, False)

    def hang_up(self, why: str) -> None:
        """Be over; may be called from a signal handler, and twice."""
        self.why = self.why or why
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"x")

    def wake_on_signals(self) -> None:
        """Have every signal that is handled wake whoever waits. The kernel gives it to any thread it likes, and the one
        that waits here, the only one in which Python handles it, would sleep on.
        """
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def left_s(self) -> float | None:
        """Seconds until the lease runs out; None without one."""
        return max(0.0, self.heard_s + self.lease_s - time.monotonic()) if self.lease_s else None


class Incoming(io.RawIOBase):
    """Reads what the host sends; ends with its stream, its lease or the link."""

    def __init__(self, fd: int, link: Link) -> None:
        self._fd = fd
        self._link = link
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(link.woken, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._link.why:
            ready = self._poll.poll(_milliseconds(self._link.left_s()))
            if not ready:  # bytes that wait to be read count as heard: the poll sees them before the clock
                self._link.hang_up(f"the host was silent for {self._link.lease_s:.0f} s")
            elif any(fd == self._fd for fd, _ in ready) and not self._link.why:
                count = self._read(buffer)
                if count is not None:
                    return count
        return 0

    def _read(self, buffer: Any) -> int | None:
        try:
            count = os.readv(self._fd, [buffer])
        except BlockingIOError:
            return None
        except OSError as error:  # a reset connection, a closed terminal: the end of the stream, and its reason
            self._link.hang_up(str(error))
            return 0
        self._link.heard_s = time.monotonic()
        return count

    def ended(self) -> bool:
        """Whether the host has hung up, found out without reading."""
        poll = select.poll()
        poll.register(self._fd, _GONE)
        return bool(self._link.why or poll.poll(0))


class Outgoing(io.RawIOBase):
    """Writes to the host; a host that takes nothing for too long is gone.

    The descriptor is made non-blocking: a pipe that poll calls writable may still block whoever writes more than a
    page.
    """

    def __init__(self, fd: int, link: Link) -> None:
        self._fd = fd
        self._link = link
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._poll.register(link.woken, select.POLLIN)
        if _is_channel(fd):
            os.set_blocking(fd, False)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Write all of `data`.

        Raises:
            OSError: the host does not read any more.
        """
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            if self._link.why:
                raise BrokenPipeError(f"the link is over: {self._link.why}")
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                self._wait()
        return size

    def _wait(self) -> None:
        patience_s = self._link.lease_s or STALL_S
        if not self._poll.poll(_milliseconds(patience_s)):
            self._link.hang_up(f"the host has read nothing for {patience_s:.0f} s")
            raise TimeoutError(self._link.why)


def claim(link: Link) -> tuple[Incoming, BinaryIO, BinaryIO]:
    """Take stdin and stdout for the protocol; what the program itself reads from then on is empty, what it prints
    goes to stderr.

    Returns:
        The raw end that hears the host, the same buffered, and the end that speaks to it.
    """
    fds = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    for fd in fds:
        with contextlib.suppress(OSError):  # no pipe, or this user's pipes are used up: slower, and as good
            fcntl.fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES)
    incoming = Incoming(fds[0], link)
    return incoming, cast(BinaryIO, io.BufferedReader(incoming, _BUFFER)), cast(BinaryIO, Outgoing(fds[1], link))


def _is_channel(fd: int) -> bool:
    """Whether `fd` is a pipe or a socket: a terminal's mode would be changed for the user's shell as well."""
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else math.ceil(seconds * 1000)
