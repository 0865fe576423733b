"""A board account behind a real OpenSSH server on loopback: its own keys, port, HOME and PATH, all below one folder.

    with Sshd(tmp_path) as board:                     # tests ask for the fixture `board`
        with board.client():                          # ~/.ssh/config of the test: knows the host, has the key
            device = connect(board.spec, …)           # or connect("ssh://board", …), by its alias
        board.kill_sessions()                         # kill -9, as seen from the other end: the link breaks

The account is the one that runs the tests (an ordinary user can log in as nobody else), but its commands run through
`account`, which sets HOME and PATH: nothing outside the folder is read or written, and PATH holds python3 alone.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import pytest

PATIENCE_S = 60.0
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")


def need_sshd() -> str:
    """Path of sshd; tests that need one are skipped where there is none."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no OpenSSH server on this machine (Debian: openssh-server)")
    return SSHD


class Sshd:
    """The server and the account behind it."""

    def __init__(
        self,
        folder: Path,
        *,
        python: str | None = None,
        home: Path | None = None,
        path: str | None = None,
        shell: str = "/bin/sh",
        config: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
        rc: str = "",
        before: Sequence[str] = (),
    ) -> None:
        """Write its files and start it.

        Args:
            folder: for everything of the server, the account and the client.
            python: what `python3` is on the board; sys.executable's real one by default, none when empty.
            home: the account's HOME.
            path: its PATH instead of a folder with python3 alone.
            shell: its login shell; the command is given to it as sshd would, with -c.
            config: more lines of sshd_config, before ours: the first value counts.
            environment: more variables of the account.
            address: where it listens.
            rc: lines of sh that run before each command, as a start-up file's would.
            before: words in front of the server's command line (``ip netns exec NAME``).
        """
        import sys

        self.folder, self.address, self._before = folder, address, list(before)
        self.home = home or folder / "home"
        folder.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        self.bin = folder / "bin"
        for each in (self.bin, folder / "login"):
            each.mkdir(exist_ok=True)
        self.log = folder / "sshd.log"
        self.user = getpass.getuser()
        self.key, self.known_hosts, self.client_config = folder / "id", folder / "known_hosts", folder / "ssh_config"
        self.port = free_port(address)
        self._server: subprocess.Popen[bytes] | None = None
        self.set_python(sys.executable if python is None else python)
        variables = {"HOME": str(self.home), "PATH": path or str(self.bin), "LANG": "C.UTF-8", **(environment or {})}
        self._write_account(shell, variables, rc)
        self._write_keys()
        self._write_config(config)
        self.start()

    @property
    def spec(self) -> str:
        """The board's address."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"ssh://{self.user}@{host}:{self.port}"

    @property
    def agent_home(self) -> Path:
        """Where the agent keeps its files, if nobody says otherwise."""
        return self.home / ".cache" / "explorer-agent"

    @property
    def server_pid(self) -> int:
        """The listening process."""
        assert self._server is not None
        return self._server.pid

    def set_python(self, python: str) -> None:
        """Make `python3` of the account be `python`, or nothing."""
        link = self.bin / "python3"
        link.unlink(missing_ok=True)
        if python:
            link.write_text(f'#!/bin/sh\nexec {shlex.quote(python)} "$@"\n')
            link.chmod(0o755)

    def start(self) -> None:
        """Listen again, on the same port."""
        command = [*self._before, need_sshd(), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with open(self.log, "ab") as log:
            self._server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self._listens, f"sshd to listen: {self.log}")

    def stop(self) -> None:
        """End the server, its sessions and whatever runs in them."""
        running = self._descendants()
        self.kill()
        _kill(running)

    def kill(self) -> None:
        """kill -9 the server alone: sessions live on, nobody new gets in."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def sessions(self) -> list[psutil.Process]:
        """sshd's own processes that serve a login each."""
        return [process for process in self._descendants() if _name(process).startswith("sshd")]

    def kill_sessions(self) -> int:
        """kill -9 the sshd processes of every session; what ran in them loses its stdin. Returns how many."""
        found = self.sessions()
        _kill(found)
        return len(found)

    def agents(self) -> list[psutil.Process]:
        """The agents that serve on this board, their workers not among them."""
        return [one for one in psutil.process_iter() if self._is_agent(one)]

    def client(self) -> contextlib.AbstractContextManager[None]:
        """For as long as it lasts, ssh:// finds this account's keys and known hosts, and none of the user's own."""
        return environment(EXPLORER_SSH_CONFIG=str(self.client_config), EXPLORER_KNOWN_HOSTS=None, SSH_AUTH_SOCK=None)

    def __enter__(self) -> Sshd:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        _kill(self.agents())

    def _descendants(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.server_pid).children(recursive=True)
        return []

    def _is_agent(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            return "serve" in words and any(word.startswith(str(self.folder)) for word in words)
        return False

    def _listens(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, self.log.read_text()
        if self._before:  # not in our network: nobody to connect to from here
            return b"Server listening" in self.log.read_bytes()
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 1) as probe:
            return bool(probe.recv(4) == b"SSH-")
        return False

    def _write_account(self, shell: str, variables: Mapping[str, str], rc: str) -> None:
        words = " ".join(shlex.quote(f"{name}={value}") for name, value in variables.items())
        account = self.folder / "account"
        account.write_text(
            f"#!/bin/sh\n{rc}\ncd {shlex.quote(str(self.home))}\n"
            f'exec /usr/bin/env -i {words} {shlex.quote(shell)} -c "$SSH_ORIGINAL_COMMAND"\n'
        )
        account.chmod(0o755)

    def _write_keys(self) -> None:
        for path in (self.key, self.folder / "host_key"):
            make_key(path)
        shutil.copy(f"{self.key}.pub", self.folder / "authorized_keys")
        self.known_hosts.write_text(f"[{self.address}]:{self.port} {Path(f'{self.folder}/host_key.pub').read_text()}")

    def _write_config(self, more: Sequence[str]) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        sftp = next((path for path in SFTP_SERVERS if Path(path).exists()), "internal-sftp")
        given = [
            *more,
            f'SetEnv "HOME={self.folder}/login"',  # the real account's start-up files are none of our business
            f"ListenAddress {self.address}",
            f"Port {self.port}",
            f'HostKey "{self.folder}/host_key"',
            f'AuthorizedKeysFile "{self.folder}/authorized_keys"',
            f'PidFile "{self.folder}/sshd.pid"',
            f"ForceCommand {shlex.quote(str(self.folder / 'account'))}",
            f"Subsystem sftp {sftp}",
            *("StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no"),
            *("PermitRootLogin yes", "LogLevel VERBOSE", "MaxStartups 100", "UseDNS no", "PrintMotd no"),
        ]
        (self.folder / "sshd_config").write_text("\n".join(given) + "\n")
        self.client_config.write_text(
            f"Host board\n  HostName {self.address}\n  Port {self.port}\n  User {self.user}\n"
            f'Host *\n  IdentityFile "{self.key}"\n  IdentitiesOnly yes\n  UserKnownHostsFile "{self.known_hosts}"\n'
            "  GlobalKnownHostsFile /dev/null\n"
        )


@contextlib.contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """Variables of this process for a while; None: not set."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            if value is None:
                patch.delenv(name, raising=False)
            else:
                patch.setenv(name, value)
        yield


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> None:
    """A fresh key pair."""
    words = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


def free_port(address: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((address, 0))
        except OSError:  # an address of another network namespace
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: object, what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for the function `true` to return something true."""
    deadline = time.monotonic() + patience_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"waited {patience_s:.0f} s in vain for {what}"
        time.sleep(0.05)


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return str(process.name())
    return ""


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    until(lambda: not any(map(_lives, processes)), "killed processes to end", 20)


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)  # dead, though nobody has asked how it died yet
    return False
