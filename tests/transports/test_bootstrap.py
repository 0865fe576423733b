"""From a bare login to a running agent: every assumption about the board, where it holds and where it does not."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent.talk import interpreter
from sshd import Sshd

from explorer.errors import NoDevice
from explorer.transports import bootstrap, loader
from explorer.transports.ssh import SshTransport
from explorer_agent.wire import Message, Reader
from transports.conftest import QUICK, Reach


def hello(transport: SshTransport) -> Message:
    frame = Reader(transport.incoming).read()
    assert frame is not None, transport.last_words()
    return frame.message


def python_of(version: str) -> str:
    return interpreter(version) or pytest.skip(f"no Python {version} on this machine")


def test_the_bundle_is_sent_once(board: Sshd, reach: Reach, bundle: tuple[Path, str]) -> None:
    path, sha256 = bundle
    first = reach(board)
    assert first.sent_bytes == path.stat().st_size
    assert hello(first)["agent_sha"] == sha256
    first.close()
    kept = board.agent_home / "agents" / f"explorer-agent-{sha256[:16]}.pyz"
    assert kept.read_bytes() == path.read_bytes()
    assert [file.name for file in kept.parent.iterdir()] == [kept.name], "nothing half done is left"
    second = reach(board)
    assert second.sent_bytes == 0
    assert hello(second)["agent_sha"] == sha256


def test_a_damaged_bundle_is_sent_again(board: Sshd, reach: Reach, bundle: tuple[Path, str]) -> None:
    reach(board).close()
    kept = next((board.agent_home / "agents").iterdir())
    kept.write_bytes(kept.read_bytes()[:-1])
    assert hello(reach(board))["agent_sha"] == bundle[1]


def test_of_old_bundles_the_newest_few_are_kept(board: Sshd, reach: Reach) -> None:
    folder = board.agent_home / "agents"
    folder.mkdir(parents=True)
    for age in range(1, 9):
        old = folder / f"explorer-agent-{age}.pyz"
        old.write_bytes(b"old")
        os.utime(old, (time.time() - age * 3600,) * 2)
    (folder / "notes.txt").write_text("not ours")
    hello(reach(board))
    names = {file.name for file in folder.iterdir()}
    assert {f"explorer-agent-{age}.pyz" for age in range(1, loader.KEPT)} < names
    assert len(names) == loader.KEPT + 1
    assert "notes.txt" in names


@pytest.mark.parametrize("version", ["3.8", "3.10", "3.13"])
def test_any_python_from_3_8_on(tmp_path: Path, reach: Reach, version: str) -> None:
    with Sshd(tmp_path / "board", python=python_of(version)) as board, board.client():
        assert hello(reach(board))["type"] == "hello"


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_a_python_that_is_too_old(tmp_path: Path, reach: Reach, version: str) -> None:
    with Sshd(tmp_path / "board", python=python_of(version)) as board, board.client():
        with pytest.raises(NoDevice) as caught:
            reach(board)
        text = str(caught.value)
        assert "python3 on the board is older than 3.8" in text
        assert "with the option python:" in text
        assert f"board: explorer: this is Python {version}" in text
        good = shlex.quote(sys.executable)
        (board.bin / "a python").write_text(f'#!/bin/sh\nexec {good} "$@"\n')
        (board.bin / "a python").chmod(0o755)
        hello(reach(board, python=str(board.bin / "a python")))


def test_no_python_at_all(tmp_path: Path, reach: Reach) -> None:
    with Sshd(tmp_path / "board", python="") as board, board.client():
        with pytest.raises(
            NoDevice, match="there is no python3 on the board.*(.|\n)*apt install python3(.|\n)*option python:"
        ):
            reach(board)
        with pytest.raises(NoDevice, match="there is no no such; thing on the board"):
            reach(board, python="no such; thing")


def test_noise_before_the_agent_is_passed_over(tmp_path: Path, reach: Reach) -> None:
    noise = 'echo "Welcome to the board"; echo; printf "no line end"; echo "more on stderr" >&2'
    with Sshd(tmp_path / "board", rc=noise) as board, board.client():
        assert hello(reach(board))["type"] == "hello"


def test_noise_without_end_is_told(tmp_path: Path, reach: Reach) -> None:
    told = pytest.raises(NoDevice, match=r"prints more than 64 KiB on stdout .*noise.*keep \.bashrc")
    with Sshd(tmp_path / "board", rc="while :; do echo noise; done") as board, board.client(), told:
        reach(board)


@pytest.mark.parametrize("rc", ["sleep 600 </dev/null", "while :; do printf .; sleep 0.2; done"])
def test_a_shell_that_waits_for_input_is_told(
    tmp_path: Path, reach: Reach, monkeypatch: pytest.MonkeyPatch, rc: str
) -> None:
    """Also one that prints a little now and then meanwhile."""
    monkeypatch.setattr(bootstrap, "START_S", 2.0)
    told = pytest.raises(NoDevice, match="python3 did not start within 2 s")
    with Sshd(tmp_path / "board", rc=rc) as board, board.client(), told:
        reach(board)


def test_a_login_that_runs_something_else_is_told(tmp_path: Path, reach: Reach) -> None:
    caught = pytest.raises(NoDevice)
    with Sshd(tmp_path / "board", rc="echo only backups here >&2; exit 5") as board, board.client(), caught as told:
        reach(board)
    text = str(told.value)
    assert "does its login shell run commands at all?" in text
    assert "board: only backups here" in text
    assert "status 5" in text


@pytest.mark.parametrize("line", ["{", "[]", '"say"', "{}", '{"say": 1' + "0" * 100_000])
def test_a_board_that_answers_in_our_loaders_name_is_told(tmp_path: Path, reach: Reach, line: str) -> None:
    (tmp_path / "line").write_text(f"{loader.MARK}{line}\n")
    told = pytest.raises(NoDevice, match="what answers there is not our loader")
    with Sshd(tmp_path / "board", rc=f"/bin/cat '{tmp_path}/line'") as board, board.client(), told:
        reach(board)


def test_what_the_board_says_does_not_steer_the_terminal(tmp_path: Path, reach: Reach) -> None:
    with (
        Sshd(tmp_path / "board", rc="printf '\\033[2Jgone\\n' >&2; exit 5") as board,
        board.client(),
        pytest.raises(NoDevice, match=r"board:  \[2Jgone"),
    ):
        reach(board)


def test_a_module_in_the_home_does_not_come_between(board: Sshd, reach: Reach) -> None:
    for name in ("json", "hashlib", "zipfile"):
        (board.home / f"{name}.py").write_text("raise SystemExit('not me')")
    assert hello(reach(board))["type"] == "hello"


@pytest.mark.parametrize("name", ["with space", "with 'quotes\" and $HOME `id`", "with\nnewline", "ünïcode", "-dash"])
def test_homes_of_any_name(tmp_path: Path, reach: Reach, name: str) -> None:
    with Sshd(tmp_path / "board", home=tmp_path / name) as board, board.client():
        assert hello(reach(board))["type"] == "hello"
        assert board.agent_home.is_dir()
        assert hello(reach(board, home=f"~/{name}"))["type"] == "hello"
        assert (board.home / name / "agents").is_dir()


def test_words_of_the_host_are_no_commands(board: Sshd, reach: Reach) -> None:
    """What a user chose reaches the agent as it is, whatever a shell would make of it."""
    odd = "a'b\"c; touch stolen $(touch stolen) `touch stolen`\n\\ \n"
    transport = reach(board, words=[*QUICK, f"--holder={odd}"])
    assert hello(transport)["type"] == "hello"
    assert odd.split("\n")[0] in (board.agent_home / "lock").read_text().encode().decode("unicode_escape")
    assert not list(board.home.glob("**/stolen"))


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that not even root can write to."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid() == 0:
        with _mounted(folder, "ro,size=64k"):
            yield folder
    else:
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)


def test_a_home_that_cannot_be_written(tmp_path: Path, reach: Reach, read_only: Path) -> None:
    with Sshd(tmp_path / "board", home=read_only) as board, board.client():
        with pytest.raises(NoDevice, match=r"cannot write below .*/\.cache/explorer-agent .*option home: /some/folder"):
            reach(board)
        assert hello(reach(board, home=str(tmp_path / "elsewhere")))["type"] == "hello"


def test_a_disk_that_is_full(tmp_path: Path, reach: Reach) -> None:
    home = tmp_path / "small"
    home.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can make a small disk to fill")
    with _mounted(home, "size=64k"), Sshd(tmp_path / "board", home=home) as board, board.client():
        with pytest.raises(NoDevice, match="no room for the agent on the board below .*No space left"):
            reach(board)
        assert not list(home.glob("**/*.part"))


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh", "fish", "csh", "tcsh"])
def test_login_shells(tmp_path: Path, reach: Reach, shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"no {shell} on this machine")
    with Sshd(tmp_path / "board", shell=path) as board, board.client():
        assert hello(reach(board))["type"] == "hello"


def test_what_the_shell_is_given_holds_nothing_that_shells_differ_in() -> None:
    assert not set("'\\!\n") & set(bootstrap.STAGE)
    assert len(bootstrap.STAGE) < 1000


class _mounted:  # noqa: N801  reads as a phrase
    """A tmpfs for a while."""

    def __init__(self, folder: Path, options: str) -> None:
        self._folder = folder
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip(f"cannot mount a tmpfs here: {done.stderr.decode().strip()}")

    def __enter__(self) -> Path:
        return self._folder

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self._folder)], check=True)
