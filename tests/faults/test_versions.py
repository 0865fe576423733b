"""An agent that is older or newer than the host: whoever can talk to the other does, whoever cannot says so.

The agents are copies of ours with some code added to the end of their session: what an older one has never heard of is
taken away, what a newer one may say is put in.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from explorer.transports.bundle import agent_folder
from faults.scene import Scene, names, wait_for

pytestmark = pytest.mark.slow

OLDER = '''

class Older(Session):
    """Knows neither lease nor check nor once, and does not tell what it knows."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in ("lease", "check"):
            del self._requests[name]
        del self._capabilities["requests"]

    def _answer(self, frame):
        frame.message.pop("once", None)
        super()._answer(frame)


Session = Older
'''
NEWER = '''

class Newer(Session):
    """Says more than anybody asked for, in words nobody knows yet."""

    def _send(self, message, body=b""):
        super()._send({"type": "note", "kind": "weather", "text": "sunny", "id": None, "job": {"deep": []}})
        super()._send(dict(message, mood=["good"]), body)


Session = Newer
'''


def _copy(folder: Path, *, file: str, change: tuple[str, str] | None = None, add: str = "") -> Path:
    """A copy of the agent with one file changed."""
    shutil.copytree(agent_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / file).read_text()
    if change is not None:
        assert change[0] in text
        text = text.replace(*change)
    (folder / file).write_text(text + add)
    return folder


def test_an_agent_of_a_protocol_to_come_is_refused_in_words(scene: Scene, tmp_path: Path) -> None:
    agent = _copy(tmp_path / "newer", file="wire.py", change=("\nPROTOCOL = 1\n", "\nPROTOCOL = 2\n"))
    assert scene.ends(scene.start(agent=agent)) == 3
    assert names(scene.said(), "board.yaml", "speaks protocol 2", "this explorer 1 to 1")
    assert not scene.records()


@pytest.mark.parametrize("code", [OLDER, NEWER], ids=["older", "newer"])
def test_another_agent_of_our_protocol_works(scene: Scene, tmp_path: Path, code: str) -> None:
    """And a lost session is made good with it, too."""
    agent = _copy(tmp_path / "agent", file="session.py", add=code)
    hold = scene.hold("measure")
    process = scene.start(agent=agent)
    scene.sees("measure")
    scene.board.sshd.kill_sessions()
    wait_for(lambda: "connecting again" in scene.said(), "word of the loss")
    hold.unlink()
    assert names(scene.goes_on(process), "board.yaml", "measure", "went away")
