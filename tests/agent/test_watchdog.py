"""However an agent ends, the board is left as it was found: with the real agent, on a tree that looks like a board."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .talk import FAKE, Talk, family, gone
from .tree import CPU, JETSON_CLOCKS, Board, Holder

LOW = f"{CPU}/cpufreq/policy0/scaling_min_freq"
Serve = Callable[..., Talk]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


@pytest.fixture
def serve(start: Callable[..., Talk], board: Board) -> Serve:
    def begin(*words: str, python: str = sys.executable, clocks: str = "lock") -> Talk:
        talk = start("--clocks", clocks, "--root", str(board.root), *words, python=python, hello=False)
        assert talk.hear()[0]["capabilities"]["clocks"]["state"] == ("locked" if clocks == "lock" else "left")
        assert (board.get(LOW) == "2201600") is (clocks == "lock")
        return talk

    return begin


@pytest.fixture
def hold(bundle: Path, tmp_path: Path, board: Board) -> Iterator[Holder]:
    holder = Holder(bundle, tmp_path / "home", board)
    assert holder.report()["state"] == "locked"
    yield holder
    with contextlib.suppress(ProcessLookupError):
        holder.process.send_signal(signal.SIGCONT)
    holder.close()


def watchdogs(pid: int) -> list[int]:
    """The watchdogs among the descendants of `pid`."""
    found = []
    for child in family(pid):
        with contextlib.suppress(OSError):  # ended meanwhile
            if b"explorer_agent.watchdog" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def becomes(board: Board, knobs: dict[str, str]) -> bool:
    deadline = time.monotonic() + 60
    while board.knobs() != knobs:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def restore(bundle: Path, home: Path, board: Board, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    words = [python, "-I", "-W", "error", str(bundle), "restore", "--home", str(home), "--root", str(board.root)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_closed_in_order(serve: Serve, board: Board, python: str) -> None:
    before = board.knobs()
    assert serve(python=python).close() == 0
    assert board.knobs() == before, "before it ends, not some time after"


def test_agent_killed(serve: Serve, board: Board, python: str) -> None:
    before = board.knobs()
    serve(python=python).process.kill()
    assert becomes(board, before)


def test_agent_killed_amid_a_job(serve: Serve, board: Board) -> None:
    """No process of a job holds on to the pipe that the watchdog listens to."""
    before, talk = board.knobs(), serve()
    talk.say("build", source=talk.script(do="hang"), deployment=FAKE)
    while talk.hear()[0].get("kind") != "heartbeat":
        pass
    talk.process.kill()
    assert becomes(board, before)


def test_link_lost_without_a_word(serve: Serve, board: Board) -> None:
    """The pipe stays open, as a cut cable leaves it: the lease ends, then the time a job may linger."""
    before, talk = board.knobs(), serve("--lease", "1", "--linger", "1")
    talk.say("build", source=talk.script(do="hang"), deployment=FAKE)
    assert becomes(board, before)
    assert talk.process.wait(60) == 0


def test_jetson_clocks_are_put_back_too(serve: Serve, board: Board) -> None:
    board.give("jetson_clocks", JETSON_CLOCKS)
    before = board.knobs()
    serve().process.kill()
    assert becomes(board, before)
    assert "--restore" in board.calls()[-1]


def test_killed_while_jetson_clocks_runs(bundle: Path, tmp_path: Path, board: Board) -> None:
    """The program goes on when its agent is killed, and has its way after that: it is waited for, then undone."""
    board.give("jetson_clocks", JETSON_CLOCKS)
    board.put("slow", 1)
    before, holder = board.knobs(), Holder(bundle, tmp_path / "home", board)
    while "jetson_clocks" not in board.calls():
        time.sleep(0.01)
    everybody = family(holder.process.pid)
    holder.process.kill()
    assert gone(everybody, within_s=60)
    assert "--restore" in board.calls()[-1]
    assert board.knobs() == before
    holder.close()


def test_host_killed(bundle: Path, tmp_path: Path, board: Board) -> None:
    """The host's pipes end with it, and the agent with them."""
    before = board.knobs()
    words = [str(bundle), "serve", "--home", str(tmp_path / "home"), "--clocks", "lock", "--root", str(board.root)]
    host = f"""
import subprocess, sys, time
agent = subprocess.Popen([sys.executable, "-I", *{words!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(agent.stdout.readline()[:20], flush=True)
time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    everybody = family(process.pid)
    assert board.knobs() != before
    process.kill()
    process.communicate()
    assert becomes(board, before)
    assert gone(everybody, within_s=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_the_watchdog_is_deaf_until_it_is_done(number: int, serve: Serve, board: Board) -> None:
    before, talk = board.knobs(), serve()
    (watchdog,) = watchdogs(talk.process.pid)
    os.kill(watchdog, number)
    talk.process.kill()
    assert becomes(board, before)


def test_a_session_that_ends_takes_the_watchdog_with_it_only_when_done(serve: Serve, board: Board) -> None:
    talk = serve()
    (watchdog,) = watchdogs(talk.process.pid)
    assert os.getsid(watchdog) == watchdog
    talk.process.kill()
    assert gone([watchdog], within_s=60)


def test_watchdog_killed_and_the_agent_closed(serve: Serve, board: Board) -> None:
    before, talk = board.knobs(), serve()
    os.kill(watchdogs(talk.process.pid)[0], signal.SIGKILL)
    assert talk.close() == 0
    assert board.knobs() == before


def test_both_killed_and_the_next_agent_puts_back(serve: Serve, board: Board, python: str) -> None:
    before, talk = board.knobs(), serve(python=python)
    os.kill(watchdogs(talk.process.pid)[0], signal.SIGKILL)
    talk.process.kill()
    talk.process.wait()
    assert board.get(LOW) == "2201600"
    second = serve(python=python, clocks="leave")
    assert board.knobs() == before, "by the time it says hello"
    second.close()


def test_both_killed_and_put_back_by_hand(
    serve: Serve, board: Board, bundle: Path, tmp_path: Path, python: str
) -> None:
    before, talk = board.knobs(), serve()
    os.kill(watchdogs(talk.process.pid)[0], signal.SIGKILL)
    talk.process.kill()
    talk.process.wait()
    done = restore(bundle, tmp_path / "home", board, python)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"/{LOW}: 729600" in done.stdout
    assert board.knobs() == before
    assert restore(bundle, tmp_path / "home", board, python).stdout == "nothing to put back\n"


@pytest.mark.slow
def test_restore_leaves_an_agent_at_work_alone(serve: Serve, board: Board, bundle: Path, tmp_path: Path) -> None:
    talk = serve()
    done = restore(bundle, tmp_path / "home", board)
    assert done.returncode == 3
    assert "in use" in done.stderr
    assert board.get(LOW) == "2201600"
    talk.close()


def test_restore_tells_what_it_could_not_put_back(bundle: Path, tmp_path: Path, board: Board) -> None:
    (tmp_path / "home").mkdir()
    line = '{"do": "nvpmodel", "mode": 3}\n'
    (tmp_path / "home/undo.jsonl").write_text(line)
    done = restore(bundle, tmp_path / "home", board)
    assert (done.returncode, done.stdout) == (1, "nothing was put back\n")
    assert done.stderr == "not put back: this board has no nvpmodel\n"
    assert (tmp_path / "home/undo.jsonl").read_text() == line


def test_restore_where_no_agent_ever_was(bundle: Path, tmp_path: Path, board: Board) -> None:
    done = restore(bundle, tmp_path / "nowhere", board)
    assert done.returncode == 0
    assert "nothing to put back" in done.stdout
    assert not (tmp_path / "nowhere").exists()


def test_a_board_whose_state_is_unknown_is_changed_no_further(start: Serve, board: Board, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/undo.jsonl").write_text('{"do": "write", "path": "/etc/passwd", "text": "x"}\n')
    before = board.knobs()
    talk = start("--clocks", "lock", "--root", str(board.root), hello=False)
    told = talk.hear()[0]["capabilities"]["clocks"]
    assert told["state"] == "left"
    assert "/etc/passwd" in told["why"]
    assert board.knobs() == before
    talk.close()


def test_an_agent_that_stands_still_does_not_keep_a_board_hot(hold: Holder, board: Board) -> None:
    """As when it hangs in the kernel: its pipe does not end, but nobody asks for more time either."""
    hold.at_most(0.5)
    hold.process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 60
    while board.get(LOW) != "729600" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert board.get(LOW) == "729600"


def test_an_agent_whose_watchdog_was_killed_gets_another(hold: Holder, board: Board) -> None:
    (first,) = watchdogs(hold.process.pid)
    os.kill(first, signal.SIGKILL)
    assert gone([first], within_s=60)
    hold.at_most(600)
    assert watchdogs(hold.process.pid) not in ([], [first])
    hold.process.kill()
    deadline = time.monotonic() + 60
    while board.get(LOW) != "729600" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert board.get(LOW) == "729600"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_any_moment(seed: int, bundle: Path, tmp_path: Path, board: Board) -> None:
    """The agent, or it and all that it started; in the midst of locking, too."""
    chance = random.Random(seed)
    if chance.random() < 0.5:
        board.give("jetson_clocks", JETSON_CLOCKS)
        board.put("slow", chance.choice([0, 0.1, 0.3]))
    before, holder = board.knobs(), Holder(bundle, tmp_path / "home", board)
    time.sleep(chance.uniform(0, 0.8))
    everybody = family(holder.process.pid)
    alone = chance.random() < 0.5
    for pid in [holder.process.pid, *([] if alone else everybody)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert gone(everybody, within_s=60)
    assert not alone or becomes(board, before)
    assert restore(bundle, tmp_path / "home", board).returncode == 0
    assert board.knobs() == before
    holder.close()
