"""Names and files that others chose: spaces, quotes and line ends in every path, symlinks where files should be,
folders that anybody may write to, and a host key that is another one.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sshd import Sshd, make_key

from explorer.config import load
from explorer.device import connect
from explorer.errors import BadInput, NoDevice
from explorer.execution import LOG, _open_log
from explorer.progress import Progress
from explorer.store import LOCK, TRIALS, open_store
from explorer.study import run
from explorer.transports.brought import bring
from explorer.transports.bundle import bundle_bytes, make_bundle

# What a shell, ssh, YAML, a template or a terminal would take for something else than a name.
ODD = 'it\'s "odd"\n$(touch pwned) `touch pwned`; touch pwned & %h {0} \\x *'
PLUGIN = """
from explorer_agent.testing import FakeRuntime, SteadyMeter
RUNTIMES = {"mine": FakeRuntime()}
METERS = {"mine": SteadyMeter}
"""
MINE = {"plugins": [f"{ODD}/mine.py"], "runtimes": ["mine"], "meter": {"name": "mine"}}
DEPLOYMENT = {"runtime": "mine", "precision": "fp32", "batch": 1, "threads": 1}
PLAN = {"warmup_s": 0.01, "window_s": 0.01, "windows_min": 2, "budget_s": 0.05, "relative_interval": 0.5}
SPACE = """\
study: s
model: {onnx: net.onnx}
space: {batch: [1, 2]}
precision: fp32
runtime: onnxruntime
objectives: {throughput_ips: max, model_mb: min}
measure: {warmup_s: 0.02, window_s: 0.03, windows_min: 2, budget_s: 0.1, relative_interval: 0.5, idle_s: 0}
"""


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of that name, and in it a plug-in; the working folder, where a shell would leave what it was told to."""
    (tmp_path / ODD).mkdir()
    (tmp_path / ODD / "mine.py").write_text(PLUGIN)
    (tmp_path / ODD / "source").write_text("{}")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / ODD


def _whole_round(spec: str, odd: Path, **options: object) -> str:
    """Build, measure, infer and get with the user's own runtime and meter; the sha256 of the agent."""
    inputs = np.ones((3, 2), np.float32)
    with connect(spec, cache=odd / "cache", options={**MINE, **options}, search=odd.parent) as device:
        built = device.build(odd / "source", DEPLOYMENT)
        assert device.measure(built, DEPLOYMENT, PLAN).meter["name"] == "steady"
        np.testing.assert_array_equal(device.infer(built, DEPLOYMENT, inputs), inputs)
        assert device.get(built.engine)
        assert device.capabilities["plugins"]["mine"]["from"] == "bundle"
    assert not list(odd.parent.rglob("pwned")), "a name was taken for a command"
    return device.agent_sha


def test_odd_names_on_this_machine(odd: Path) -> None:
    python = odd / "python"
    python.symlink_to(sys.executable)
    _whole_round("local:", odd, python=str(python))


def test_odd_names_on_a_board_that_has_nothing_but_python(odd: Path, tmp_path: Path) -> None:
    """Its home, its python, the plug-in, the caches: the very bundle that this machine would use too."""
    with Sshd(tmp_path / "board", home=tmp_path / f"home of {ODD}") as board, board.client():
        python = tmp_path / f"python {ODD}"
        shutil.copy(board.bin / "python3", python)
        seen = _whole_round(board.spec, odd, python=str(python), home=str(board.home / ODD))
        assert (board.home / ODD / "agents").is_dir()
    assert seen == _whole_round("local:", odd)


def test_an_odd_home_of_the_account_itself(odd: Path, tmp_path: Path) -> None:
    with Sshd(tmp_path / "board", home=tmp_path / f"home of {ODD}") as board, board.client():
        _whole_round(board.spec, odd)
        assert (board.home / ".cache" / "explorer-agent" / "agents").is_dir()


def test_an_odd_space_file_results_and_cache(odd: Path, root: Path) -> None:
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", odd / "net.onnx")
    space = odd / f"space {ODD}.yaml"
    space.write_text(SPACE)
    with Progress() as progress:
        ending = run(load(space), results=odd / "results", cache=odd / "cache", watcher=progress)
    assert len(ending.records) == 2
    words = [sys.executable, "-m", "explorer", "report", str(ending.folder), "--format", "html"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert said.returncode == 0, said.stderr
    assert list(ending.folder.glob("*.html"))
    assert not list(odd.parent.rglob("pwned"))


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file that nobody here has any business with."""
    path = tmp_path / "precious"
    path.write_text("mine\nand whole")
    return path


def test_a_bundle_that_is_a_symlink_is_replaced_and_not_written_through(tmp_path: Path, precious: Path) -> None:
    path, _ = make_bundle(tmp_path / "cache")
    path.unlink()
    path.symlink_to(precious)
    assert make_bundle(tmp_path / "cache")[0].read_bytes() == bundle_bytes()
    assert not path.is_symlink()
    precious.unlink()
    path.unlink()
    path.symlink_to(precious)
    assert make_bundle(tmp_path / "cache")[0].read_bytes() == bundle_bytes(), "one that leads nowhere too"
    assert not precious.exists()


@pytest.mark.parametrize("name", [LOCK, TRIALS])
def test_results_are_not_written_through_a_symlink(tmp_path: Path, precious: Path, name: str) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / name).symlink_to(precious)
    with pytest.raises(BadInput, match="cannot write the results folder"), open_store(tmp_path / "s", {}):
        pass
    assert precious.read_text() == "mine\nand whole", "and least of all is its tail cut off"


def test_the_log_of_stages_is_not_written_through_a_symlink(tmp_path: Path, precious: Path) -> None:
    (tmp_path / LOG).symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"):
        _open_log(tmp_path, os.O_TRUNC)
    assert precious.read_text()


def test_a_plug_in_may_be_a_symlink_of_the_users_own(tmp_path: Path) -> None:
    """It is read as what it leads to, under the name that was given."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "v2.py").write_text(PLUGIN)
    (tmp_path / "mine.py").symlink_to(tmp_path / "store" / "v2.py")
    assert dict(bring(["mine"], folders=[tmp_path]).files) == {"mine.py": PLUGIN.encode()}
    assert bring(["mine.py"], folders=[tmp_path]).names == ("mine",)


def test_a_home_that_anybody_may_write_to_is_taken_back(board: Sshd, tmp_path: Path) -> None:
    """Or others could put code, engines and orders there, and have them run by this user."""
    for folder in (board.agent_home, board.agent_home / "agents"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
    options = {"plugins": ["explorer_agent.testing"], "runtimes": ["fake"]}
    with connect(board.spec, cache=tmp_path / "cache", options=options):
        pass
    for folder in (board.agent_home, *board.agent_home.iterdir()):
        assert not folder.is_dir() or not stat.S_IMODE(folder.stat().st_mode) & 0o022, folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_home_that_belongs_to_somebody_else_is_refused(board: Sshd, tmp_path: Path) -> None:
    theirs, cache = tmp_path / "theirs", tmp_path / "cache"
    theirs.mkdir(mode=0o777)
    cache.mkdir()
    (cache / "agent").symlink_to(theirs)  # home of the agent of this machine
    os.chown(theirs, 65534, 65534)
    with pytest.raises(NoDevice, match="belongs to another user"):
        connect(board.spec, cache=cache, options={"home": str(theirs)})
    with pytest.raises(NoDevice, match="belongs to another user"):
        connect("local:", cache=cache)
    assert not list(theirs.rglob("*.pyz"))


def test_another_host_key_is_refused_with_both_fingerprints(board: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    changed = f"{board.known_hosts.read_text().split()[0]} {(tmp_path / 'other.pub').read_text()}"
    board.known_hosts.write_text(changed)
    with pytest.raises(NoDevice, match=r"(?s)SHA256:\S+.*SHA256:\S+") as refused:
        connect(board.spec, cache=tmp_path / "cache")
    assert "known_hosts" in str(refused.value)
    assert not board.agent_home.exists(), "nothing was sent there"
    assert board.known_hosts.read_text() == changed, "and nothing was added to what is known"
