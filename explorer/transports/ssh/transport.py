"""An agent on a board, over one channel of one SSH connection.

outgoing ─► channel ─► agent's stdin          a write that gets nowhere for STALL_S raises TimeoutError
incoming ◄─ channel ◄─ agent's stdout         a read ends when the board, the link or we end it
last_words  ◄──────── agent's stderr, and how it ended
"""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import paramiko

from explorer import transports
from explorer.errors import NoDevice
from explorer.transports import bootstrap
from explorer.transports.ssh.address import Address
from explorer.transports.ssh.config import route
from explorer.transports.ssh.link import WINDOW, Link
from explorer.transports.ssh.pipe import Pipe

LAST_WORDS = 4000
GOODBYE_S = 10.0  # for an agent to end its job when its stdin ends
BUFFER = 1 << 18
PACKET = (1 << 15) - 64  # of data in one SSH packet, as OpenSSH and the library agree
_TICK_S = 0.5


class SshTransport:
    """A running agent on a board."""

    def __init__(
        self,
        spec: str,
        bundle: Path,
        sha256: str,
        *,
        words: Sequence[str] = (),
        python: str = "python3",
        home: str = bootstrap.HOME,
        identity_file: str = "",
        password_env: str = "",
    ) -> None:
        """Log in and start it, sending the bundle if the board does not have it.

        Args:
            spec: ``ssh://[user@]host[:port]``.
            bundle: the agent's file.
            sha256: the bundle's.
            words: the agent's command line after ``serve``, without ``--home``.
            python: the interpreter on the board.
            home: the agent's folder on the board.
            identity_file: a private key to log in with, instead of those of ~/.ssh/config.
            password_env: environment variable that holds the password of the board's account.

        Raises:
            NoDevice: it cannot be reached, or the agent cannot be started; why, and what to do.
            BadInput: `spec` is no address.
        """
        agent = bootstrap.Agent(bundle, sha256, tuple(words), home, python)
        self._link = Link(route(Address.of(spec), identity_file=identity_file), password_env=password_env)
        self._closed = False
        try:
            self._channel = _channel(self._link, bootstrap.command(agent))
            self._raw = _Incoming(self._channel)
            self.incoming: BinaryIO = io.BufferedReader(self._raw, BUFFER)
            self.outgoing: BinaryIO = cast(BinaryIO, _Outgoing(self._channel, self._link.pipe))
            self.sent_bytes = bootstrap.start(self, agent, str(self._link.hop))
        except BaseException:
            self._link.close()
            raise

    def wait_until(self, deadline: float | None) -> None:
        """A read past `deadline` (time.monotonic) raises TimeoutError; None: no read does."""
        self._raw.deadline = deadline

    def last_words(self) -> str:
        if not self._closed:
            self._channel.status_event.wait(0.3)  # a stream ends a moment before its process does
        text = self._raw.complaints().decode("utf-8", "replace").strip()
        return "\n".join(part for part in (text, self._ending()) if part)

    def _ending(self) -> str:
        status = self._channel.exit_status
        if status > 128:  # as a shell says it
            return f"the agent ended with status {status}, as of signal {status - 128}"
        if status >= 0:
            return f"the agent ended with status {status}"
        if self._closed:
            return ""
        if not self._link.transport.is_active():
            why = _words(self._link.transport.saved_exception)
            return f"the connection to {self._link.hop} broke" + (f": {why}" if why else "")
        return "the agent was killed by a signal" if self._channel.eof_received else ""

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        goodbye = threading.Thread(target=self._say_goodbye, daemon=True)  # on a dead link it would wait for long
        goodbye.start()
        goodbye.join(GOODBYE_S)
        self._link.close()
        self.incoming.close()  # waits for a reader in another thread, which is at the end of the stream now

    def _say_goodbye(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # nobody there to say it to
            self._channel.shutdown_write()
            if self._link.transport.is_active():
                self._channel.status_event.wait(GOODBYE_S)


class _Incoming(io.RawIOBase):
    """What the far side prints; what it complains of on stderr is taken off too, or it would fill the channel."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._complaints = b""
        self._lock = threading.Lock()
        self.deadline: float | None = None

    def complaints(self) -> bytes:
        """The tail of stderr."""
        with self._lock:
            while self._channel.recv_stderr_ready():
                self._complaints = (self._complaints + self._channel.recv_stderr(BUFFER))[-LAST_WORDS:]
            return self._complaints

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            self.complaints()
            if self.deadline is not None and time.monotonic() > self.deadline:  # even if a byte comes now and then
                raise TimeoutError("the far side takes too long")
            try:
                data = self._channel.recv(len(buffer))
            except TimeoutError:
                continue
            buffer[: len(data)] = data
            return len(data)


class _Outgoing(io.RawIOBase):
    """What the far side reads; everything that is written is on its way when `write` returns."""

    def __init__(self, channel: paramiko.Channel, pipe: Pipe) -> None:
        self._channel = channel
        self._pipe = pipe

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        whole = memoryview(data).cast("B")
        try:
            with self._pipe.together():
                for begin in range(0, len(whole), PACKET):
                    self._send(bytes(whole[begin : begin + PACKET]))
        except (paramiko.SSHException, EOFError) as error:
            raise BrokenPipeError(str(error) or "the connection broke") from error
        return len(whole)

    def _send(self, packet: bytes) -> None:
        moved = time.monotonic()
        while packet:
            if not self._channel.send_ready():
                self._pipe.flush()  # the far side cannot make room for more before it has these
            try:
                sent = self._channel.send(packet)
            except TimeoutError:
                if time.monotonic() - moved > transports.STALL_S:
                    raise TimeoutError(f"nothing was taken for {transports.STALL_S:.0f} s") from None
                continue
            if not sent:
                raise BrokenPipeError("the far side has closed the channel")
            packet, moved = packet[sent:], time.monotonic()


def _channel(link: Link, command: str) -> paramiko.Channel:
    try:
        channel = link.transport.open_session(window_size=WINDOW)
        channel.settimeout(_TICK_S)
        channel.exec_command(command)
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise NoDevice(f"{link.hop}: logged in, but no command may be run there: {error}") from error
    return channel


def _words(error: BaseException | None) -> str:
    """What the system says of a broken connection; nothing for one that just ended."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error or "")
