"""What the virtual board's plug-in leaves of the machine's own runtimes and meters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from explorer_agent.virtual import tree

ASK = """
import json
from explorer_agent import meters, plugins, runtimes
plugins.load(["explorer_agent.virtual.plugin"])
print(json.dumps([list(runtimes.RUNTIMES), list(meters.METERS)]))
"""


def ask(root: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EXPLORER_AGENT_ROOT": str(root)}
    return subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["nano", "thor"])
def test_only_the_boards_own_are_there(name: str, tmp_path: Path) -> None:
    answer = ask(tree.plant(tmp_path / "root", name))
    assert json.loads(answer.stdout) == [["tensorrt"], ["ina3221"]], answer.stderr


def test_a_root_that_holds_no_virtual_board_is_refused(tmp_path: Path) -> None:
    assert "describes no virtual board" in ask(tmp_path).stderr
