"""The emulated aarch64 board as the tests reach it: its own sshd on the loopback, one account, keys of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sshd import environment, free_port, make_key, until

TOOL = Path(__file__).parents[2] / "tools" / "aarch64_board.py"
# The tests' own cache is a fresh one every time; the board's file system is worth keeping. Read before they replace it.
CACHE = os.environ.get("EXPLORER_CACHE")
START_S = 120.0
MAKE_S = 900.0


class EmulatedBoard:
    """A board account named root behind an arm64 sshd, all of it emulated."""

    def __init__(self, tree: Path, folder: Path, *, way: str = "auto") -> None:
        """Write keys and configuration, and start the sshd.

        Args:
            tree: the board's file system.
            folder: for what the board writes, and for the client's files.
            way: how it is run: namespace, proot, or the first of them that works.
        """
        self.home = folder / "state" / "root"
        self.home.mkdir(parents=True)
        self.port, self.log, self._folder = free_port(), folder / "sshd.log", folder
        self.client_config = folder / "ssh_config"
        self._write_files()
        where = ["--tree", str(tree), "--state", str(folder / "state"), "--way", way]
        run = [sys.executable, str(TOOL), "run", *where, "--"]
        with self.log.open("wb") as log:
            self._server = subprocess.Popen(
                [*run, "/usr/sbin/sshd", "-D", "-e", "-f", "/root/sshd/config"], stdin=subprocess.DEVNULL, stderr=log
            )
        try:
            until(self._listens, f"the emulated sshd to listen: {self.log}", START_S)
        except BaseException:
            self.stop()
            raise

    @property
    def spec(self) -> str:
        """The board's address."""
        return f"ssh://root@127.0.0.1:{self.port}"

    @property
    def way(self) -> str:
        """By which of its ways the board runs, in the tool's words."""
        lines = self.log.read_text().splitlines()
        return next(line for line in lines if line.startswith("aarch64 board: "))

    def client(self) -> contextlib.AbstractContextManager[None]:
        """For as long as it lasts, ssh:// finds this board's keys, and none of the user's own."""
        return environment(EXPLORER_SSH_CONFIG=str(self.client_config), EXPLORER_KNOWN_HOSTS=None, SSH_AUTH_SOCK=None)

    def stop(self) -> None:
        """End it with everything that runs on it."""
        self._server.kill()
        self._server.wait()

    def _listens(self) -> bool:
        assert self._server.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as probe:
            return probe.recv(4) == b"SSH-"
        return False

    def _write_files(self) -> None:
        own = self.home / "sshd"
        own.mkdir()
        key, known_hosts = self._folder / "id", self._folder / "known_hosts"
        make_key(key)
        make_key(own / "host_key")
        shutil.copy(f"{key}.pub", own / "authorized_keys")
        known_hosts.write_text(f"[127.0.0.1]:{self.port} {(own / 'host_key.pub').read_text()}")
        given = [
            *("ListenAddress 127.0.0.1", f"Port {self.port}", "HostKey /root/sshd/host_key", "PidFile none"),
            *("AuthorizedKeysFile /root/sshd/authorized_keys", "StrictModes no", "UsePAM no"),
            *("PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes"),
            *("LogLevel VERBOSE", "UseDNS no", "PrintMotd no", "LoginGraceTime 600"),
        ]
        (own / "config").write_text("\n".join(given) + "\n")
        self.client_config.write_text(
            f'Host *\n  IdentityFile "{key}"\n  IdentitiesOnly yes\n  UserKnownHostsFile "{known_hosts}"\n'
            "  GlobalKnownHostsFile /dev/null\n"
        )


def make_tree() -> Path:
    """The board's file system, made if it is not there yet; the test is skipped where that cannot be done.

    CI shall notice when it can no longer be made; anywhere else a machine without a network is no fault of ours.
    """
    reasons = subprocess.run([sys.executable, str(TOOL), "check"], capture_output=True, text=True).stdout.splitlines()
    if shutil.which("ssh-keygen") is None:
        reasons.append("no ssh-keygen (Debian package openssh-client)")
    if reasons:
        pytest.skip(f"no aarch64 board can be emulated here: {'; '.join(reasons)}")
    words = ["timeout", "-s", "KILL", str(MAKE_S), sys.executable, str(TOOL), "make"]
    done = subprocess.run([*words, *(["--cache", CACHE] if CACHE else [])], capture_output=True, text=True)
    if done.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no aarch64 board could be made: {done.stderr[-2000:]}")
    return Path(done.stdout.strip())
