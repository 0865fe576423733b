"""Power modes change rarely, and nobody waits for ever."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from explorer.config import Experiment
from explorer.fleet.duties import Turn
from explorer.fleet.member import Member
from explorer.result import Objective
from explorer.space import Axis, Candidate, Space
from explorer.study.order import STREAK, Waiting, modes_of

MODES = ("15W", "30W", "50W", "MAXN")


def member() -> Member:
    duties: Any = None  # a board that is never started needs none
    return Member("board.yaml", duties, lambda _: None, 0.0)


def turns(modes: Iterable[str]) -> list[Turn]:
    return [Turn(Candidate({"power_mode": mode, "batch": place})) for place, mode in enumerate(modes)]


def modes_taken(waiting: Waiting, coming: list[Turn], board: Member, *, ahead: int) -> list[str]:
    """The modes in the order of the board's turns, with `ahead` turns in the queue as long as there are more."""
    taken = []
    while coming or len(waiting):
        while coming and len(waiting) < ahead:
            waiting.add(coming.pop(0))
        taken.append(str(waiting.take(board, alone=True).candidate.params["power_mode"]))
    return taken


def switches(modes: list[str]) -> int:
    return sum(one != other for one, other in itertools.pairwise(modes))


@pytest.mark.parametrize("seed", range(3))
def test_modes_change_several_times_less_often_than_in_the_order_of_asking(seed: int) -> None:
    asked = random.Random(seed).choices(MODES, k=120)
    waiting = Waiting(len(MODES))
    ahead = 3 + waiting.ahead  # as the loop asks for one board
    taken = modes_taken(waiting, turns(asked), member(), ahead=ahead)
    assert sorted(taken) == sorted(asked)
    assert switches(taken) * 4 < switches(asked)


def test_the_front_of_the_queue_is_passed_over_so_often_and_no_more() -> None:
    waiting, board = Waiting(2), member()
    lonely, *others = turns(["30W", *["15W"] * 3 * STREAK])
    board.mode, board.streak = "15W", 1
    waiting.add(lonely)
    for turn in others:
        waiting.add(turn)
    taken = [waiting.take(board, alone=True) for _ in range(STREAK)]
    assert taken.index(lonely) == STREAK - 1
    assert board.mode == "30W"


def test_without_modes_the_first_is_the_next() -> None:
    waiting, board, coming = Waiting(1), member(), turns([""] * 5)
    assert waiting.ahead == 0
    for turn in coming:
        waiting.add(turn)
    waiting.put_in_front(coming[3])
    assert waiting.take(board, alone=True) is coming[3]
    assert waiting.take(board, alone=True) is coming[0]


def test_modes_are_counted_where_they_vary() -> None:
    space = Space((Axis("power_mode", MODES), Axis("batch", (1, 2))))
    experiment = Experiment("s", None, space, (Objective("latency_ms", "min"),), Path("s.yaml"), Path())
    assert modes_of(experiment) == 4
