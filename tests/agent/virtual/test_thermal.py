"""Heat by its differential equation."""

from __future__ import annotations

import math

import pytest

from explorer_agent.virtual import thermal
from explorer_agent.virtual.boards import AGX_ORIN_64
from explorer_agent.virtual.thermal import BACK_C, HELD, Heat


def test_it_settles_where_watts_and_resistance_say() -> None:
    assert thermal.settled(AGX_ORIN_64, 20.0).celsius == pytest.approx(25 + 20 * 0.8)
    assert thermal.settled(AGX_ORIN_64, 20.0, cooling=0.5).celsius == pytest.approx(25 + 20 * 1.6)


def test_a_time_constant_leaves_a_third_of_the_way() -> None:
    found = thermal.after(Heat(25.0), AGX_ORIN_64, 50.0, 120.0)
    assert found.celsius == pytest.approx(65 - 40 / math.e)


def test_many_small_steps_are_one_large_one() -> None:
    heat = Heat(30.0)
    for _ in range(100):
        heat = thermal.after(heat, AGX_ORIN_64, 40.0, 0.5)
    assert heat.celsius == pytest.approx(thermal.after(Heat(30.0), AGX_ORIN_64, 40.0, 50.0).celsius)


def test_clocks_are_held_until_it_is_cooler_by_some_degrees() -> None:
    hot = thermal.after(Heat(98.9), AGX_ORIN_64, 200.0, 10.0)
    assert (hot.throttled, hot.clocks) == (True, HELD)
    warm = thermal.after(Heat(AGX_ORIN_64.throttle_c - BACK_C + 0.1, throttled=True), AGX_ORIN_64, 90.0, 0.01)
    assert warm.throttled
    assert not thermal.after(Heat(90.0, throttled=True), AGX_ORIN_64, 10.0, 1.0).throttled


def test_a_board_in_the_sun_is_throttled_at_rest() -> None:
    assert thermal.settled(AGX_ORIN_64, 9.0, ambient_c=95.0).throttled
