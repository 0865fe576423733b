"""Watts on the rails, from runs whose joules are known."""

from __future__ import annotations

import pytest

from explorer_agent.virtual import power
from explorer_agent.virtual.boards import AGX_ORIN_64
from explorer_agent.virtual.roofline import Cost, Run, Stretch

MAXN = AGX_ORIN_64.modes["MAXN"]


def run(*stretches: Stretch, host_s: float = 0.0) -> Run:
    return Run("gpu", stretches, host_s, (), {})


def test_computing_all_the_time_draws_the_units_full_watts() -> None:
    found = power.joules(run(Stretch("gpu", (Cost(2.0, 0.0, 0.0, 0.0),), 1, ("a",))), AGX_ORIN_64, MAXN)
    assert found == {"gpu": pytest.approx(72.0), "dla": 0.0, "cpu": 0.0, "memory": 0.0}


def test_one_of_two_dlas_draws_half() -> None:
    found = power.joules(run(Stretch("dla1", (Cost(2.0, 0.0, 0.0, 0.0),), 1, ("a",))), AGX_ORIN_64, MAXN)
    assert found["dla"] == pytest.approx(7.1)


def test_waiting_and_zeros_draw_less() -> None:
    waiting = Cost(0.0, 2.0, 0.0, 1e9)
    zeros = Cost(2.0, 0.0, 0.0, 0.0, useful=0.5)
    found = power.joules(run(Stretch("dla0", (waiting,), 1, ("a",))), AGX_ORIN_64, MAXN)
    assert found["dla"] == pytest.approx(7.1 * power.WAITING["dla"])
    assert found["memory"] == pytest.approx(1e9 * power.JOULES_PER_BYTE)
    half = power.joules(run(Stretch("dla0", (zeros,), 1, ("a",))), AGX_ORIN_64, MAXN)
    assert half["dla"] == pytest.approx(7.1 * (0.5 + 0.5 * power.WAITING["dla"]))


def test_rails_see_the_parts_that_they_feed() -> None:
    parts = {"gpu": 10.0, "dla": 3.0, "cpu": 1.0, "memory": 2.0}
    rails = power.rail_watts(AGX_ORIN_64, MAXN, parts)
    assert rails == pytest.approx([9 * 0.36 + 10, 9 * 0.12 + 4, 9 * 0.4, 9 * 0.12 + 2])
    assert sum(rails) == pytest.approx(power.board_watts(MAXN, parts)) == pytest.approx(25.0)
