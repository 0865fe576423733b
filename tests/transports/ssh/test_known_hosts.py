"""Who is believed to be the board: known_hosts as OpenSSH reads it, and refusals that say what to do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from sshd import Sshd, make_key, need_sshd

from explorer.errors import NoDevice
from explorer.transports.ssh.config import Hop
from explorer.transports.ssh.known_hosts import KnownHosts
from transports.conftest import Reach

Known = Callable[..., KnownHosts]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[paramiko.PKey, str]]:
    """Two keys of one kind and one of another, and how known_hosts writes them."""
    need_sshd()
    folder = tmp_path_factory.mktemp("keys")
    found = {}
    for name, kind in (("ours", "ed25519"), ("other", "ed25519"), ("rsa", "rsa")):
        make_key(folder / name, kind=kind)
        opener = paramiko.RSAKey if kind == "rsa" else paramiko.Ed25519Key
        key = opener.from_private_key_file(str(folder / name))
        found[name] = (key, f"{key.get_name()} {key.get_base64()}")
    return found


@pytest.fixture
def known(tmp_path: Path) -> Known:
    def about(text: str, **changes: object) -> KnownHosts:
        file = tmp_path / "known_hosts"
        file.write_text(text)
        hop = Hop("board", "Board.local", 22, "me", (), False, False, (file, tmp_path / "not there"), "")
        return KnownHosts(replace(hop, **changes))  # type: ignore[arg-type]

    return about


@pytest.mark.parametrize(
    ("names", "changes"),
    [
        ("board.local", {}),
        ("a,board.local,b", {}),
        ("BOARD.local", {}),
        ("*.local", {}),
        ("boar?.local", {}),
        ("board.local", {"port": 2222}),
        ("[board.local]:2222", {"port": 2222}),
        ("[*]:2222", {"port": 2222}),
        ("alias", {"host_key_name": "alias", "port": 2222}),
        ("fe80::1", {"host": "fe80::1"}),
        ("[fe80::1]:2222", {"host": "fe80::1", "port": 2222}),
    ],
)
def test_a_line_that_applies(
    known: Known, keys: dict[str, tuple[paramiko.PKey, str]], names: str, changes: object
) -> None:
    key, text = keys["ours"]
    known(f"# comment\n\n{names} {text} a comment\n", **changes).check(key)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "changes"),
    [
        ("board", {}),
        ("*.local,!board.local", {}),
        ("[board.local]:2222", {}),
        ("[board.local]:22", {"port": 2222}),
        ("b[o]ard.local", {}),
        ("board.local", {"host_key_name": "alias"}),
        ("@cert-authority board.local", {}),
        ("#board.local", {}),
    ],
)
def test_a_line_that_does_not(
    known: Known, keys: dict[str, tuple[paramiko.PKey, str]], names: str, changes: object
) -> None:
    key, text = keys["ours"]
    with pytest.raises(NoDevice, match="the host key is not known"):
        known(f"{names} {text}\n", **changes).check(key)  # type: ignore[arg-type]


def test_hashed_names(tmp_path: Path, known: Known, keys: dict[str, tuple[paramiko.PKey, str]]) -> None:
    """As ssh-keygen -H writes them."""
    key, text = keys["ours"]
    file = tmp_path / "hashed"
    file.write_text(f"board.local {text}\n[board.local]:2222 {text}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    first, second = file.read_text().splitlines()
    assert first.startswith("|1|")
    known(first).check(key)
    known(second, port=2222).check(key)
    with pytest.raises(NoDevice, match="is not known"):
        known(second).check(key)


def test_a_changed_key_is_refused_loudly_with_file_and_line(
    known: Known, keys: dict[str, tuple[paramiko.PKey, str]], tmp_path: Path
) -> None:
    with pytest.raises(NoDevice) as caught:
        known(f"# first\nboard.local {keys['ours'][1]}\n").check(keys["other"][0])
    text = str(caught.value)
    assert "THE HOST KEY HAS CHANGED" in text
    assert f"{tmp_path / 'known_hosts'}:2" in text
    assert text.count("SHA256:") == 2


def test_a_key_of_another_kind_where_one_is_known_counts_as_changed(
    known: Known, keys: dict[str, tuple[paramiko.PKey, str]]
) -> None:
    lines = known(f"board.local {keys['rsa'][1]}\n")
    assert lines.kinds() == ["ssh-rsa"], "to be asked for first"
    with pytest.raises(NoDevice, match="HAS CHANGED"):
        lines.check(keys["ours"][0])


def test_of_several_known_keys_any_is_good(known: Known, keys: dict[str, tuple[paramiko.PKey, str]]) -> None:
    both = known(f"board.local {keys['ours'][1]}\nboard.local {keys['other'][1]}\nboard.local {keys['rsa'][1]}\n")
    for key, _ in keys.values():
        both.check(key)


def test_a_revoked_key_is_refused(known: Known, keys: dict[str, tuple[paramiko.PKey, str]]) -> None:
    key, text = keys["ours"]
    with pytest.raises(NoDevice, match="revoked in .*known_hosts:2"):
        known(f"board.local {text}\n@revoked * {text}\n").check(key)


def test_an_authority_is_passed_over_with_a_word(known: Known, keys: dict[str, tuple[paramiko.PKey, str]]) -> None:
    with pytest.raises(NoDevice, match=r"the @cert-authority line .*known_hosts:1 is passed over"):
        known(f"@cert-authority *.local {keys['rsa'][1]}\n").check(keys["ours"][0])


def test_a_line_that_cannot_be_read_is_named(known: Known) -> None:
    with pytest.raises(NoDevice, match="known_hosts:1: the key of board.local cannot be read"):
        known("board.local ssh-ed25519 AAAA!!\n")


def test_an_unknown_board_is_refused_and_how_to_accept_it_works(board: Sshd, reach: Reach) -> None:
    board.known_hosts.unlink()
    with pytest.raises(NoDevice) as caught:
        reach(board)
    text = str(caught.value)
    listed = subprocess.run(
        ["ssh-keygen", "-lf", f"{board.folder}/host_key.pub"], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split()[1] in text
    assert "ssh-ed25519 SHA256:" in text
    command = next(line.partition("accept it:  ")[2] for line in text.splitlines() if "ssh-keyscan" in line)
    subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=60)
    reach(board)


def test_no_setting_makes_an_unknown_board_known(board: Sshd, reach: Reach) -> None:
    board.known_hosts.write_text("")
    board.client_config.write_text("Host *\n  StrictHostKeyChecking no\n" + board.client_config.read_text())
    with pytest.raises(NoDevice, match="the host key is not known"):
        reach("ssh://board")
    assert board.known_hosts.read_text() == ""


def test_a_board_with_a_new_key_gets_no_login(board: Sshd, reach: Reach) -> None:
    for suffix in ("", ".pub"):
        (board.folder / f"host_key{suffix}").unlink()
    make_key(board.folder / "host_key")
    board.stop()
    board.start()
    with pytest.raises(NoDevice, match=f"HAS CHANGED(.|\n)*{board.known_hosts}:1(.|\n)*Nothing was sent"):
        reach(board)
    assert "Accepted publickey" not in board.log.read_text()


def test_the_known_kind_of_key_is_asked_for(tmp_path: Path, reach: Reach) -> None:
    """A server with several keys of which we know the one that nobody would prefer."""
    rsa = tmp_path / "rsa_key"
    need_sshd()
    make_key(rsa, kind="rsa")
    with Sshd(tmp_path / "board", config=[f"HostKey {rsa}"]) as board, board.client():
        board.known_hosts.write_text(f"[{board.address}]:{board.port} {Path(f'{rsa}.pub').read_text()}")
        reach(board)


def test_another_file_of_known_hosts_by_the_environment(
    board: Sshd, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.move(board.known_hosts, board.folder / "other hosts")
    with pytest.raises(NoDevice, match="is not known"):
        reach(board)
    monkeypatch.setenv("EXPLORER_KNOWN_HOSTS", str(board.folder / "other hosts"))
    reach(board)
