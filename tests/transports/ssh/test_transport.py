"""The agent over a real OpenSSH server: streams that end, stall or break, and the ways to get there."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from sshd import Sshd, until

from explorer import transports
from explorer.device import connect
from explorer.errors import NoDevice
from explorer.transports.ssh import SshTransport, link
from explorer_agent.wire import Reader
from transports.conftest import Reach

OPTIONS = {"plugins": ["explorer_agent.testing"], "runtimes": ["fake"]}


@pytest.mark.parametrize("by_alias", [False, True])
def test_a_board_answers_by_address_and_by_alias(board: Sshd, tmp_path: Path, by_alias: bool) -> None:
    with connect("ssh://board" if by_alias else board.spec, cache=tmp_path / "cache", options=OPTIONS) as device:
        assert not device.shares_host
        assert list(device.capabilities["runtimes"]) == ["fake"]
        assert device.round_trip_s() < 1


def test_a_board_file_says_how_it_is_reached(board: Sshd, tmp_path: Path) -> None:
    shutil.copy(board.key, tmp_path / "its key")
    Path(f"{board.key}").unlink()
    (tmp_path / "mine.yaml").write_text(
        f"transport: ssh\naddress: {board.spec}\nidentity_file: its key\nhome: ~/agent's home\nruntimes: [fake]\n"
        "plugins: [explorer_agent.testing]\n"
    )
    with connect("mine.yaml", cache=tmp_path / "cache", search=tmp_path) as device:
        assert list(device.capabilities["runtimes"]) == ["fake"]
    assert (board.home / "agent's home" / "agents").is_dir()


def test_large_bodies_arrive_whole_in_both_directions(board: Sshd, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(20 << 20))
    with connect(board.spec, cache=tmp_path / "cache", options=OPTIONS) as device:
        device.send(source)
        assert device.sent_bytes == 20 << 20
        stored = next(path for path in board.agent_home.glob("blobs/*/*"))
        assert device.get(stored.parent.name + stored.name) == source.read_bytes()


def test_through_two_gateways(board: Sshd, tmp_path: Path, reach: Reach) -> None:
    with Sshd(tmp_path / "gateway") as gateway:
        board.known_hosts.write_text(board.known_hosts.read_text() + gateway.known_hosts.read_text())
        (gateway.folder / "authorized_keys").write_text(Path(f"{board.key}.pub").read_text())
        board.client_config.write_text(
            f"Host far\n  HostName {board.address}\n  Port {board.port}\n  ProxyJump gate,gate\n"
            f"Host gate\n  HostName {gateway.address}\n  Port {gateway.port}\n" + board.client_config.read_text()
        )
        transport = reach("ssh://far")
        assert _hello(transport)
        assert len(gateway.sessions()) >= 2
        assert transport.sent_bytes > 0


def test_through_the_users_own_proxy_command(board: Sshd, reach: Reach) -> None:
    log = board.folder / "proxied"
    ssh_itself = f"ssh -F '{board.client_config}' -W %h:%p {board.user}@board"
    board.client_config.write_text(
        f"Host far\n  HostName {board.address}\n  Port {board.port}\n"
        f"  ProxyCommand touch '{log}' && {ssh_itself}\n" + board.client_config.read_text()
    )
    with pytest.raises(NoDevice, match="its ProxyCommand leads to no SSH server"):
        reach("ssh://far")  # `exec` takes the first command alone, as with ssh
    board.client_config.write_text(board.client_config.read_text().replace(f"touch '{log}' && ", ""))
    assert _hello(reach("ssh://far"))
    assert log.exists()


def test_an_address_of_ipv6(tmp_path: Path, reach: Reach) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    with Sshd(tmp_path / "board", address="::1") as board, board.client():
        assert "[::1]" in board.spec
        assert _hello(reach(board))


def test_closing_ends_the_agent_and_a_blocked_read(board: Sshd, reach: Reach) -> None:
    transport = reach(board)
    assert _hello(transport)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(transport.incoming.read(1)))
    reader.start()
    transport.close()
    transport.close()
    reader.join(30)
    assert heard == [b""]
    until(lambda: not board.agents(), "the agent to end")
    assert transport.last_words() in ("", "the agent ended with status 0")


def test_a_broken_connection_ends_the_stream_and_says_so(board: Sshd, reach: Reach) -> None:
    transport = reach(board)
    assert _hello(transport)
    board.kill_sessions()
    assert transport.incoming.read(1) == b""
    assert "broke" in transport.last_words()
    with pytest.raises(OSError, match=r"."):
        _write_much(transport)


def test_a_killed_agent_is_said_to_be_killed(board: Sshd, reach: Reach) -> None:
    transport = reach(board)
    assert _hello(transport)
    os.kill(board.agents()[0].pid, signal.SIGKILL)
    assert transport.incoming.read(1) == b""
    assert "signal" in transport.last_words()


def test_a_write_that_gets_nowhere_gives_up(board: Sshd, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "STALL_S", 1.0)
    transport = reach(board)
    assert _hello(transport)
    agent = board.agents()[0]
    agent.suspend()
    try:
        with pytest.raises(TimeoutError, match="nothing was taken"):
            _write_much(transport)
    finally:
        agent.resume()


def test_closing_does_not_wait_for_a_writer_that_is_stuck(
    board: Sshd, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer.transports.ssh.transport.GOODBYE_S", 1.0)
    transport = reach(board)
    assert _hello(transport)
    for session in board.sessions():
        session.suspend()
    ended = threading.Event()

    def write() -> None:
        with pytest.raises(OSError, match=r"."):
            _write_much(transport)
        ended.set()

    threading.Thread(target=write, daemon=True).start()
    time.sleep(1)
    started = time.monotonic()
    transport.close()
    assert time.monotonic() - started < 15
    assert ended.wait(15)
    for session in board.sessions():
        session.resume()


def test_complaints_without_end_do_not_fill_the_channel(board: Sshd, reach: Reach) -> None:
    """More on stderr than the channel's window holds, before the agent says a word."""
    python = (board.bin / "python3").read_text().splitlines()[1]
    much = 2 * link.WINDOW
    (board.bin / "python3").write_text(
        f"#!/bin/sh\n/usr/bin/head -c {much} /dev/zero >&2\necho the end >&2\n{python}\n"
    )
    transport = reach(board)
    assert _hello(transport)
    assert "the end" in transport.last_words()


def test_a_name_that_leads_nowhere(board: Sshd, reach: Reach) -> None:
    with pytest.raises(NoDevice, match="nowhere.invalid cannot be resolved"):
        reach("ssh://nowhere.invalid")


def test_a_port_where_nobody_listens(board: Sshd, reach: Reach) -> None:
    board.stop()
    with pytest.raises(NoDevice, match=f"127.0.0.1:{board.port}: connection refused: .*no SSH server listens"):
        reach(board)


def test_a_port_where_something_else_listens(board: Sshd, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "HANDSHAKE_S", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NoDevice, match="no SSH server answers"):
        reach(f"ssh://127.0.0.1:{silent.getsockname()[1]}")


def test_no_answer_at_all(board: Sshd, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue of a listener that accepts nobody drops who comes next, as a board that is off would."""
    monkeypatch.setattr(link, "CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        queued = [socket.socket() for _ in range(4)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        with pytest.raises(NoDevice, match="no answer within|no SSH server answers"):
            reach(f"ssh://127.0.0.1:{full.getsockname()[1]}")
        for one in queued:
            one.close()


def test_a_login_that_may_run_nothing(board: Sshd, reach: Reach) -> None:
    refused = pytest.raises(NoDevice, match="no command may be run there")
    with Sshd(board.folder / "closed", config=["MaxSessions 0"]) as closed, closed.client(), refused:
        reach(closed)


def test_a_gateway_that_cannot_go_on(board: Sshd, reach: Reach) -> None:
    board.client_config.write_text(
        "Host far\n  HostName 127.0.0.1\n  Port 1\n  ProxyJump board\n" + board.client_config.read_text()
    )
    with pytest.raises(NoDevice, match=f"the jump host .*:{board.port} cannot connect to it"):
        reach("ssh://far")


def _hello(transport: SshTransport) -> bool:
    frame = Reader(transport.incoming).read()
    return frame is not None and frame.message["type"] == "hello"


def _write_much(transport: SshTransport) -> None:
    for _ in range(64):
        transport.outgoing.write(bytes(1 << 20))
