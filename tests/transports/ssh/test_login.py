"""Who we are: keys, the agent that holds them, passphrases and passwords, and what is said when none will do."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import Sshd, make_key, until

from explorer.errors import NoDevice
from explorer.transports.ssh.address import Address
from explorer.transports.ssh.config import route
from explorer.transports.ssh.link import Link
from transports.conftest import Reach
from transports.ssh.password_server import PASSWORD, PasswordServer

Serve = Callable[..., PasswordServer]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """A server of passwords that is known to us; no keys at hand."""
    servers: list[PasswordServer] = []

    def begin(**options: str) -> PasswordServer:
        servers.append(PasswordServer(tmp_path, **options))
        config = tmp_path / "config_of_passwords"
        config.write_text(
            f'Host *\n  User me\n  IdentityFile {tmp_path}/none\n  UserKnownHostsFile "{servers[-1].known_hosts}"\n'
        )
        monkeypatch.setenv("EXPLORER_SSH_CONFIG", str(config))
        return servers[-1]

    for name in ("SSH_AUTH_SOCK", "EXPLORER_SSH_PASSWORD", "EXPLORER_KNOWN_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    yield begin
    for server in servers:
        server.close()


def log_in(server: PasswordServer, **options: str) -> None:
    Link(route(Address.of(f"ssh://127.0.0.1:{server.port}")), **options).close()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_every_kind(board: Sshd, reach: Reach, kind: str) -> None:
    key = board.folder / "another key"
    make_key(key, kind=kind)
    (board.folder / "authorized_keys").write_text(Path(f"{key}.pub").read_text())
    reach(board, identity_file=str(key))


def test_a_key_that_is_not_taken_is_named(board: Sshd, reach: Reach) -> None:
    key = board.folder / "stranger"
    make_key(key)
    with pytest.raises(NoDevice) as caught:
        reach(board, identity_file=str(key))
    text = str(caught.value)
    assert f"{board.user}@127.0.0.1:{board.port}: could not log in; it takes publickey" in text
    assert f"tried {key}: refused" in text
    assert f"ssh-copy-id -p {board.port} {board.user}@127.0.0.1" in text


@pytest.mark.parametrize(
    ("content", "said"), [(None, "not there"), ("no key at all\n", "not a private key of a kind that is known here")]
)
def test_a_key_file_that_cannot_be_used_is_named(board: Sshd, reach: Reach, content: str | None, said: str) -> None:
    key = board.folder / "odd"
    if content is not None:
        key.write_text(content)
    with pytest.raises(NoDevice, match=f"tried {key}: {said}"):
        reach(board, identity_file=str(key))


def test_too_many_keys_are_told_as_such(tmp_path: Path, reach: Reach) -> None:
    with Sshd(tmp_path / "board", config=["MaxAuthTries 2"]) as board, board.client():
        lines = ""
        for number in range(4):
            make_key(tmp_path / f"k{number}")
            lines += f"  IdentityFile {tmp_path}/k{number}\n"
        board.client_config.write_text(f"Host *\n{lines}" + board.client_config.read_text())
        with pytest.raises(NoDevice, match="only so many tries: name the key with IdentityFile"):
            reach(board)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_an_encrypted_key_is_opened_by_the_environment(
    board: Sshd, reach: Reach, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    key = board.folder / "locked"
    make_key(key, kind=kind, passphrase="open sesame")
    (board.folder / "authorized_keys").write_text(Path(f"{key}.pub").read_text())
    with pytest.raises(NoDevice, match="encrypted; no passphrase in EXPLORER_SSH_PASSPHRASE"):
        reach(board, identity_file=str(key))
    monkeypatch.setenv("EXPLORER_SSH_PASSPHRASE", "open barley")
    with pytest.raises(NoDevice, match="encrypted, and the passphrase is not the right one"):
        reach(board, identity_file=str(key))
    monkeypatch.setenv("EXPLORER_SSH_PASSPHRASE", "open sesame")
    reach(board, identity_file=str(key))


def test_keys_that_the_agent_holds(board: Sshd, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key file itself out of reach: named with IdentitiesOnly, or not named at all."""
    if shutil.which("ssh-agent") is None:
        pytest.skip("no ssh-agent on this machine")
    socket = board.folder / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        until(socket.exists, "the SSH agent")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", str(board.key)], check=True, timeout=60)
        board.key.rename(board.folder / "away")
        reach(board)
        board.client_config.write_text(
            board.client_config.read_text().replace("IdentitiesOnly yes", "IdentitiesOnly no")
        )
        Path(f"{board.key}.pub").unlink()
        reach(board)
        board.client_config.write_text("Host *\n  IdentityAgent none\n" + board.client_config.read_text())
        with pytest.raises(NoDevice, match="could not log in"):
            reach(board)
    finally:
        agent.terminate()
        agent.wait()


@pytest.mark.parametrize("methods", ["password", "publickey,keyboard-interactive"])
def test_a_password_by_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch, methods: str) -> None:
    server = serve(methods=methods)
    with pytest.raises(NoDevice, match=r"tried a password: none in EXPLORER_SSH_PASSWORD, and no terminal"):
        log_in(server)
    monkeypatch.setenv("EXPLORER_SSH_PASSWORD", "wrong")
    with pytest.raises(NoDevice, match="tried a password: refused"):
        log_in(server)
    monkeypatch.setenv("EXPLORER_SSH_PASSWORD", PASSWORD)
    log_in(server)
    assert server.heard == ["wrong", PASSWORD]


def test_a_password_by_a_variable_of_the_boards_own(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    monkeypatch.setenv("EXPLORER_SSH_PASSWORD", "of another board")
    monkeypatch.setenv("ORIN_PASSWORD", PASSWORD)
    log_in(server, password_env="ORIN_PASSWORD")
    assert server.heard == [PASSWORD]


def test_a_password_is_never_told(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_SSH_PASSWORD", "hunter2")
    with pytest.raises(NoDevice) as caught:
        log_in(serve())
    assert "hunter2" not in str(caught.value)


def test_a_gateway_does_not_hear_the_boards_password(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    monkeypatch.setenv("EXPLORER_SSH_PASSWORD", PASSWORD)
    config = Path(os.environ["EXPLORER_SSH_CONFIG"])
    config.write_text(f"Host board\n  ProxyJump 127.0.0.1:{server.port}\n" + config.read_text())
    with pytest.raises(NoDevice, match=f"127.0.0.1:{server.port}: could not log in"):
        Link(route(Address.of("ssh://board")))
    assert server.heard == []


def test_no_password_is_asked_for_where_none_is_wanted(board: Sshd, reach: Reach) -> None:
    Path(f"{board.folder}/authorized_keys").write_text("")
    with pytest.raises(NoDevice) as caught:
        reach(board)
    assert "a password" not in str(caught.value)


def test_a_password_typed_at_the_terminal_is_asked_for_once(serve: Serve) -> None:
    if shutil.which("script") is None:
        pytest.skip("no `script` on this machine to make a terminal with (Debian: bsdutils)")
    server = serve()
    program = (
        "from explorer.transports.ssh.address import Address\n"
        "from explorer.transports.ssh.config import route\n"
        "from explorer.transports.ssh.link import Link\n"
        f"for _ in range(2): Link(route(Address.of('ssh://127.0.0.1:{server.port}'))).close()\n"
        "print('both are in')\n"
    )
    command = shlex.join([sys.executable, "-W", "ignore", "-c", program])
    words = ["script", "-qec", command, "/dev/null"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as typed:
        assert typed.stdin is not None
        assert typed.stdout is not None
        out = b""
        while not out.endswith(b": ") and (piece := typed.stdout.read(1)):  # the prompt: what comes before it is lost
            out += piece
        typed.stdin.write(f"{PASSWORD}\n".encode())
        typed.stdin.flush()
        out += typed.stdout.read()
    assert f"password of me@127.0.0.1:{server.port}: ".encode() in out
    assert b"both are in" in out
    assert PASSWORD.encode() not in out, "nobody reads it over a shoulder"
    assert server.heard == [PASSWORD] * 2
