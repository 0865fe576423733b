"""Power modes: set, refused in words, set back, by a real agent on trees that look like Jetsons."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures import boards

from explorer_agent import modes, undo
from explorer_agent.clocks import Held, board_settings
from explorer_agent.cooling import Cooler
from explorer_agent.messages import BUSY, INFEASIBLE, AgentError
from explorer_agent.modes import Modes
from explorer_agent.readiness import Readiness
from explorer_agent.streams import Link

from .talk import FAKE, Talk, gone
from .test_watchdog import watchdogs

PLAN = {"warmup_s": 0.01, "window_s": 0.01, "windows_min": 2, "budget_s": 0.05, "idle_s": 0.0, "relative_interval": 0.9}
Serve = Callable[..., Talk]


@pytest.fixture
def tree(tmp_path: Path) -> boards.Tree:
    return boards.programs(boards.make("orin-nx", tmp_path / "board"))


@pytest.fixture
def serve(start: Callable[..., Talk], tree: boards.Tree) -> Serve:
    return lambda *words, **how: start("--root", str(tree.root), *words, hello=False, **how)


def hello(talk: Talk) -> dict[str, Any]:
    message, _ = talk.hear()
    assert message["type"] == "hello", message
    found: dict[str, Any] = message["capabilities"]
    return found


def measure(talk: Talk, mode: str = "", **fields: Any) -> dict[str, Any]:
    engine = talk.build(talk.script())["engine"]
    asked = talk.say("measure", engine=engine, deployment={**FAKE, "power_mode": mode}, plan=PLAN, **fields)
    return talk.answer(asked)[0]


def current(tree: boards.Tree) -> str:
    number = (tree.root / "var/lib/nvpmodel/status").read_text()[6:10]
    return tree.spec.modes[int(number)] if number else "being written"


def knobs(tree: boards.Tree) -> dict[str, str]:
    return {str(path): path.read_text().strip() for path in sorted((tree.root / "sys").rglob("*_m*_freq"))} | {
        str(path): path.read_text().strip() for path in sorted((tree.root / "sys").rglob("m??_freq"))
    }


def comes_to(tree: boards.Tree, mode: str) -> bool:
    deadline = time.monotonic() + 60
    while current(tree) != mode:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def imitate(tree: boards.Tree, fact: str) -> None:
    (tree.root / "imitation" / fact).touch()


@contextmanager
def agent(tree: boards.Tree, clocks: str = "lock", reboot: str = "never") -> Iterator[tuple[Held, Modes]]:
    """The part of an agent that changes the board, in this process."""
    home = tree.root.parent / "home"
    with board_settings(home, clocks=clocks, root=tree.root) as held:
        yield held, Modes(held, home=home, reboot=reboot, root=tree.root)


def refused(found: Modes, mode: str) -> str:
    with pytest.raises(AgentError) as refusal:
        found.reach(mode, goodbye=lambda words: pytest.fail(words))
    assert refusal.value.kind == INFEASIBLE
    return refusal.value.text


def test_set_locked_measured_and_set_back(serve: Serve, tree: boards.Tree) -> None:
    before, talk = knobs(tree), serve("--clocks", "lock")
    told = hello(talk)
    assert told["power_modes"] == ["MAXN", "10W", "15W", "25W"]
    assert told["power_mode"] == {"current": "10W", "lasting": ""}
    assert len(told["power_modes_sha256"]) == 64
    assert told["clocks"]["state"] == "locked"
    header = measure(talk, "25W")
    assert header["type"] == "measure", header
    assert (header["power_mode"], header["mode_switches"]) == ("25W", 1)
    assert header["mode_set_s"] > 0
    assert header["cooldown"] == {"seconds": 0.0, "from_c": 51.5, "to_c": 51.5, "gave_up": ""}
    for state in (header["board_before"], header["board_after"]):
        assert (state["power_mode"], state["clocks_free"]) == ("25W", [])
        assert state["clocks_held"] == {"cpu_khz_min": 1901600, "gpu_hz": 1000500000}, "nvpmodel undid the lock"
    assert measure(talk, "25W")["mode_switches"] == 1, "it is in it already"
    assert measure(talk)["power_mode"] == "10W", "without one, as it was found"
    assert measure(talk, "MAXN")["power_mode"] == "MAXN"
    assert talk.close() == 0
    assert (current(tree), knobs(tree)) == ("10W", before)
    calls = boards.called(tree)
    assert calls[-1].startswith("jetson_clocks --restore"), "after nvpmodel, which would undo it"
    assert "nvpmodel -m 1" in calls[-3:-1]
    assert sum("--store" in call for call in calls) == 1


@pytest.mark.parametrize(
    "name", [name if name == "nano" else pytest.param(name, marks=pytest.mark.slow) for name in boards.BOARDS]
)
def test_on_every_board(name: str, tmp_path: Path) -> None:
    tree = boards.programs(boards.make(name, tmp_path / "board"))
    before = knobs(tree)
    with agent(tree) as (held, found):
        assert found.offered == tuple(tree.spec.modes)
        for mode in reversed(found.offered):
            assert found.reach(mode, goodbye=pytest.fail)["power_mode"] == mode == current(tree)
            assert held.report["state"] == "locked", held.report
    assert (current(tree), knobs(tree)) == (tree.spec.modes[1], before)


def test_a_mode_that_wants_a_restart_is_refused_and_changes_nothing(tree: boards.Tree) -> None:
    imitate(tree, "restart/0")
    with agent(tree) as (held, found):
        locked = knobs(tree)
        words = refused(found, "MAXN")
        assert words == (
            "mode MAXN needs a reboot of this board; allow it with device_options: {reboot: allow}, or set it by hand"
        )
        assert (current(tree), knobs(tree), held.report["state"]) == ("10W", locked, "locked")
        assert refused(found, "MAXN") == words
        assert boards.called(tree).count("nvpmodel -m 0") == 1, "asked once, and remembered"
        assert found.reach("15W", goodbye=pytest.fail)["mode_switches"] == 1
    assert current(tree) == "10W"


def test_a_mode_that_is_told_before_the_restart_is_none(tree: boards.Tree) -> None:
    imitate(tree, "restart/0")
    imitate(tree, "eager")
    with agent(tree) as (_, found):
        assert "needs a reboot" in refused(found, "MAXN")
        assert current(tree) == "10W"


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        ("hangs", "mode 15W needs a reboot"),
        ("denied", "cannot be set: nvpmodel -m 2: sudo: a password is required; agents/README.md"),
        ("lost", "cannot be set: nvpmodel says nothing about it"),
    ],
)
def test_what_else_goes_wrong_is_told(
    fact: str, words: str, tree: boards.Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    with agent(tree) as (_, found):
        monkeypatch.setattr(undo, "TOOL_S", 1)
        imitate(tree, fact)
        assert words in refused(found, "15W")
        (tree.root / "imitation" / fact).unlink()
        monkeypatch.undo()
    assert current(tree) == "10W"


def test_without_rights_the_present_mode_will_do(tree: boards.Tree) -> None:
    imitate(tree, "denied")
    with agent(tree, clocks="leave") as (_, found):
        assert found.reach("10W", goodbye=pytest.fail)["mode_switches"] == 0
        assert "a password is required" in refused(found, "15W")
    assert not (tree.root.parent / "home/undo.jsonl").exists(), "nothing is left to be put back"


def test_without_the_program_only_the_present_mode_is_offered(tree: boards.Tree) -> None:
    (tree.root / "usr/sbin/nvpmodel").unlink()
    with agent(tree) as (_, found):
        assert found.offered == ("10W",)


def test_clocks_that_the_user_had_locked_are_locked_again_in_the_end(tree: boards.Tree) -> None:
    """Although this agent was not to touch clocks: nvpmodel lets go of them."""
    undo.run(tree.root, os.open(os.devnull, os.O_RDONLY), "jetson_clocks")
    before = knobs(tree)
    with agent(tree, clocks="leave") as (_, found):
        found.reach("25W", goodbye=pytest.fail)
        assert knobs(tree) != before
    assert (current(tree), knobs(tree)) == ("10W", before)


def test_clocks_that_somebody_lets_go_of_are_locked_again(tree: boards.Tree) -> None:
    with agent(tree) as (_, found):
        locked = knobs(tree)
        undo.run(tree.root, os.open(os.devnull, os.O_RDONLY), "nvpmodel", "-m", "1")  # systemctl isolate does
        assert knobs(tree) != locked
        found.reach("10W", goodbye=pytest.fail)
        assert knobs(tree) == locked


def restart(tree: boards.Tree, mode: str = "MAXN") -> list[str]:
    """Ask for a mode that wants a restart, with leave to do so; the agent's last words."""
    words: list[str] = []
    with agent(tree, reboot="allow") as (_, found):
        found.reach(mode, goodbye=words.append)
    return words


def test_a_restart_that_is_allowed_lasts(tree: boards.Tree) -> None:
    imitate(tree, "restart/0")
    assert restart(tree) == ["the board restarts for the power mode MAXN"]
    assert current(tree) == "MAXN"
    for _ in range(2):
        with agent(tree) as (_, found):
            assert found.lasting == "the board was restarted for the power mode MAXN and stays in it; it was in 10W"
            assert found.reach("MAXN", goodbye=pytest.fail)["mode_switches"] == 0
        assert current(tree) == "MAXN"


@pytest.mark.slow
def test_a_mode_that_only_a_restart_leads_back_to_is_left_for_good(tree: boards.Tree) -> None:
    imitate(tree, "restart/1")
    with agent(tree, reboot="allow") as (_, found):
        found.reach("25W", goodbye=pytest.fail)
    assert current(tree) == "25W"
    assert not (tree.root.parent / "home/undo.jsonl").exists()
    imitate(tree, "restart/3")
    with agent(tree) as (_, found):
        found.reach("15W", goodbye=pytest.fail)
    assert current(tree) == "15W"
    with agent(tree) as (held, found):
        assert "the power mode is 2 still, was 3" in held.report["why"], "who does not let it restart is told"
        assert "could not be put back" in refused(found, "MAXN")


def test_a_board_that_comes_up_in_another_mode_is_not_restarted_again(tree: boards.Tree) -> None:
    imitate(tree, "restart/0")
    imitate(tree, "wrong")
    restart(tree)
    with agent(tree, reboot="allow") as (_, found):
        assert refused(found, "MAXN") == "the board was restarted for the mode MAXN, and came up in 10W"
        assert found.lasting == ""
    with agent(tree) as (_, found):
        assert "needs a reboot" in refused(found, "MAXN"), "another run may try"


def test_a_restart_that_does_not_come(tree: boards.Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(tree, "restart/0")
    imitate(tree, "stays")
    monkeypatch.setattr(modes, "RESTART_S", 0.3)
    with agent(tree, reboot="allow") as (_, found):
        assert "was told to restart for the mode MAXN, and did not" in refused(found, "MAXN")
    with agent(tree) as (_, found):
        assert refused(found, "MAXN") == "the board was told to restart for the mode MAXN, and has not done so yet"


def test_nobody_is_served_while_a_restart_is_to_come(tree: boards.Tree) -> None:
    home = tree.root.parent / "home"
    home.mkdir()
    mark = {"mode": "MAXN", "was": "10W", "boot": "first boot", "at_s": time.clock_gettime(time.CLOCK_BOOTTIME)}
    (home / "restart.json").write_text(json.dumps(mark))
    with pytest.raises(AgentError, match="about to restart for the power mode MAXN") as refusal, agent(tree):
        pass
    assert refusal.value.kind == BUSY
    (home / "restart.json").write_text(json.dumps({**mark, "at_s": mark["at_s"] - 2 * modes.RESTART_S}))
    with agent(tree) as (_, found):
        assert found.lasting == "", "it never came"


def test_a_restart_as_the_host_sees_it(serve: Serve, tree: boards.Tree) -> None:
    imitate(tree, "restart/0")
    talk = serve("--reboot", "allow")
    hello(talk)
    engine = talk.build(talk.script())["engine"]
    talk.say("measure", engine=engine, deployment={**FAKE, "power_mode": "MAXN"}, plan=PLAN)
    notes = []
    while (frame := talk.reader.read()) is not None:
        notes.append(frame.message)
    assert [note["text"] for note in notes if note["kind"] == "goodbye"] == [
        "the board restarts for the power mode MAXN"
    ]
    assert talk.process.wait(60) == 0
    again = serve("--reboot", "allow")
    assert re.search("stays in it; it was in 10W", hello(again)["power_mode"]["lasting"])
    header = measure(again, "MAXN")
    assert (header["type"], header["power_mode"], header["mode_switches"]) == ("measure", "MAXN", 0)


@pytest.mark.parametrize("how", [pytest.param("agent", marks=pytest.mark.slow), "agent and watchdog"])
def test_agent_killed_amid_a_measurement_in_another_mode(how: str, serve: Serve, tree: boards.Tree) -> None:
    before, talk = knobs(tree), serve("--clocks", "lock")
    hello(talk)
    talk.say("build", source=talk.script(do="hang"), deployment={**FAKE, "power_mode": "25W"})
    assert comes_to(tree, "25W")
    watching = watchdogs(talk.process.pid)
    assert watching
    killed = [*(watching if "watchdog" in how else []), talk.process.pid]
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert gone([*killed, *watching], within_s=60)
    if "watchdog" in how:
        assert current(tree) == "25W"
        assert serve().close() == 0
    assert (current(tree), knobs(tree)) == ("10W", before)


def test_engines_take_turns_in_one_mode(tree: boards.Tree) -> None:
    with agent(tree) as (held, found):
        ready = Readiness(held, found, Cooler(tree.root), Link(), lambda message: None)
        others = [{"engine": "", "deployment": {"power_mode": mode}} for mode in ("25W", "15W")]
        command = {"kind": "measure", "deployment": {"power_mode": "25W"}, "beside": others, "plan": {"cooldown_s": 0}}
        with pytest.raises(AgentError, match="take turns in one power mode: 25W, not 15W"):
            ready.prepare(command, lambda: False)
        facts = ready.prepare({**command, "beside": others[:1]}, lambda: False)
        assert facts["power_mode"] == "25W"
