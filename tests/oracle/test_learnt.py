"""What a board has shown, kept for it alone and over any crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from explorer.errors import BadInput
from explorer.oracle import Learnt, Refusal

WISH = {"precision": "int8", "placement": "dla", "batch": 4}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "boards" / "learnt.jsonl"


def test_nothing_is_known_at_first_and_nothing_is_written(path: Path) -> None:
    assert Learnt(path).refusals("board", "net", WISH) == ()
    assert not path.exists()


def test_what_is_learnt_is_kept(path: Path) -> None:
    Learnt(path).learn("board", "net", WISH, reason="the builder gave None")
    (refusal,) = Learnt(path).refusals("board", "net", dict(reversed(WISH.items())))
    assert isinstance(refusal, Refusal)
    assert (refusal.rule, refusal.reason) == ("learnt", "the builder gave None")
    assert refusal.source.startswith("seen on the board board, 20")


def test_it_holds_for_that_board_network_and_deployment_alone(path: Path) -> None:
    learnt = Learnt(path)
    learnt.learn("board", "net", WISH, reason="no")
    assert learnt.refusals("other", "net", WISH) == ()
    assert learnt.refusals("board", "other", WISH) == ()
    assert learnt.refusals("board", "net", {**WISH, "batch": 8}) == ()


def test_it_can_be_withdrawn_and_learnt_again(path: Path) -> None:
    learnt = Learnt(path)
    learnt.learn("board", "net", WISH, reason="no")
    learnt.withdraw("board", "net", WISH, reason="built after an update")
    assert Learnt(path).refusals("board", "net", WISH) == ()
    learnt.learn("board", "net", WISH, reason="no, again")
    assert Learnt(path).refusals("board", "net", WISH)[0].reason == "no, again"
    assert len(path.read_bytes().splitlines()) == 3


def test_what_is_known_is_not_written_twice(path: Path) -> None:
    learnt = Learnt(path)
    learnt.withdraw("board", "net", WISH, reason="never said")
    assert not path.exists()
    for _ in range(3):
        learnt.learn("board", "net", WISH, reason="no")
    assert len(path.read_bytes().splitlines()) == 1


def test_another_process_may_add_meanwhile(path: Path) -> None:
    one, other = Learnt(path), Learnt(path)
    assert one.refusals("board", "net", WISH) == ()
    other.learn("board", "net", WISH, reason="no")
    assert len(one.refusals("board", "net", WISH)) == 1


def test_a_torn_line_and_lines_of_others_are_passed_over(path: Path) -> None:
    learnt = Learnt(path)
    learnt.learn("board", "net", WISH, reason="no")
    whole = json.loads(path.read_text())
    strangers = [{**whole, "format": 2, "onnx": "new"}, {**whole, "refused": "yes", "onnx": "odd"}, {"a": 1}]
    with path.open("ab") as file:
        file.write(b"[1]\n" + b"".join(json.dumps(line).encode() + b"\n" for line in strangers) + b'{"format":1,"fi')
    again = Learnt(path)
    assert all(again.refusals("board", name, WISH) == () for name in ("new", "odd"))
    again.learn("board", "second", WISH, reason="no, either")
    for name in ("net", "second"):
        assert len(Learnt(path).refusals("board", name, WISH)) == 1


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot (read|write) what a board has shown"):
        Learnt(tmp_path / "file" / "learnt.jsonl").learn("board", "net", WISH, reason="no")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "learnt.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="cannot write what a board has shown"):
        Learnt(tmp_path / "learnt.jsonl").learn("board", "net", WISH, reason="no")
    assert (tmp_path / "elsewhere").read_text() == ""
