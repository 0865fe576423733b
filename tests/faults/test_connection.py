"""The way to the board breaks: the session or the server is killed, connections are reset, die at one end, swallow."""

from __future__ import annotations

import time

import pytest
from sshd import environment

from explorer.transports.boards import start
from faults.conftest import Make
from faults.scene import Scene, names, wait_for

PHASES = ("build", "measure", "infer")


@pytest.mark.slow
def test_a_session_killed_while_measuring(scene: Scene) -> None:
    """The plain case, and the quickest: the agent sees its stream end, finishes and keeps; the host comes back."""
    hold = scene.hold("measure")
    process = scene.start()
    measured = scene.sees("measure")
    assert scene.board.sshd.kill_sessions()
    wait_for(lambda: "connecting again" in scene.said(), "word of the loss")
    hold.unlink()
    said = scene.goes_on(process, within_s=60)
    assert names(said, "board.yaml", "measure", "went away")
    assert len(scene.executions("measured", batch=measured["batch"])) == 1, "measured twice for one lost connection"


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_the_server_and_its_sessions_killed(scene: Scene, phase: str) -> None:
    """For some seconds nobody listens: the host tries again until somebody does."""
    hold = scene.hold(phase)
    process = scene.start()
    scene.sees(phase)
    scene.board.restart(after_s=3)
    hold.unlink()
    said = scene.goes_on(process)
    assert names(said, "board.yaml", phase, "went away")


@pytest.mark.slow
def test_a_session_killed_at_every_step_of_one_candidate(make: Make) -> None:
    """Three times in a row, with no other candidate left to go on with, and still it is not to blame."""
    scene = make(trials=2)
    scene.script(build_s=2.0)
    process = scene.start()
    wait_for(scene.records, "the first candidate")
    holds = {phase: scene.hold(phase) for phase in PHASES}
    for before, (phase, hold) in enumerate(holds.items()):
        scene.sees(phase, count=2)
        scene.board.sshd.kill_sessions()
        wait_for(lambda before=before: scene.said().count("connecting again") > before, "word of the loss")
        hold.unlink()
    scene.goes_on(process)


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_connections_reset_at_both_ends(scene: Scene, phase: str) -> None:
    hold = scene.hold(phase)
    process = scene.start()
    scene.sees(phase)
    scene.board.relay.reset()
    hold.unlink()
    assert names(scene.goes_on(process), "board.yaml", phase, "went away")


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_a_connection_dead_at_the_hosts_end_alone(scene: Scene, phase: str) -> None:
    """The board believes in its host still; the host that comes back gets past its own earlier session."""
    hold = scene.hold(phase)
    process = scene.start()
    began = scene.sees(phase)
    scene.board.relay.forsake()
    wait_for(lambda: len(scene.agents()) > 1, "the host come back")
    hold.unlink()
    said = scene.goes_on(process)
    assert names(said, "board.yaml", phase, "went away")
    assert len(scene.executions(phase, batch=began["batch"])) == 1, "done again, although the first was finished"


@pytest.mark.slow
def test_a_reply_that_the_link_swallowed(scene: Scene) -> None:
    """The measurement is complete and sent, and never arrives: it is not taken again."""
    hold = scene.hold("measure")
    process = scene.start()
    began = scene.sees("measure")
    scene.board.relay.stall()
    hold.unlink()
    scene.sees("measured")
    time.sleep(1)
    scene.board.relay.reset()
    scene.board.relay.go_on()
    scene.goes_on(process)
    assert len(scene.executions("measure", batch=began["batch"])) == 1


@pytest.mark.slow
@pytest.mark.parametrize("byte", [1, 5_000, 50_000, 1_900_000])
def test_a_transfer_that_breaks_at_a_byte(make: Make, byte: int) -> None:
    """In the handshake, in the agent's own file, in the network: the transfer goes on where it stopped."""
    scene = make(megabytes=2.0)
    scene.board.relay.stall_after(byte)
    process = scene.start()
    wait_for(lambda: scene.board.relay.to_board >= byte, "so many bytes")
    time.sleep(0.5)
    scene.board.relay.reset()
    scene.board.relay.go_on()
    code = scene.ends(process)
    if code == 3:  # before the board was ever reached, the run ends at once
        assert "board.yaml" in scene.said() or scene.board.address.removeprefix("ssh://") in scene.said()
        process = scene.start()
    scene.goes_on(process)
    assert scene.board.relay.to_board < 3_600_000, "what had arrived was sent again"


@pytest.mark.slow
def test_a_link_that_stalls_and_comes_back_is_no_fault_at_all(scene: Scene) -> None:
    hold = scene.hold("measure")
    process = scene.start()
    scene.sees("measure")
    scene.board.relay.stall()
    time.sleep(5)
    scene.board.relay.go_on()
    hold.unlink()
    assert "connecting again" not in scene.goes_on(process)


@pytest.mark.slow
def test_a_board_that_does_not_come_back_ends_the_run_and_not_the_study(make: Make) -> None:
    """Within the patience it was given, with exit status 3, and everything that was finished on the disk."""
    scene = make(options={"patience_s": 6})
    hold = scene.hold("measure")
    process = scene.start()
    scene.sees("measure")
    scene.board.sshd.stop()
    assert scene.ends(process, within_s=60) == 3
    assert names(scene.said(), "board.yaml", "measure", "went away")
    assert "the study is saved and can be continued" in scene.said()
    hold.unlink()
    scene.board.sshd.start()
    scene.goes_on(scene.start())


@pytest.mark.slow
def test_a_host_that_is_gone_before_it_said_a_word_does_not_hold_the_board(make: Make) -> None:
    """Its end of the connection dies right after hello; another host gets the board when the first lease is over."""
    scene = make(options={"wait_s": 60})
    with environment(EXPLORER_SSH_CONFIG=str(scene.board.client_config)):
        started = start("board.yaml", cache=scene.folder / "cache", options={}, holder="eve", search=scene.folder)
        assert b'"hello"' in started.transport.incoming.readline()
    scene.board.relay.forsake()
    scene.goes_on(scene.start())
    started.transport.close()
