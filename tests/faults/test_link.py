"""A real link in a network namespace: the cable pulled for half a minute in every phase, and packets lost on the way.

The stated time-outs: the host gives a silent board 15 s of TCP and 30 s of the protocol, the board a silent host its
lease of 20 s; so after 30 s both know, and within a minute of the cable's return the study goes on.
"""

from __future__ import annotations

import time

import pytest

from faults.conftest import Make
from faults.scene import Scene, names, wait_for

DOWN_S = 30.0
BACK_S = 60.0
PHASES = ("build", "measure", "infer")

pytestmark = pytest.mark.slow


def test_down_for_half_a_minute_during_put(make: Make) -> None:
    """Of 4 MB over a slow link not a quarter is sent again."""
    scene = make(link=True, megabytes=4.0)
    scene.board.link.slow(mbit=8)
    process = scene.start()
    parts = scene.home / "parts"
    wait_for(lambda: any(part.stat().st_size > 1_000_000 for part in parts.glob("*")), "a part of the network")
    scene.board.link.down()
    time.sleep(DOWN_S)
    scene.board.link.up()
    said = scene.goes_on(process, within_s=BACK_S)
    assert names(said, "board.yaml: put: the device does not listen any more", "connecting again")
    assert scene.board.link.sent_bytes() < 5_500_000


@pytest.mark.parametrize("phase", PHASES)
def test_down_for_half_a_minute(make: Make, phase: str) -> None:
    """What was under way on the board is finished there meanwhile, and is not done again."""
    scene = make(link=True)
    hold = scene.hold(phase)
    process = scene.start()
    began = scene.sees(phase)
    scene.board.link.down()
    time.sleep(DOWN_S / 2)
    hold.unlink()
    time.sleep(DOWN_S / 2)
    scene.board.link.up()
    said = scene.goes_on(process, within_s=BACK_S)
    assert names(said, f"board.yaml: {phase}: the device")
    assert names(said, "broke: ", "connecting again")
    assert len(scene.executions(phase, batch=began["batch"])) == 1


def test_packets_lost_for_half_a_minute_while_a_job_goes_on(make: Make) -> None:
    """Both ends have their link, nothing arrives; the job ends only after the link is back."""
    scene = make(link=True)
    hold = scene.hold("measure")
    process = scene.start()
    began = scene.sees("measure")
    scene.board.link.drop()
    time.sleep(DOWN_S)
    scene.board.link.up()
    wait_for(lambda: scene.said().count("connecting again"), "word of the loss")
    time.sleep(3)
    hold.unlink()
    scene.goes_on(process, within_s=BACK_S)
    assert len(scene.executions("measure", batch=began["batch"])) == 1


def test_down_for_a_moment_is_no_fault_at_all(make: Make) -> None:
    scene = make(link=True)
    hold = scene.hold("measure")
    process = scene.start()
    scene.sees("measure")
    scene.board.link.down()
    time.sleep(4)
    scene.board.link.up()
    hold.unlink()
    assert "connecting again" not in scene.goes_on(process)


def test_reset_by_a_firewall_while_the_link_is_down(make: Make) -> None:
    scene = make(link=True)
    hold = scene.hold("measure")
    process = scene.start()
    scene.sees("measure")
    scene.board.link.drop()
    scene.board.link.reset()
    time.sleep(2)
    scene.board.link.up()
    hold.unlink()
    said = scene.goes_on(process)
    assert names(said, "board.yaml: measure: the device")
    assert names(said, "broke: ", "connecting again")


def test_down_for_longer_than_patience_ends_the_run(make: Make) -> None:
    scene: Scene = make(link=True, options={"patience_s": 10})
    hold = scene.hold("measure")
    process = scene.start()
    scene.sees("measure")
    scene.board.link.down()
    assert scene.ends(process, within_s=120) == 3
    assert names(scene.said(), "board.yaml: measure: the device")
    assert "the study is saved and can be continued" in scene.said()
    scene.board.link.up()
    hold.unlink()
    scene.goes_on(scene.start())
