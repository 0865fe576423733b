"""A logged-in SSH connection, over as many hops as it takes; every way to fail has its sentence.

our socket ──► hop 1 ──► hop 2 ──► board            each hop: host key first, then login
   │ TCP_NODELAY, keepalive, TCP_USER_TIMEOUT: a link that is cut is noticed within some 20 s
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
from typing import Any, cast

import paramiko

from explorer import transports
from explorer.errors import NoDevice
from explorer.transports.ssh.config import Hop
from explorer.transports.ssh.known_hosts import KnownHosts
from explorer.transports.ssh.login import PASSWORD_VARIABLE, log_in
from explorer.transports.ssh.pipe import Pipe

CONNECT_S = 15.0
HANDSHAKE_S = 30.0  # banner, key exchange, login: a small board takes its time
KEEPALIVE_S = 5
UNANSWERED_MS = 15_000  # TCP gives up when what it sent stays without an answer for that long
WINDOW = 1 << 21  # of what may come in unread; the library moves all of it at every read, so more would be slower
# AES in GCM encrypts and proves in one pass, in hardware; the others follow in the library's own order.
FASTEST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")

# What breaks is told once, by whoever notices; the library would print its own line on stderr besides.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Link:
    """The connection to the board and what it goes through."""

    def __init__(self, hop: Hop, *, password_env: str = "") -> None:
        """Connect and log in.

        Raises:
            NoDevice: why not, and what to do.
        """
        self._ends = contextlib.ExitStack()
        self.hop = hop
        try:
            self.transport = self._reach(hop, password_env or PASSWORD_VARIABLE)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every hop; may be called twice."""
        self._ends.close()

    def _reach(self, hop: Hop, password_variable: str) -> paramiko.Transport:
        self.pipe = Pipe(self._pipe(hop), stall_s=transports.STALL_S)
        link = self._shake_hands(hop, self.pipe)
        log_in(link, hop, password_variable=password_variable)
        link.set_keepalive(KEEPALIVE_S)
        return link

    def _pipe(self, hop: Hop) -> Any:
        """Something like a socket that ends at the hop's SSH server."""
        if hop.via is not None:
            return _through(self._reach(hop.via, ""), hop)  # the board's password is none of the gateway's business
        if hop.command:
            return self._commanded(hop)
        return _dial(hop)

    def _shake_hands(self, hop: Hop, pipe: Pipe) -> paramiko.Transport:
        known = KnownHosts(hop)
        link = paramiko.Transport(cast(socket.socket, pipe), default_window_size=WINDOW)
        self._ends.callback(link.close)
        link.banner_timeout = link.auth_timeout = link.channel_timeout = HANDSHAKE_S
        choices = link.get_security_options()
        choices.ciphers = [*(name for name in FASTEST if name in choices.ciphers), *_others(choices.ciphers, FASTEST)]
        first = _algorithms(known.kinds())
        choices.key_types = [*(name for name in first if name in choices.key_types), *_others(choices.key_types, first)]
        try:
            link.start_client(timeout=HANDSHAKE_S)
            shown = link.get_remote_server_key()
        except (paramiko.SSHException, EOFError, OSError) as error:
            what = (
                f"its ProxyCommand leads to no SSH server ({hop.command})" if hop.command else "no SSH server answers"
            )
            raise NoDevice(f"{hop}: {what}: {_words(error)}") from error
        known.check(shown)
        return link

    def _commanded(self, hop: Hop) -> socket.socket:
        """The user's own ProxyCommand; host and user in it were found to be plain words."""
        ours, theirs = socket.socketpair()
        self._ends.callback(ours.close)
        with theirs:
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {hop.command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                start_new_session=True,
            )
        self._ends.callback(_end, process)
        return ours


def _dial(hop: Hop) -> socket.socket:
    try:
        places = socket.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise NoDevice(
            f"{hop}: the name {hop.host} cannot be resolved ({error}); is it spelled right, and is there a network?"
        ) from error
    failures: list[OSError] = []
    for family, kind, protocol, _, place in places:
        try:
            return _dialled(family, kind, protocol, place)
        except OSError as error:
            failures.append(error)
    raise NoDevice(_unreachable(hop, failures[0])) from failures[0]


def _dialled(family: int, kind: int, protocol: int, place: Any) -> socket.socket:
    pipe = socket.socket(family, kind, protocol)
    try:
        pipe.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipe.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        pipe.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        pipe.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
        pipe.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
        pipe.settimeout(CONNECT_S)
        pipe.connect(place)
    except OSError:
        pipe.close()
        raise
    return pipe


def _unreachable(hop: Hop, error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"{hop}: connection refused: the board is there, but no SSH server listens on port {hop.port}"
    if isinstance(error, TimeoutError):
        return f"{hop}: no answer within {CONNECT_S:.0f} s; is the board on, and is there a way to its network?"
    return f"{hop}: cannot connect: {error.strerror or error}; is the board on, and in this network?"


def _through(gateway: paramiko.Transport, hop: Hop) -> paramiko.Channel:
    try:
        return gateway.open_channel("direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=HANDSHAKE_S)
    except (paramiko.SSHException, EOFError, OSError) as error:
        via = hop.via
        raise NoDevice(
            f"{hop}: the jump host {via} cannot connect to it: {_words(error)}; try  ssh {via.alias if via else ''}"
        ) from error


def _algorithms(kinds: list[str]) -> list[str]:
    """What to ask for to be shown a key of one of `kinds`: an RSA key signs in two ways."""
    return [name for kind in kinds for name in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))]


def _others(names: Any, first: Any) -> list[str]:
    return [name for name in names if name not in first]


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
