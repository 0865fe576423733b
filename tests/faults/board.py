"""A board behind a real sshd and a way that can be broken: a relay for everybody, a network namespace for root.

account's home/disk/        what the scripted runtime reads and writes
account's home/disk/agent/  the agent's home; a disk of its own where the test is to fill it
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from network import Link, Relay
from sshd import Sshd

from faults.clock import Clock

ALIAS = "board-of-faults"  # the host key goes by this name, whichever port leads to it


@dataclass(frozen=True)
class Board:
    """The account, and how it is reached: `way` is a relay or a link."""

    sshd: Sshd
    address: str
    way: Relay | Link
    clock: Clock | None = None

    @property
    def home(self) -> Path:
        """The agent's."""
        return self.sshd.home / "disk" / "agent"

    @property
    def client_config(self) -> Path:
        """To be named in EXPLORER_SSH_CONFIG."""
        return self.sshd.folder / "client_config"

    @property
    def relay(self) -> Relay:
        assert isinstance(self.way, Relay)
        return self.way

    @property
    def link(self) -> Link:
        assert isinstance(self.way, Link)
        return self.way

    def restart(self, *, after_s: float = 0.0) -> None:
        """kill -9 the server with its sessions; another one listens on the same port after a while."""
        running = psutil.Process(self.sshd.server_pid).children(recursive=True)
        sessions = [process for process in running if process.name().startswith("sshd")]
        self.sshd.kill()
        for process in sessions:
            process.kill()
        psutil.wait_procs(sessions, timeout=10)
        time.sleep(after_s)
        self.sshd.start()

    @contextmanager
    def full_disk(self, *, leaving: int = 0) -> Iterator[None]:
        """Only `leaving` bytes are free below the agent's home; needs a board with a disk of its own."""
        filler = self.home / "filler"
        with filler.open("wb") as file:
            while (free := shutil.disk_usage(self.home).free) > leaving:
                with contextlib.suppress(OSError):  # the agent wrote something meanwhile: there is less to take
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free - leaving)
        try:
            yield
        finally:
            filler.unlink()


@contextmanager
def board(folder: Path, *, link: bool = False, disk_mb: int = 0, clock: Clock | None = None) -> Iterator[Board]:
    """Start one.

    Args:
        folder: for all its files.
        link: behind a network namespace instead of a relay; needs root, see `network.why_no_link`.
        disk_mb: the agent's home is a disk of this size; needs root.
        clock: the one it goes by.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"environment": clock.environment if clock else {}}
    with Link() if link else nullcontext() as cable, ExitStack() as stack:
        if cable is not None:
            options |= {"address": cable.board, "before": cable.prefix}
        # The disk first: a namespace of the network brings one of mounts along, which sees no later ones.
        stack.enter_context(_disk(folder / "home" / "disk" / "agent", disk_mb))
        sshd = stack.enter_context(Sshd(folder, **options))
        way = cable or stack.enter_context(Relay((sshd.address, sshd.port)))
        port = way.port if isinstance(way, Relay) else sshd.port
        found = Board(sshd, f"ssh://{sshd.user}@{sshd.address}:{port}", way, clock)
        _write_client_config(found)
        yield found


@contextmanager
def _disk(home: Path, megabytes: int) -> Iterator[None]:
    home.mkdir(parents=True)
    if not megabytes:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", home], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", home], check=True)


def _write_client_config(board: Board) -> None:
    sshd, known_hosts = board.sshd, board.sshd.folder / "known_by_alias"
    known_hosts.write_text(f"{ALIAS} {(sshd.folder / 'host_key.pub').read_text()}")
    board.client_config.write_text(
        f'Host *\n  IdentityFile "{sshd.key}"\n  IdentitiesOnly yes\n  HostKeyAlias {ALIAS}\n'
        f'  UserKnownHostsFile "{known_hosts}"\n  GlobalKnownHostsFile /dev/null\n'
    )
