"""Ways to a board that can be broken: a relay on loopback for everybody, and a real link for root.

    host ──tcp──► Relay ──tcp──► board's sshd        stall, reset, forsake, stall at byte n, delay

    host ─ veth ══════ veth ─ netns: board's sshd    link down and up, packets dropped, RST to both ends
    198.18.x.1              198.18.x.2

A stalled relay is a network that still acknowledges; a link that is down does not. Both happen.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self

CHUNK = 1 << 16
NAMESPACE = "explorer-test"
_links = itertools.count()


class Relay:
    """A port on loopback that leads to `target`; use it as a context manager.

    `to_board` and `from_board` count the bytes passed on; `delay_s` is added to every piece.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.delay_s = 0.0
        self.to_board = self.from_board = 0
        self._stall_at: float = float("inf")
        self._pairs: set[_Pair] = set()
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._in_loop(asyncio.start_server(self._serve, sock=self._socket))
        return self

    def __exit__(self, *_: object) -> None:
        self._in_loop(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def stall(self) -> None:
        """Pass nothing on, and let nobody know."""
        self._call(self._flows.clear)

    def stall_after(self, count: int) -> None:
        """Stall once `count` more bytes have gone to the board."""
        self._stall_at = self.to_board + count

    def go_on(self) -> None:
        """End a stall: what was held back arrives now."""
        self._stall_at = float("inf")
        self._call(self._flows.set)

    def reset(self) -> None:
        """Break every connection at both ends, as a firewall that was restarted would."""
        self._call(lambda: _each(self._pairs, _Pair.reset))

    def forsake(self) -> None:
        """Break every connection at the host's end alone: the board goes on believing in it."""
        self._call(lambda: _each(self._pairs, _Pair.forsake))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        try:
            board = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair((reader, writer), board)
        self._pairs.add(pair)
        pumps = self._pump(reader, board[1], pair, to_board=True), self._pump(board[0], writer, pair, to_board=False)
        try:
            await asyncio.gather(*pumps)
        finally:
            pair.reset()
            self._pairs.discard(pair)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, pair: _Pair, *, to_board: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(CHUNK):
                await self._flows.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if to_board:
                    await self._towards_board(piece, sink)
                elif not pair.forsaken:
                    self.from_board += len(piece)
                    sink.write(piece)
                    await sink.drain()
        if not pair.forsaken:
            with contextlib.suppress(OSError):
                sink.write_eof()

    async def _towards_board(self, piece: bytes, sink: asyncio.StreamWriter) -> None:
        while piece:
            room = self._stall_at - self.to_board
            now, piece = (piece, b"") if len(piece) <= room else (piece[: int(room)], piece[int(room) :])
            self.to_board += len(now)
            sink.write(now)
            await sink.drain()
            if self.to_board >= self._stall_at:
                self._flows.clear()
            await self._flows.wait()

    async def _end(self) -> None:
        self._server.close()
        self._stall_at = float("inf")
        self._flows.set()
        _each(self._pairs, _Pair.reset)
        if serving := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(serving, timeout=5)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next round

    def _in_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _call(self, act: Callable[[], Any]) -> None:
        async def do() -> None:
            act()

        self._in_loop(do())


class _Pair:
    """One connection through the relay."""

    def __init__(self, host: tuple[Any, asyncio.StreamWriter], board: tuple[Any, asyncio.StreamWriter]) -> None:
        self._host, self._board = host[1], board[1]
        self.forsaken = False

    def reset(self) -> None:
        self.forsaken = True
        for writer in (self._host, self._board):
            _abort(writer)

    def forsake(self) -> None:
        self.forsaken = True
        _abort(self._host)


def _each(pairs: set[_Pair], act: Callable[[_Pair], None]) -> None:
    for pair in tuple(pairs):
        act(pair)


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with a RST instead of a FIN."""
    with contextlib.suppress(OSError):  # closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def why_no_link() -> str:
    """Why a `Link` cannot be made here; empty when it can."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    missing = [tool for tool in ("ip", "nft", "ss", "tc") if shutil.which(tool) is None]
    if missing:
        return f"no {', '.join(missing)} on this machine"
    probe = subprocess.run(["ip", "netns", "add", f"{NAMESPACE}-{os.getpid()}-probe"], capture_output=True, text=True)
    if probe.returncode:
        return f"no network namespaces here: {probe.stderr.strip()}"
    _remove(f"{NAMESPACE}-{os.getpid()}-probe")
    return ""


class Link:
    """A network namespace at the other end of a cable; use it as a context manager.

    `prefix` runs a command over there. What a dead test process left behind is removed by the next Link anywhere.
    """

    def __init__(self) -> None:
        number = next(_links)
        self.name = f"{NAMESPACE}-{os.getpid()}-{number}"
        self._near, self._far = f"xt{os.getpid()}n{number}", f"xt{os.getpid()}f{number}"
        net = (os.getpid() * 16 + number) % (1 << 15) * 4  # a /30 of 198.18.0.0/15, which is there for tests
        self.host, self.board = (f"198.{18 + (net >> 16)}.{net >> 8 & 255}.{(net & 255) + end}" for end in (1, 2))
        self.prefix = ("ip", "netns", "exec", self.name)

    def __enter__(self) -> Self:
        _remove_stale()
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", self.name)
            _ip("addr", "add", f"{self.host}/30", "dev", self._near)
            _ip("link", "set", self._near, "up")
            for words in (("addr", "add", f"{self.board}/30", "dev", self._far), ("link", "set", "lo", "up")):
                _ip("-n", self.name, *words)
            self.up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _remove(self.name)

    def down(self) -> None:
        """Pull the cable at the board's end."""
        _ip("-n", self.name, "link", "set", self._far, "down")

    def up(self) -> None:
        """Plug it in again, and let packets pass."""
        _ip("-n", self.name, "link", "set", self._far, "up")
        self._nft("flush ruleset")

    def drop(self) -> None:
        """Lose every packet, somewhere on the way: both ends have their link."""
        chains = (
            f"chain {hook} {{ type filter hook {hook} priority 0; policy drop; }};" for hook in ("input", "output")
        )
        self._nft(f"table ip cut {{ {' '.join(chains)} }}")

    def slow(self, *, mbit: float) -> None:
        """Let no more through towards the board than that."""
        shape = ("root", "tbf", "rate", f"{mbit}mbit", "burst", "64kb", "latency", "400ms")
        subprocess.run(["tc", "qdisc", "replace", "dev", self._near, *shape], check=True, capture_output=True)

    def sent_bytes(self) -> int:
        """Bytes that have left the host for the board, headers and all."""
        with open(f"/sys/class/net/{self._near}/statistics/tx_bytes") as file:
            return int(file.read())

    def reset(self) -> None:
        """Break every connection at both ends."""
        for prefix, peer in ((self.prefix, self.host), ((), self.board)):
            subprocess.run([*prefix, "ss", "-K", "dst", peer], check=True, capture_output=True)

    def _nft(self, rules: str) -> None:
        subprocess.run([*self.prefix, "nft", rules], check=True, capture_output=True)


def _ip(*words: str) -> None:
    found = subprocess.run(["ip", *words], capture_output=True, text=True)
    if found.returncode:
        raise OSError(f"ip {' '.join(words)}: {found.stderr.strip()}")


def _remove_stale() -> None:
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    for name in (line.split()[0] for line in listed.splitlines() if line.startswith(f"{NAMESPACE}-")):
        if not os.path.exists(f"/proc/{name.split('-')[2]}"):
            _remove(name)


def _remove(name: str) -> None:
    """End what runs in the namespace `name`, and it with its cable."""
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
    for pid in map(int, pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
