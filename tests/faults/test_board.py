"""What befalls the board itself: a full disk, a clock that is set, a second host."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from faults.conftest import Make
from faults.scene import Scene, kill_host, names, wait_for

YEAR_S = 86_400 * 365

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("phase", ["build", "measure", "infer"])
def test_a_disk_that_fills_up_during_a_job(make: Make, phase: str) -> None:
    """Not a byte is left: no candidate is to blame, what was measured counts, and the run ends until a person helps."""
    scene = make(disk_mb=150)
    hold = scene.hold(phase)
    process = scene.start()
    began = scene.sees(phase)
    with scene.board.full_disk():
        hold.unlink()
        assert scene.ends(process, within_s=60) == 3
        assert names(scene.said(), "board.yaml: build: ", "pace left" if phase == "build" else "no room")
        assert "the study is saved and can be continued" in scene.said()
    scene.goes_on(scene.start())
    assert len(scene.executions("measured", batch=began["batch"])) == 1


def test_a_disk_that_is_full_when_the_network_arrives(make: Make) -> None:
    """The run ends by itself, within its patience, and names board, job and cause; emptied, it goes on."""
    scene = make(disk_mb=150, megabytes=4.0)
    with scene.board.full_disk(leaving=65 << 20):
        code = scene.ends(scene.start(), within_s=60)
        assert code == 3
        assert names(scene.said(), "board.yaml", "no room")
        assert "the study is saved and can be continued" in scene.said()
    scene.goes_on(scene.start())


def test_a_disk_without_room_for_the_agent_itself(make: Make) -> None:
    scene = make(disk_mb=70)
    with scene.board.full_disk():
        assert scene.ends(scene.start(), within_s=60) == 3
        assert names(scene.said(), "no room for the agent on the board")
    scene.goes_on(scene.start())


@pytest.mark.parametrize(
    ("side", "seconds"), [("board", YEAR_S), ("board", -YEAR_S), ("host", YEAR_S), ("host", -YEAR_S), ("host", -5)]
)
def test_a_clock_that_is_set(make: Make, side: str, seconds: float) -> None:
    """While it measures and while it waits: no time-out fires early, none never."""
    scene = make(clock=True)
    clock = scene.clock if side == "host" else scene.board.clock
    assert clock is not None
    hold = scene.hold("measure")
    process = scene.start()
    scene.sees("measure")
    clock.jump(seconds)
    time.sleep(2)
    hold.unlink()
    scene.sees("measured", count=2)
    clock.jump(-seconds)
    assert "connecting again" not in scene.goes_on(process)


def test_a_clock_that_is_set_does_not_hide_a_loss(make: Make) -> None:
    scene = make(clock=True)
    assert scene.clock is not None
    hold = scene.hold("measure")
    process = scene.start()
    scene.sees("measure")
    scene.clock.jump(-YEAR_S)
    scene.board.relay.stall()
    wait_for(lambda: "connecting again" in scene.said(), "word of the loss", 60)
    scene.board.relay.go_on()
    hold.unlink()
    scene.goes_on(process)


def test_a_second_host(make: Make) -> None:
    """It hears who holds the board, and ends with exit status 3; the first does not notice."""
    scene = make(options={"wait_s": 1})
    hold = scene.hold("measure")
    process = scene.start()
    scene.sees("measure")
    other = _another(scene)
    second = scene.start(folder=other)
    assert scene.ends(second, within_s=60) == 3
    said = (other / "said").read_text()
    assert names(said, "board.yaml", "this device is in use", f"study faults in {scene.folder / 'results'}")
    hold.unlink()
    assert "connecting again" not in scene.goes_on(process)
    second = scene.start(folder=other)
    assert scene.ends(second, within_s=60) == 0, "and now it is free"


def test_a_second_host_while_the_first_is_away(make: Make) -> None:
    """Whoever comes while the board finishes for a host that was killed waits or hears busy; nobody's work is lost."""
    scene = make(options={"wait_s": 1})
    hold = scene.hold("measure")
    process = scene.start()
    began = scene.sees("measure")
    kill_host(process)
    second = scene.start(folder=_another(scene))
    assert scene.ends(second, within_s=60) == 3
    hold.unlink()
    scene.goes_on(scene.start())
    assert len(scene.executions("measure", batch=began["batch"])) == 1


def _another(scene: Scene) -> Path:
    folder = scene.folder.with_name("another")
    scene.furnish(folder, study="another")
    return folder
