"""What the way to a board costs: explorer over SSH against scp, on the same file, through the same OpenSSH server on
loopback, in alternating rounds.

    host ══ ssh ══► sshd ──► agent        cold │ unchanged │ round trip │ cut at 90 %, then resumed
    scp  ══ ssh ══► sshd ──► sftp-server  cold

    python benchmarks/transfer.py [--megabytes 200] [--rounds 5]

Both sides end with the file on the same disk; explorer's has been verified by its sha256 besides. Logging in is
counted on neither side: of scp's time that for an empty file is taken off. The file's sha256 is known beforehand, as it
is for every artefact that a study sends. Who goes first changes from round to round, and what is to be written to the
disk is written before either. Exits 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import paramiko

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from sshd import Sshd

from explorer.artifacts import sha256_of
from explorer.device import Device, connect
from explorer.errors import DeviceLost
from explorer.transports.ssh.address import Address
from explorer.transports.ssh.config import route
from explorer.transports.ssh.link import Link

# The bars: ratio to scp cold, ratio to scp unchanged, milliseconds, share sent again.
COLD, UNCHANGED, ROUND_TRIP_MS, SENT_AGAIN = 1.0, 50.0, 1.0, 0.12
CUT_AT = 0.9
ROUND_TRIPS = 1001
OPTIONS = {"plugins": ["explorer_agent.testing"], "runtimes": ["fake"]}


def main() -> int:
    given = arguments()
    with tempfile.TemporaryDirectory() as name, Sshd(Path(name) / "board") as board, board.client():
        folder = Path(name)
        print(f"{given.megabytes} MB of random bytes, {os.cpu_count()} cores, {given.rounds} rounds")
        passed = [
            transfers(board, folder, given.megabytes, given.rounds),
            round_trips(board, folder),
            resumed(board, folder, given.megabytes),
        ]
    return 0 if all(passed) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def transfers(board: Sshd, folder: Path, megabytes: int, rounds: int) -> bool:
    """Cold and unchanged, against scp."""
    scp_s, cold_s, unchanged_s = [], [], []
    for number in range(rounds):
        file, empty = random_file(folder / "file", megabytes), random_file(folder / "empty", 0)
        sha256 = sha256_of(file)
        steps = [
            lambda: scp_s.append(scp(board, file, folder / "copy") - scp(board, empty, folder / "copy")),  # noqa: B023
            lambda: cold_s.append(sent(board, folder, file, sha256)),  # noqa: B023
        ]
        for step in steps[:: -1 if number % 2 else 1]:
            os.sync()
            step()
        unchanged_s.append(sent(board, folder, file, sha256))
        shutil.rmtree(board.agent_home / "blobs")  # as scp's copy goes: neither is to fill the machine's memory
        (folder / "copy").unlink()
        print(f"    scp {scp_s[-1]:.2f} s, cold {cold_s[-1]:.2f} s, unchanged {unchanged_s[-1] * 1e3:.2f} ms")
    scp_median = statistics.median(scp_s)
    cold, unchanged = scp_median / statistics.median(cold_s), scp_median / statistics.median(unchanged_s)
    return all(
        [
            verdict(f"cold: {cold:.2f}x scp", cold >= COLD, f">= {COLD}x"),
            verdict(
                f"unchanged, in a new session: {unchanged:.0f}x scp", unchanged >= UNCHANGED, f">= {UNCHANGED:.0f}x"
            ),
        ]
    )


def round_trips(board: Sshd, folder: Path) -> bool:
    """A question and its answer; beside it what a command of its own would take."""
    with device(board.spec, folder) as connected:
        ours_ms = connected.round_trip_s(ROUND_TRIPS) * 1e3
    link = Link(route(Address.of(board.spec)))
    taken = [commanded(link.transport) for _ in range(21)]
    link.close()
    print(f"    (paramiko, exec_command('true') on an open connection: {statistics.median(taken) * 1e3:.1f} ms)")
    return verdict(f"round trip: {ours_ms:.2f} ms", ours_ms <= ROUND_TRIP_MS, f"<= {ROUND_TRIP_MS} ms")


def resumed(board: Sshd, folder: Path, megabytes: int) -> bool:
    """A connection that is cut when 90 % have gone through, and the rest in a new one."""
    file = random_file(folder / "file", megabytes)
    size, sha256 = file.stat().st_size, sha256_of(file)
    relay = Relay(board.port, int(size * CUT_AT))
    board.known_hosts.write_text(board.known_hosts.read_text().replace(f":{board.port} ", f":{relay.port} ", 1))
    through_relay = f"ssh://{board.user}@{board.address}:{relay.port}"
    with device(through_relay, folder) as connected:
        try:
            connected.send(file, sha256=sha256)
        except DeviceLost as error:
            print(f"    cut: {str(error).splitlines()[0][:100]}")
    with device(through_relay, folder) as connected:
        connected.send(file, sha256=sha256)
        share = connected.sent_bytes / size
    relay.close()
    return verdict(f"cut at {CUT_AT:.0%}: {share:.1%} sent again", share <= SENT_AGAIN, f"<= {SENT_AGAIN:.0%}")


def random_file(path: Path, megabytes: int) -> Path:
    path.write_bytes(os.urandom(megabytes * 1_000_000))
    return path


def scp(board: Sshd, source: Path, target: Path) -> float:
    """Seconds with scp's default cipher, to a file that is not there yet."""
    target.unlink(missing_ok=True)
    started = time.perf_counter()
    subprocess.run(["scp", "-q", "-F", str(board.client_config), str(source), f"board:{target}"], check=True)
    return time.perf_counter() - started


def sent(board: Sshd, folder: Path, file: Path, sha256: str) -> float:
    """Seconds to have the file on the device, in a session of its own; logging in is not counted."""
    with device(board.spec, folder) as connected:
        started = time.perf_counter()
        connected.send(file, sha256=sha256)
        return time.perf_counter() - started


def device(spec: str, folder: Path) -> Device:
    return connect(spec, cache=folder / "cache", options=OPTIONS, holder="benchmark")


def commanded(transport: paramiko.Transport) -> float:
    started = time.perf_counter()
    channel = transport.open_session()
    channel.exec_command("true")
    channel.recv_exit_status()
    return time.perf_counter() - started


def verdict(what: str, passed: bool, bar: str) -> bool:
    print(f"{'ok  ' if passed else 'MISS'} {what}   (bar {bar})")
    return passed


class Relay:
    """A TCP relay to a port of this machine; its first connection is reset after so many bytes to the server."""

    def __init__(self, to_port: int, cut_after: int) -> None:
        self._to_port, self._left = to_port, cut_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        cut = True
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(("127.0.0.1", self._to_port))
            threading.Thread(target=self._pump, args=(client, server, cut), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()
            cut = False

    def _pump(self, source: socket.socket, sink: socket.socket, cut: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
                self._left -= len(data) if cut else 0
                if self._left < 0 and cut:
                    reset = (1).to_bytes(4, sys.byteorder) + bytes(4)  # linger on, for no time: close sends a reset
                    for end in (source, sink):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                        end.shutdown(socket.SHUT_RDWR)
                    return
        except OSError:  # the other end was cut
            return
        finally:
            source.close()
            sink.close()


if __name__ == "__main__":
    sys.exit(main())
