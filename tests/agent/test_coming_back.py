"""A host that goes silent, does not read, or comes back through another connection: nothing is lost, nothing waits for
ever, and nobody else is touched.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from explorer_agent import lock as lock_module
from explorer_agent.lock import Lock
from explorer_agent.messages import AgentError

from .talk import FAKE, Talk, family, gone

Start = Callable[..., Talk]
QUICK = {"warmup_s": 0.02, "window_s": 0.02, "budget_s": 0.3, "windows_min": 3, "relative_interval": 0.5}
ANNA = ("--holder", "anna@laptop, study gait in /home/anna/results")
LONG_S = 60

# Takes the lock and names itself as its holder, and is deaf to whoever asks it to leave.
DEAF = """
import fcntl, json, os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
json.dump({"pid": int(sys.argv[2]) or os.getpid(), "user": "u", "since": "s", "holder": "me", "promise_s": 0.1}, file)
file.flush()
print("held", flush=True)
time.sleep(600)
"""


def ends(talk: Talk) -> bool:
    try:
        talk.process.wait(LONG_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def running_job(talk: Talk, **script: object) -> list[int]:
    """Start a build that does not end, and wait until it runs: nursery and job."""
    talk.say("build", source=talk.script(do="hang", **script), deployment=FAKE)
    deadline = time.monotonic() + LONG_S
    while len(family(talk.process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    return family(talk.process.pid)


@pytest.mark.parametrize("words", [(), ("--lease", "1")])
def test_a_host_that_is_silent_for_longer_than_its_lease_is_gone(start: Start, words: tuple[str, ...]) -> None:
    talk = start(*words)
    left = running_job(talk)
    if not words:
        talk.say("lease", seconds=1)
    assert ends(talk), "although its stdin never ended"
    assert gone(left)


@pytest.mark.slow
def test_every_byte_renews_the_lease(start: Start) -> None:
    talk = start("--lease", "5")
    until = time.monotonic() + 6
    while time.monotonic() < until:
        talk.say("lease", seconds=5)
        time.sleep(0.2)
    assert talk.ask("has", sha256=[])[0]["missing"] == []


def test_without_a_lease_a_host_may_be_silent(start: Start) -> None:
    talk = start()
    talk.say("lease", seconds=1)
    talk.say("lease", seconds=0)
    time.sleep(1.5)
    assert talk.ask("has", sha256=[])[0]["missing"] == []


def test_a_lease_beyond_reason_is_refused(start: Start) -> None:
    assert start().ask("lease", seconds=1e9)[0]["kind"] == "protocol"


def test_a_host_that_does_not_read_holds_nobody_up(start: Start) -> None:
    talk = start("--lease", "2")
    large = talk.put(os.urandom(8_000_000))
    talk.say("get", sha256=large)
    until = time.monotonic() + LONG_S
    try:
        while talk.process.poll() is None and time.monotonic() < until:
            talk.say("lease", seconds=2)
            time.sleep(0.2)
    except OSError:
        pass
    assert ends(talk)


def test_what_runs_is_finished_and_kept_for_the_host_that_comes_back(start: Start) -> None:
    first = start(*ANNA, "--linger", "30")
    asked = {
        "engine": first.build(first.script(then="linger", latency_s=0.001))["engine"],
        "deployment": FAKE,
        "plan": QUICK,
    }
    first.say("measure", **asked, once="trial 7")
    time.sleep(0.3)
    again = start(*ANNA, "--wait", "0.1", hello=False)  # the first one's stdin is still open: its link is dead
    heard = []
    while (message := again.hear()[0])["type"] == "note":
        heard.append(message)
    assert message["type"] == "hello"
    assert heard, "it said that it waits"
    assert {note["kind"] for note in heard} == {"waiting"}
    assert "anna@laptop" in heard[0]["text"]
    assert again.ask("measure", **asked, once="trial 7")[0]["cached"] is True
    assert ends(first)


def test_an_idle_session_of_the_same_holder_ends_at_once(start: Start) -> None:
    first = start(*ANNA, "--linger", "600")
    assert start(*ANNA, "--wait", "0.1", hello=False).hear()[0]["type"] in ("hello", "note")
    assert ends(first)


def test_a_stopped_agent_is_woken_and_ends(start: Start) -> None:
    first = start(*ANNA)
    first.process.send_signal(signal.SIGSTOP)
    again = start(*ANNA, hello=False)
    while (message := again.hear()[0])["type"] == "note":
        pass
    assert message["type"] == "hello"
    assert ends(first)


def test_another_holder_is_told_who_it_is(start: Start) -> None:
    first = start(*ANNA)
    other = start("--holder", "ben@desk", "--wait", "0.1", hello=False)
    reply, _ = other.hear()
    while reply["type"] == "note":
        reply, _ = other.hear()
    assert reply["kind"] == "busy"
    assert "anna@laptop, study gait" in reply["text"]
    assert first.ask("has", sha256=[])[0]["type"] == "has", "and she is not disturbed"


def test_a_host_that_goes_away_while_it_waits_leaves_nobody_waiting(start: Start) -> None:
    start(*ANNA)
    waiting = start("--holder", "ben@desk", "--wait", "600", hello=False)
    assert waiting.hear()[0]["kind"] == "waiting"
    assert waiting.close() == 0


def test_a_job_that_outlives_its_host_still_has_its_own_time_limit(start: Start) -> None:
    talk = start("--linger", "600")
    talk.say("build", source=talk.script(do="hang"), deployment=FAKE, timeout_s=1)
    time.sleep(0.2)
    talk.out.close()
    assert ends(talk)


def test_asked_to_end_it_does_not_linger(start: Start) -> None:
    talk = start("--linger", "600")
    left = running_job(talk)
    talk.process.send_signal(signal.SIGTERM)
    assert ends(talk)
    assert gone(left)


def test_a_signal_is_heard_whichever_thread_the_kernel_gives_it_to(start: Start) -> None:
    talk = start("--linger", "600")
    threads = [int(task.name) for task in Path(f"/proc/{talk.process.pid}/task").iterdir()]
    assert ctypes.CDLL(None).tgkill(talk.process.pid, max(threads), signal.SIGHUP) == 0
    assert max(threads) != talk.process.pid
    assert ends(talk), "although the thread that reads was not interrupted"


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    started = []

    def begin(names: int = 0) -> subprocess.Popen[str]:
        words = [sys.executable, "-I", "-c", DEAF, str(tmp_path / "lock"), str(names)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_who_does_not_keep_its_promise_is_ended(
    deaf: Callable[..., subprocess.Popen[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "GRACE_S", 0.3)
    process = deaf()
    with Lock(tmp_path / "lock", wait_s=0, holder="me"):
        assert process.wait(LONG_S) == -signal.SIGKILL


def test_a_number_that_belongs_to_somebody_else_by_now_is_left_alone(
    deaf: Callable[..., subprocess.Popen[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "GRACE_S", 0.1)
    innocent = subprocess.Popen(["sleep", "600"])
    try:
        deaf(innocent.pid)
        with pytest.raises(AgentError, match="in use"), Lock(tmp_path / "lock", wait_s=1.5, holder="me"):
            pass
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


@pytest.mark.parametrize("words", ["", "{", "[]", '{"pid": "7"}', '{"pid": 1e3, "holder": "me"}', "\xff\x00"])
def test_whatever_the_file_says_a_held_lock_is_busy(tmp_path: Path, words: str) -> None:
    path = tmp_path / "lock"
    path.write_text(words, encoding="latin-1")
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(AgentError, match="in use"), Lock(path, wait_s=0, holder="me"):
            pass


def test_a_lock_that_is_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"), Lock(tmp_path / "lock", wait_s=0):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_lock_names_its_holder(tmp_path: Path) -> None:
    with Lock(tmp_path / "lock", wait_s=0, holder="me", promise_s=7):
        told = json.loads((tmp_path / "lock").read_text())
    assert (told["pid"], told["holder"], told["promise_s"]) == (os.getpid(), "me", 7)
