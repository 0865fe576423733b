"""A board that builds the engines of the others: real agents, each with a home of its own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from fleets import SPACE, Boards, Watching, make

from explorer.errors import BadInput

SPACE = SPACE.replace("device_options:", "build_on: server.yaml\ndevice_options:")


@pytest.fixture
def boards(tmp_path: Path, root: Path) -> Boards:
    return make(tmp_path, root)


def built(boards: Boards, name: str) -> int:
    """How many engines a board has built."""
    return sum(1 for path in (boards.home(name) / "builds").glob("*"))


def complete(boards: Boards) -> bool:
    return [record.state for record in boards.records] == ["complete"] * 8


@pytest.mark.slow
def test_each_engine_is_built_once_and_by_nobody_else(boards: Boards) -> None:
    boards.add("server")
    boards.run(boards.add("one"), boards.add("two"), text=SPACE)
    assert complete(boards)
    assert {record.device for record in boards.records} == {"one.yaml", "two.yaml"}
    assert (built(boards, "server"), built(boards, "one"), built(boards, "two")) == (4, 0, 0)  # a batch, an engine
    assert boards.agents("server") == []


@pytest.mark.slow
def test_a_server_that_dies_is_replaced_by_each_board_itself(boards: Boards) -> None:
    def kill(turn: int) -> None:
        if turn == 2:
            boards.signal("server", signal.SIGKILL)

    boards.add("server")
    watching = Watching(on_trial=kill)
    boards.run(boards.add("one"), text=SPACE, watching=watching)
    assert complete(boards)
    assert len([note for note in watching.notes if "until it is back, each board builds its own engines" in note]) == 1
    assert built(boards, "one") > 0


@pytest.mark.slow
def test_a_server_that_is_not_there_is_told_and_done_without(boards: Boards) -> None:
    boards.add("server")
    (boards.folder / "server-python").write_text("#!/bin/sh\necho no such luck >&2; exit 1\n")
    watching = Watching()
    boards.run(boards.add("one"), text=SPACE, watching=watching)
    assert complete(boards)
    assert [note for note in watching.notes if "no such luck" in note and "builds its own engines" in note]
    assert built(boards, "one") == 4


@pytest.mark.slow
def test_one_board_by_two_names_does_not_take_itself_for_lost(boards: Boards) -> None:
    one = boards.add("one")
    (boards.folder / "server.yaml").write_text((boards.folder / one).read_text())
    watching = Watching()
    boards.run(one, text=SPACE, watching=watching)
    assert complete(boards)
    assert [note for note in watching.notes if "in use" in note and "each board builds its own engines" in note]
    assert not [note for note in watching.notes if "connecting again" in note]


def test_a_server_of_another_kind_is_refused_in_words(boards: Boards) -> None:
    boards.add("server", cores="0")
    with pytest.raises(BadInput, match="server.yaml is another kind of board") as refusal:
        boards.run(boards.add("one"), text=SPACE)
    assert "cores: 1, not" in str(refusal.value)
    assert boards.agents("one") == boards.agents("server") == []
