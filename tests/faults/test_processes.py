"""kill -9 of everything that takes part: agent, nursery, worker, host; and a worker that runs out of memory."""

from __future__ import annotations

import signal

import pytest

from faults.conftest import Make
from faults.scene import Scene, kill, kill_host, names, wait_for

PHASES = ("build", "measure", "infer")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("phase", PHASES)
def test_the_agent_killed(scene: Scene, phase: str) -> None:
    """Its job dies with it; the next agent begins that one anew, and nothing else."""
    hold = scene.hold(phase)
    process = scene.start()
    began = scene.sees(phase)
    (worker,) = scene.workers()
    kill(scene.agent())
    wait_for(lambda: not worker.is_running(), "the end of its worker")
    hold.unlink()
    assert names(scene.goes_on(process), "board.yaml", phase, "went away")
    assert len(scene.executions("build", batch=began["batch"])) <= 2 if phase == "build" else 1


def test_the_agent_killed_before_its_reply_was_read(scene: Scene) -> None:
    """Measured, kept, and then the agent dies: the next one answers from the disk."""
    process = scene.start()
    hold = scene.hold("infer")
    began = scene.sees("infer")  # its measurement is kept, and was told
    kill_host(process)
    kill(scene.agent())
    hold.unlink()
    scene.goes_on(scene.start())
    assert len(scene.executions("measure", batch=began["batch"])) == 1


@pytest.mark.parametrize("phase", PHASES)
def test_the_nursery_killed(scene: Scene, phase: str) -> None:
    """A job's process ends in a way it has not deserved: it is tried once more, and said."""
    hold = scene.hold(phase)
    process = scene.start()
    scene.sees(phase)
    for nursery in scene.nurseries():
        kill(nursery)
    hold.unlink()
    assert names(scene.goes_on(process), "tried once more", "board.yaml", phase, "together with the nursery")


@pytest.mark.parametrize(
    ("phase", "trick", "cause"),
    [
        ("build", "allocate", "out of memory"),
        ("measure", "allocate", "out of memory"),
        ("infer", "allocate", "out of memory"),
        ("measure", "kill", "SIGKILL"),
        ("infer", "crash", "SIGSEGV"),
    ],
)
def test_a_worker_dies_or_runs_out_of_memory(scene: Scene, phase: str, trick: str, cause: str) -> None:
    """One job is lost, no more; what this candidate had measured before is not measured again."""
    scene.trap(phase, trick)
    said = scene.goes_on(scene.start())
    assert names(said, "tried once more", "board.yaml", phase, cause)
    assert len([line for line in scene.ledger() if line["what"] == "measured"]) == scene.trials


@pytest.mark.parametrize("phase", PHASES)
def test_the_host_killed(scene: Scene, phase: str) -> None:
    """The board finishes what it is about; the next run takes that up, under the same number."""
    hold = scene.hold(phase)
    process = scene.start()
    began = scene.sees(phase)
    kill_host(process)
    again = scene.start()
    wait_for(lambda: len(scene.agents()) > 1 or scene.ledger()[-1]["what"] != phase, "the host come back")
    hold.unlink()
    scene.goes_on(again)
    assert len(scene.executions(phase, batch=began["batch"])) == 1


def test_the_host_killed_and_gone_for_longer_than_its_lease(scene: Scene) -> None:
    """The agent notices, finishes, keeps and goes; nothing of it is left to hold the board."""
    hold = scene.hold("measure")
    process = scene.start()
    began = scene.sees("measure")
    kill_host(process)
    hold.unlink()
    wait_for(lambda: not scene.agents(), "the end of the agent")
    scene.goes_on(scene.start())
    assert len(scene.executions("measure", batch=began["batch"])) == 1


def test_the_host_interrupted(scene: Scene) -> None:
    """Ctrl-C ends the job under way; the same command goes on."""
    scene.hold("measure")
    process = scene.start()
    scene.sees("measure")
    process.send_signal(signal.SIGINT)
    assert scene.ends(process, within_s=30) == 130
    wait_for(lambda: not scene.agents(), "the end of the agent", 30)
    scene.hold("measure").unlink()
    scene.goes_on(scene.start())


def test_the_agent_stopped_for_longer_than_patience(make: Make) -> None:
    """A board that hangs is silent; it is let go of, and its old agent is got past when the host comes back."""
    scene = make()
    hold = scene.hold("measure")
    process = scene.start()
    scene.sees("measure")
    agent = scene.agent()
    agent.send_signal(signal.SIGSTOP)
    hold.unlink()
    said = scene.goes_on(process)
    assert names(said, "board.yaml", "measure", "silent for 30 s")
    assert not agent.is_running() or scene.agents() == []
