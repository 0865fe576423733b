"""The broken networks the other tests stand on, themselves on trial."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from network import Link, Relay, why_no_link

ECHO = """
import socketserver, sys

class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)

server = socketserver.ThreadingTCPServer((sys.argv[1], 0), Echo)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@contextmanager
def echo(address: str, *prefix: str) -> Iterator[int]:
    """A server that says what it hears, a thread each connection; its port."""
    command = [*prefix, sys.executable, "-c", ECHO, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.kill()


@pytest.fixture
def relay() -> Iterator[Relay]:
    with echo("127.0.0.1") as port, Relay(("127.0.0.1", port)) as relay:
        yield relay


def call(address: str, port: int) -> socket.socket:
    line = socket.create_connection((address, port), timeout=30)
    assert answer(line, b"hello") == b"hello"
    return line


def answer(line: socket.socket, words: bytes) -> bytes:
    line.sendall(words)
    heard = b""
    while len(heard) < len(words):
        heard += line.recv(65536)
    return heard


def silent(line: socket.socket) -> bool:
    line.settimeout(0.5)
    try:
        line.recv(1)
    except TimeoutError:
        return True
    finally:
        line.settimeout(30)
    return False


def test_a_relay_passes_on_stalls_and_goes_on(relay: Relay) -> None:
    with call("127.0.0.1", relay.port) as line:
        assert relay.to_board == relay.from_board == 5
        relay.stall()
        line.sendall(b"late")
        assert silent(line)
        relay.go_on()
        assert line.recv(9) == b"late"


def test_a_relay_stalls_at_a_byte(relay: Relay) -> None:
    with call("127.0.0.1", relay.port) as line:
        relay.stall_after(3)
        line.sendall(b"abcdef")
        assert silent(line)
        assert relay.to_board == 8
        relay.go_on()
        assert line.recv(9)


def test_a_relay_breaks_connections(relay: Relay) -> None:
    with call("127.0.0.1", relay.port) as line:
        relay.reset()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    with call("127.0.0.1", relay.port) as line:
        relay.forsake()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    call("127.0.0.1", relay.port).close()


@pytest.fixture
def link() -> Iterator[Link]:
    if reason := why_no_link():
        pytest.skip(reason)
    with Link() as link:
        yield link


@pytest.mark.parametrize("how", ["down", "drop"])
def test_a_link_goes_and_comes_back(link: Link, how: str) -> None:
    with echo(link.board, *link.prefix) as port, call(link.board, port) as line:
        getattr(link, how)()
        line.sendall(b"late")
        assert silent(line)
        link.up()
        assert line.recv(9) == b"late"  # TCP tries again
        link.reset()
        with pytest.raises(ConnectionError):
            answer(line, b"anybody there?")


def test_what_a_dead_process_left_is_removed(link: Link) -> None:
    died = subprocess.run(
        [sys.executable, "-c", "from network import Link; l = Link(); l.__enter__(); print(l.name)"],
        cwd=__file__.rpartition("/")[0],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    names = ["ip", "netns", "list"]
    assert died in subprocess.run(names, check=True, capture_output=True, text=True).stdout
    with Link():
        assert died not in subprocess.run(names, check=True, capture_output=True, text=True).stdout
    until = time.monotonic() + 30
    while died.split("-")[2] in subprocess.run(["ip", "link"], capture_output=True, text=True).stdout:
        assert time.monotonic() < until, "its cable is gone too"
        time.sleep(0.1)
