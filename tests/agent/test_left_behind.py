"""Whatever a job does or leaves, it costs that job alone and is gone with it; whoever is killed, nothing stays."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from explorer_agent.family import MARK

from .talk import FAKE, Talk, family, gone

Start = Callable[..., Talk]
LONG_S = 60


def descendants(talk: Talk, count: int) -> list[int]:
    deadline = time.monotonic() + LONG_S
    while len(found := family(talk.process.pid)) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(found) >= count
    return found


def nursery_of(talk: Talk) -> int:
    return family(talk.process.pid)[0]


@pytest.mark.parametrize("python", ["this", "3.8"], indirect=True)
def test_what_a_job_leaves_running_ends_with_it(start: Start, python: str) -> None:
    """Its helpers hold the job's pipe and log; the reply comes all the same, and the next job finds the place empty."""
    talk = start(python=python)
    assert talk.build(talk.script(do="leave"))["type"] == "build"
    assert gone(family(talk.process.pid)[1:], within_s=LONG_S)
    reply = talk.build(talk.script(do="leave and crash"))
    assert "SIGSEGV" in reply["text"]
    assert gone(family(talk.process.pid)[1:], within_s=LONG_S)


def test_a_job_that_ignores_signals_is_ended(start: Start) -> None:
    talk = start()
    reply, _ = talk.ask("build", source=talk.script(do="stubborn"), deployment=FAKE, timeout_s=0.5)
    assert "took longer than" in reply["text"]
    assert talk.build(talk.script())["type"] == "build"


def test_a_job_that_never_stops_talking_is_ended(start: Start) -> None:
    talk = start()
    reply = talk.build(talk.script(do="chatter"))
    assert "printed more than 64 MB" in reply["text"]
    assert len(reply["trace"]) <= 4000
    assert talk.build(talk.script())["type"] == "build"


@pytest.mark.parametrize("whom", ["agent", "nursery", "job", "agent and nursery"])
def test_whoever_is_killed_nothing_stays(start: Start, whom: str) -> None:
    talk = start()
    talk.say("build", source=talk.script(do="leave and hang"), deployment=FAKE)
    nursery, job, *helpers = descendants(talk, 4)
    if "agent" in whom:
        talk.process.kill()
    if "nursery" in whom:
        os.kill(nursery, signal.SIGKILL)
    if whom == "job":
        os.kill(job, signal.SIGKILL)
    if whom in ("nursery", "job"):
        reply = talk.hear()[0]
        while reply["type"] == "note":
            reply = talk.hear()[0]
        assert "ended" in reply["text"]
        assert talk.build(talk.script())["type"] == "build"
    if whom == "agent and nursery":  # nobody is left to end them but the next agent
        assert start().build(talk_script := "0" * 64)["cause"] == "missing", talk_script
    assert gone([job, *helpers], within_s=LONG_S)


def test_others_of_the_same_name_are_left_alone(start: Start) -> None:
    """The mark is the home's: what another home's agent runs is its own."""
    pid = os.spawnvpe(os.P_NOWAIT, "sleep", ["sleep", "600"], {**os.environ, MARK: "/another/home"})
    try:
        start()
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
