"""Clocks that are locked, and let go: on trees that look like a board's /sys, by the agent's own code in a process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from explorer_agent import board as boards
from explorer_agent.clocks import found

from .tree import CPU, GPU, JETSON_CLOCKS, RAILGATE, Board, Holder, without_override

Hold = Callable[..., Holder]
POLICY = f"{CPU}/cpufreq/policy0"
HELD = {
    f"{POLICY}/scaling_governor": "performance",
    f"{POLICY}/scaling_min_freq": "2201600",
    f"{CPU}/cpufreq/policy4/scaling_governor": "performance",
    f"{CPU}/cpufreq/policy4/scaling_min_freq": "1497600",
    f"{GPU}/min_freq": "1300500000",
}


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


@pytest.fixture
def hold(bundle: Path, tmp_path: Path, board: Board) -> Iterator[Hold]:
    holders: list[Holder] = []

    def begin(home: str = "home", clocks: str = "lock", python: str = "") -> Holder:
        holders.append(Holder(bundle, tmp_path / home, board, clocks=clocks, python=python))
        return holders[-1]

    yield begin
    for holder in holders:
        holder.close()


def changes(board: Board, before: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in board.knobs().items() if before.get(name) != text}


def test_locked_and_put_back(hold: Hold, board: Board, python: str) -> None:
    before = board.knobs()
    holder = hold(python=python)
    report = holder.report()
    assert (report["state"], report["why"]) == ("locked", "")
    assert f"/{GPU}/min_freq: 306000000 to 1300500000" in report["changed"]
    assert len(report["changed"]) == 5
    assert boards.state(board.root)["clocks_free"] == []
    assert {**before, **HELD} == {**before, **changes(board, before)}, (
        "to what the power mode allows, not to the chip's"
    )
    assert holder.close() == ""
    assert board.knobs() == before
    assert boards.state(board.root)["clocks_free"] == ["policy0", "policy4", "17000000.gpu"]


def test_each_clock_once_and_no_memory(board: Board) -> None:
    assert [domain.name for domain in found(board.root)] == ["policy0", "policy4", "17000000.gpu"]


@pytest.mark.parametrize("name", ["gpu.0/devfreq/57000000.gpu", "gpu.0/devfreq/17000000.gp10b"])
def test_the_gpu_of_older_jetsons(name: str, tmp_path: Path) -> None:
    for knob in ("min_freq", "max_freq"):
        (tmp_path / "sys/devices" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys/devices" / name / knob).write_text("1\n")
    assert [domain.name for domain in found(tmp_path)] == [name.rpartition("/")[2]]


def test_left_alone_unless_asked(hold: Hold, board: Board) -> None:
    before = board.knobs()
    report = hold(clocks="leave").report()
    assert report == {"state": "left", "why": "nobody asked for them to be locked", "changed": []}
    assert board.knobs() == before


def test_a_board_without_clocks_says_so(bundle: Path, tmp_path: Path) -> None:
    bare = Board(tmp_path / "bare")
    for folder in ("devices", "class"):
        os.rename(bare.root / "sys" / folder, bare.root / folder)
    holder = Holder(bundle, tmp_path / "home", bare)
    assert holder.report() == {"state": "left", "why": "this board shows no clock that could be set", "changed": []}
    holder.close()


def test_a_governor_that_somebody_pinned_is_theirs(hold: Hold, board: Board) -> None:
    board.put(f"{POLICY}/scaling_governor", "userspace")
    holder = hold()
    assert holder.report()["state"] == "locked"
    assert board.get(f"{POLICY}/scaling_governor") == "userspace"
    holder.close()


def test_what_is_locked_already_is_not_changed(hold: Hold, board: Board) -> None:
    for policy in ("policy0", "policy4"):
        board.put(f"{CPU}/cpufreq/{policy}/scaling_min_freq", board.get(f"{CPU}/cpufreq/{policy}/scaling_max_freq"))
    board.put(f"{GPU}/min_freq", board.get(f"{GPU}/max_freq"))
    before = board.knobs()
    holder = hold()
    assert holder.report() == {"state": "locked", "why": "", "changed": []}
    holder.close()
    assert board.knobs() == before


def test_jetson_clocks_where_there_is_one(hold: Hold, board: Board, python: str) -> None:
    board.give("jetson_clocks", JETSON_CLOCKS)
    board.put("run/explorer-jetson_clocks.conf", "of an earlier run: it is asked about")
    before = board.knobs()
    holder = hold(python=python)
    report = holder.report()
    assert report["state"] == "locked", report
    assert board.get(RAILGATE) == "0"
    assert board.get(f"{POLICY}/scaling_governor") == "schedutil", "with one frequency it has nothing to govern"
    holder.close()
    assert board.knobs() == before
    store = board.root / "run/explorer-jetson_clocks.conf"
    assert board.calls() == [f"jetson_clocks --store {store}", "jetson_clocks", f"jetson_clocks --restore {store}"]


@pytest.mark.parametrize("script", ["echo 'sudo: a password is required'; exit 1", "echo 'Error! unsupported SOC'"])
def test_without_jetson_clocks_the_rest_is_locked(script: str, hold: Hold, board: Board) -> None:
    board.give("jetson_clocks", f"#!/bin/sh\n{script}\n")
    before = board.knobs()
    holder = hold()
    report = holder.report()
    assert report["state"] == "partly"
    assert "jetson_clocks --store" in report["why"]
    assert len(report["changed"]) == 5
    holder.close()
    assert board.knobs() == before


def test_a_knob_that_may_not_be_turned(hold: Hold, board: Board, tmp_path: Path) -> None:
    (board.root / GPU / "min_freq").chmod(0o444)
    before = board.knobs()
    holder = hold(python=without_override(tmp_path))
    report = holder.report()
    assert report["state"] == "partly"
    assert report["why"].startswith("not locked: 17000000.gpu; [Errno 13] Permission denied")
    assert len(report["changed"]) == 4
    assert holder.close() == "", "what was never changed needs no permission to be as it was"
    assert board.knobs() == before


def test_nothing_may_be_turned(hold: Hold, board: Board, tmp_path: Path) -> None:
    for path in (board.root / "sys").rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    holder = hold(python=without_override(tmp_path))
    report = holder.report()
    assert (report["state"], report["changed"]) == ("not permitted", [])
    assert "agents/README.md" in report["why"]
    assert holder.close() == ""


def test_a_knob_that_leads_out_of_sys_is_not_touched(hold: Hold, board: Board) -> None:
    (board.root / GPU / "min_freq").unlink()
    board.put("elsewhere", 5)
    (board.root / GPU / "min_freq").symlink_to(board.root / "elsewhere")
    before = board.knobs()
    report = hold().report()
    assert report["state"] == "left"
    assert "could not be put back later" in report["why"]
    assert board.knobs() == before


def test_a_home_without_room_for_a_journal(hold: Hold, board: Board, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o500)
    before = board.knobs()
    report = hold(python=without_override(tmp_path)).report()
    assert report["state"] == "left"
    assert "Permission denied" in report["why"]
    assert board.knobs() == before


def test_two_homes_do_not_take_each_others_settings_for_the_boards(hold: Hold, board: Board) -> None:
    before = board.knobs()
    first = hold("first")
    assert first.report()["state"] == "locked"
    second = hold("second")
    first.close()
    assert second.report()["changed"], "it waited for the first to put its own back"
    second.close()
    assert board.knobs() == before


@pytest.mark.slow
def test_a_board_that_another_home_holds_is_left(hold: Hold, board: Board) -> None:
    first, second = hold("first"), hold("second")
    reports = [first.report(), second.report()]
    assert sorted(report["state"] for report in reports) == ["left", "locked"]
    assert any("another agent has changed" in report["why"] for report in reports)
