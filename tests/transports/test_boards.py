"""Boards by name, and what a space file says over what the board's file says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from explorer.errors import BadInput
from explorer.transports import specs
from explorer.transports.boards import _settings, _words, boards, start

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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("meter: rapl", "(?s)meter: .*of another kind.*allowed: names with"),
        ("meter: {idle_w: .nan}", "meter: .*of another kind"),
        ("runtimes: fake", "runtimes: .*(?s:.*)allowed: a list of names"),
        ("plugins: 5", "plugins: "),
        ("plugins: {a: 1}", "plugins: "),
        ("python: [a]", "python: "),
        ('python: "a\\0b"', "python: "),
        ('runtimes: ["a\\0b"]', "runtimes: "),
        ("home: 5", "home: "),
        ("wait_s: soon", "wait_s: "),
        ("wait_s: -1", "wait_s: "),
        ("cache_gb: .inf", "cache_gb: "),
        ("clocks: 7", "(?s)clocks: .*lock or leave"),
        ("address: 5", "address: "),
        ("address: ssh://board", "do not fit together"),
        ("pythn: python3", "(?s)unknown device option.*did you mean 'python'"),
    ],
)
def test_a_boards_file_of_another_kind_is_told_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"transport: local\n{text}\n")
    with pytest.raises(BadInput, match=words) as refused:
        start("./mine.yaml", cache=tmp_path / "cache", options={}, search=tmp_path)
    assert "mine.yaml" in str(refused.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("transport: pigeon\nhome: 5\nwait_s: soon\n")
    with pytest.raises(BadInput) as refused:
        start("mine.yaml", cache=tmp_path / "cache", options={}, search=tmp_path)
    assert len(refused.value.problems) == 3
