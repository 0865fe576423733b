"""The README's commands do what it says: each is run, on a small budget, in a copy of the tracked files.

`make quickstart` and `make test` are run by .ci/run, in a fresh clone; here it is only made sure that they are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sshd import Sshd

MADE_BY_CI = ("make quickstart", "make test")
ACTIVATE = ". .venv/bin/activate"
BUDGET = " --trials 3"
BOARD = "ssh://nvidia@orin.local"  # the reader's; here one of our own takes its place


def blocks(readme: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE)


def commands(readme: str) -> list[str]:
    """Every command of the sh blocks, in the order of the page."""
    lines = "".join(blocks(readme, "sh")).replace("\\\n", " ").splitlines()
    return [line.split("   #")[0].strip() for line in lines if line.strip()]


@pytest.fixture(scope="session")
def readme(root: Path) -> str:
    return (root / "README.md").read_text()


@pytest.fixture(scope="module")
def clone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks, with this test run's environment in the place of .venv."""
    copy = tmp_path_factory.mktemp("readme") / "explorer"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)
    return copy


def test_the_two_commands_are_run_by_ci(readme: str, root: Path) -> None:
    ci = (root / ".ci" / "run").read_text()
    for command in MADE_BY_CI:
        assert command in commands(readme)
        assert re.search(rf"^{command}( \|\| once_more)?$", ci, flags=re.MULTILINE)


@pytest.fixture
def orin(tmp_path: Path) -> Iterator[str]:
    with Sshd(tmp_path / "board", python=sys.executable) as server, server.client():
        yield server.spec


@pytest.mark.slow
def test_every_other_command_works_in_the_order_of_the_page(readme: str, clone: Path, orin: str) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in commands(readme):
        if command in (*MADE_BY_CI, ACTIVATE):
            continue
        assert command.startswith(("explorer ", "pip install ")), (
            f"the README says {command!r}, which this test does not know"
        )
        budget = BUDGET if command.startswith("explorer run") else ""
        done = subprocess.run(
            command.replace(BOARD, orin) + budget,
            shell=True,
            cwd=clone,
            env=environment,
            text=True,
            capture_output=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_the_space_of_the_page_is_one_of_the_project(readme: str, root: Path) -> None:
    """What is shown is what is shipped, line for line."""
    shown = blocks(readme, "yaml")
    shipped = [path.read_text() for folder in ("search_spaces", "examples") for path in (root / folder).rglob("*.yaml")]
    assert shown
    assert all(any(block in text for text in shipped) for block in shown)


def test_every_link_leads_somewhere(root: Path) -> None:
    pages = [
        page for page in root.rglob("*.md") if not any(part.startswith(".") for part in page.relative_to(root).parts)
    ]
    for page in pages:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(root)} links to {target}"


def test_the_page_fits_a_terminal(readme: str) -> None:
    """What was captured is at most 80 columns wide; prose may be wider."""
    for block in blocks(readme, "text"):
        assert max(map(len, block.splitlines())) <= 80
