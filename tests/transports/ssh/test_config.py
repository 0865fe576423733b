"""The way to a board as ~/.ssh/config tells it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from explorer.errors import BadInput, NoDevice
from explorer.transports.ssh.address import Address
from explorer.transports.ssh.config import Hop, route

Way = Callable[..., Hop]


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Way:
    """The route to a spec under a config file of this text, with HOME in a folder of the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("EXPLORER_KNOWN_HOSTS", raising=False)
    (tmp_path / ".ssh").mkdir()

    def found(spec: str, text: str, **options: str) -> Hop:
        file = tmp_path / ".ssh" / "config"
        file.write_text(text)
        monkeypatch.setenv("EXPLORER_SSH_CONFIG", str(file))
        return route(Address.of(spec), **options)

    return found


def test_an_address_says_user_host_and_port() -> None:
    assert Address.of("ssh://me@board:2222") == Address("board", "me", 2222)
    assert Address.of("ssh://board") == Address("board")
    assert Address.of("ssh://me@[fe80::1%eth0]:22") == Address("fe80::1%eth0", "me", 22)
    assert Address.of_hop("me@gate:1") == Address.of_hop("ssh://me@gate:1") == Address("gate", "me", 1)


@pytest.mark.parametrize(
    "spec", ["ssh://", "ssh://a b", "ssh://-oProxyCommand=x", "ssh://h:0", "ssh://h\n", "ssh://h/x", "ssh://u;id@h"]
)
def test_what_is_no_address_is_refused(spec: str) -> None:
    with pytest.raises(BadInput):
        Address.of(spec)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadInput, match="password") as caught:
        Address.of("ssh://me:hunter2@board")
    assert "hunter2" not in str(caught.value)


def test_without_a_word_of_config(way: Way, tmp_path: Path) -> None:
    hop = way("ssh://me@board", "")
    assert (hop.host, hop.port, hop.user, hop.via, hop.command) == ("board", 22, "me", None, "")
    assert hop.keys == tuple(tmp_path / ".ssh" / name for name in ("id_ed25519", "id_ecdsa", "id_rsa"))
    assert hop.known_hosts[:2] == (tmp_path / ".ssh/known_hosts", tmp_path / ".ssh/known_hosts2")
    assert not hop.only_these_keys


def test_an_alias_is_looked_up_and_the_address_comes_first(way: Way, tmp_path: Path) -> None:
    text = (
        "Host bo*\n  HostName 10.0.0.7\n  User nvidia\n  Port 2022\n  IdentityFile ~/.ssh/one\n"
        "  HostKeyAlias jetson\n  IdentitiesOnly yes\n  IdentityAgent none\n"
        '  UserKnownHostsFile ~/.ssh/a "~/.ssh/b c"\n'
        "Host *\n  IdentityFile ~/.ssh/two\n  User nobody\n"
    )
    hop = way("ssh://board", text)
    assert (hop.host, hop.port, hop.user, hop.host_key_name) == ("10.0.0.7", 2022, "nvidia", "jetson")
    assert [key.name for key in hop.keys] == ["one", "two"]
    assert hop.known_hosts[:2] == (tmp_path / ".ssh/a", tmp_path / ".ssh/b c")
    assert hop.only_these_keys
    assert not hop.agent
    hop = way("ssh://me@board:5", text)
    assert (hop.host, hop.port, hop.user) == ("10.0.0.7", 5, "me")


def test_an_identity_file_of_the_boards_own_comes_first_and_alone(way: Way) -> None:
    hop = way("ssh://board", "Host *\n  IdentityFile ~/.ssh/two\n", identity_file="/keys/one")
    assert hop.keys == (Path("/keys/one"),)
    assert hop.only_these_keys


def test_jumps_are_hops_with_settings_of_their_own(way: Way) -> None:
    text = "Host board\n  ProxyJump ann@gate:2222,inner\nHost inner\n  HostName 192.168.0.2\n  User bob\n"
    text += "  ProxyJump other\n"
    hop = way("ssh://board", text)
    assert hop.via is not None
    assert (hop.via.host, hop.via.user) == ("192.168.0.2", "bob")
    assert hop.via.via is not None
    assert (hop.via.via.host, hop.via.via.user, hop.via.via.port) == ("gate", "ann", 2222)
    assert hop.via.via.via is None
    assert way("ssh://inner", text.replace("ProxyJump other", "ProxyJump none")).via is None


def test_jumps_in_a_circle_are_found_out(way: Way) -> None:
    with pytest.raises(NoDevice, match="leads in a circle: a → b"):
        way("ssh://a", "Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")


def test_a_command_is_filled_in(way: Way) -> None:
    text = "Host board\n  HostName 10.0.0.7\n  ProxyCommand nc -X 5 %h %p # %r\n"
    assert way("ssh://me@board:2222", text).command == "nc -X 5 10.0.0.7 2222 # me"
    assert way("ssh://board", text.replace("nc -X 5 %h %p # %r", "none")).command == ""


@pytest.mark.parametrize("user", ["x;id", "$(id)", "-oProxyCommand=id", "a b", "a'b"])
def test_nothing_odd_goes_into_a_command(way: Way, user: str) -> None:
    text = f'Host board\n  User "{user}"\n  ProxyCommand nc %r %h %p\n'
    with pytest.raises(NoDevice, match="is no name to put into the ProxyCommand"):
        way("ssh://board", text)


def test_files_are_included_and_their_blocks_end_with_them(way: Way, tmp_path: Path) -> None:
    (tmp_path / ".ssh" / "d").mkdir()
    (tmp_path / ".ssh/d/1").write_text("Include d/deeper\nHost other\n  Port 1\n")
    (tmp_path / ".ssh/d/2").write_text("Host board\n  Port 2\n")
    (tmp_path / ".ssh/d/deeper").write_text("Host board\n  HostName deep\n")
    (tmp_path / ".ssh/d/plain").write_text("User ann\n")
    text = "Include d/[12] ~/.ssh/d/nothing*\nCompression yes\nHost board\n  Include d/plain\n  HostKeyAlias key\n"
    hop = way("ssh://board", text)
    assert (hop.host, hop.port, hop.user, hop.host_key_name) == ("deep", 2, "ann", "key")
    assert way("ssh://third@third", text).host_key_name == ""


def test_hosts_within_an_include_within_a_host_are_refused(way: Way, tmp_path: Path) -> None:
    (tmp_path / ".ssh/inner").write_text("Host *\n  User root\n")
    with pytest.raises(NoDevice, match="Include of .*inner within 'Host other'"):
        way("ssh://board", "Host other\n  Include inner\n")


def test_includes_in_a_circle_are_found_out(way: Way) -> None:
    with pytest.raises(NoDevice, match="Include leads in a circle"):
        way("ssh://board", "Include config\n")


@pytest.mark.parametrize(
    "text", ["Host board\n  Port many\n", "Host board\n  Port 0\n", "Host 'board\n", "Match all exec x\n"]
)
def test_what_makes_no_sense_is_told(way: Way, text: str) -> None:
    with pytest.raises(NoDevice, match="board: .*~/.ssh/config"):
        way("ssh://board", text)


def test_a_config_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPLORER_SSH_CONFIG", str(tmp_path / "none"))
    with pytest.raises(NoDevice, match="EXPLORER_SSH_CONFIG names a file that is not there"):
        route(Address.of("ssh://board"))
