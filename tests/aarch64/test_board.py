"""The emulated board itself: another architecture, a /sys of its own, and nothing that outlives it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.aarch64.board import TOOL, EmulatedBoard, make_tree
from tests.sshd import until

pytestmark = [pytest.mark.slow, pytest.mark.aarch64]

LOOK = (
    "import json, os, platform\n"
    "files = [os.path.join(where, name) for where, _, names in os.walk('/sys') for name in names]\n"
    "open('/root/mark', 'w').write('x')\n"
    "print(json.dumps([platform.machine(), os.getuid(), sorted(files)]))"
)


@pytest.mark.parametrize("way", ["namespace", "proot"])
def test_it_is_an_aarch64_machine_with_a_sys_of_its_own(tmp_path: Path, way: str) -> None:
    done = _run(tmp_path, way, "/usr/bin/python3", "-I", "-c", LOOK)
    machine, user, files = json.loads(done.stdout)
    assert (machine, user) == ("aarch64", 0)
    assert files == ["/sys/devices/system/cpu/possible", "/sys/devices/system/cpu/present"]
    assert (tmp_path / "root" / "mark").read_text() == "x"


@pytest.mark.parametrize("way", ["namespace", "proot"])
def test_nothing_outlives_it(tmp_path: Path, way: str) -> None:
    _need(tmp_path, way)
    seconds = f"7{tmp_path.stat().st_ino % 10**6:06d}"  # tells this test's sleepers from anybody else's
    board = subprocess.Popen(_words(tmp_path, way, "/bin/sh", "-c", f"sleep {seconds} & sleep {seconds}"))
    try:
        until(lambda: len(_sleepers(seconds)) >= 2, "the board to start")
    finally:
        board.kill()
        board.wait()
    until(lambda: not _sleepers(seconds), "all that ran on the board to end")


def test_its_sshd_is_its_own(emulated: EmulatedBoard) -> None:
    words = ["ssh", "-F", str(emulated.client_config), "-p", str(emulated.port), "root@127.0.0.1"]
    if shutil.which("ssh") is None:
        pytest.skip("no ssh on this machine (Debian package openssh-client)")
    done = subprocess.run([*words, "uname -m; python3 -V"], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split()[:2] == ["aarch64", "Python"]


def _words(state: Path, way: str, *command: str) -> list[str]:
    own = [sys.executable, str(TOOL), "run", "--tree", str(make_tree()), "--state", str(state), "--way", way, "--"]
    return [*own, *command]


def _run(state: Path, way: str, *command: str) -> subprocess.CompletedProcess[str]:
    _need(state, way)
    words = ["timeout", "-s", "KILL", "300", *_words(state, way, *command)]
    return subprocess.run(words, capture_output=True, text=True, check=True)


def _need(state: Path, way: str) -> None:
    if way == "proot" and shutil.which("proot") is None:
        pytest.skip("no proot on this machine (Debian package proot)")
    tried = subprocess.run(_words(state, way, "/bin/true"), capture_output=True, text=True, timeout=300)
    if way == "namespace" and tried.returncode:
        pytest.skip(f"no namespace can be had here: {tried.stderr.strip()}")


def _sleepers(seconds: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if seconds in (process.info["cmdline"] or [])]
