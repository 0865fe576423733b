"""Boards by name, and what a space file says over what the board's file says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from explorer.transports import specs
from explorer.transports.boards import _settings, _words, boards

THIS_MACHINE = specs.described(boards()["local"])


def test_this_machine_is_a_board_with_a_declared_meter() -> None:
    settings = _settings(THIS_MACHINE, {})
    assert {"idle_w", "busy_core_w"} <= set(settings["meter"])


def test_options_come_over_the_boards_own() -> None:
    settings = _settings(THIS_MACHINE, {"meter": {"idle_w": 1.5}, "wait_s": 1})
    assert settings["meter"]["idle_w"] == 1.5
    assert settings["meter"]["busy_core_w"] > 0, "what is not said stays"


def test_the_agent_is_told_to_lock_clocks_if_that_is_asked_for() -> None:
    assert not any(word.startswith("--clocks") for word in _words({}, ""))
    assert "--clocks=lock" in _words({"clocks": "lock"}, "")


@pytest.mark.parametrize("path", boards().values(), ids=list(boards()))
def test_every_board_file_says_what_it_is_and_how_it_is_reached(path: Path) -> None:
    board = yaml.safe_load(path.read_text())
    assert board["summary"]
    assert board["transport"]
