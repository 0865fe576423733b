"""Fronts and hypervolumes of ten thousand random sets against brute force, pymoo, BoTorch and Optuna.

Seen with pymoo 0.6.2 (moocore 0.3.2), BoTorch 0.18.1 and Optuna 5.0.0. All agree on finite sets. They part here:

    equal points on the front     all stay: ours, pymoo, Optuna; BoTorch keeps the first of them unless told otherwise
    points below the reference    add nothing: ours, pymoo, BoTorch; Optuna refuses the whole set
    dominated points              change no volume: ours, pymoo, Optuna; BoTorch asks for a front and means it: with a
                                  tie in four objectives its sum is otherwise too small now and then (190 of 214 below)
    a gain of +∞                  makes the volume infinite: ours, Optuna; often not a number: BoTorch
    +∞ level with the reference   adds nothing, being of no thickness: ours; makes the volume infinite: Optuna
    +∞ or −∞ for pymoo            see `tests.fixtures.peers`; its volumes are not asked for
    NaN                           has no place in an order and is refused: ours, and Optuna's volume; BoTorch and pymoo
                                  call such a point undominated or not by where in it the NaN stands
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from explorer.pareto import Front, dominates, front, hypervolume
from tests.fixtures.gains import Points, brute_cells, brute_front, brute_hypervolume, random_sets, volume

SETS = 8_000  # of finite gains, and a quarter as many with infinities

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def peers() -> Iterator[Any]:
    found = pytest.importorskip("tests.fixtures.peers", reason="needs pymoo and BoTorch: make .venv/.peers")
    with found.one_thread():
        yield found


def grown(points: Points) -> list[list[float]]:
    growing = Front(points.shape[1])
    growing.BOX = 4
    for point in points:
        growing.add(point)
    return sorted(growing.points.tolist())


def test_fronts_agree(peers: Any) -> None:
    for number, (points, _) in enumerate(random_sets(SETS, seed=11)):
        mask = front(points).tolist()
        assert mask == brute_front(points)
        assert peers.fronts(points) == dict.fromkeys(("BoTorch", "Optuna", "pymoo"), mask)
        if number % 9 == 0:
            assert grown(points) == sorted(points[mask].tolist())


def test_domination_agrees(peers: Any) -> None:
    """Of points beside each other in a set; some are equal, many level in an objective."""
    seen = Counter[bool]()
    for points, _ in random_sets(SETS // 20, seed=13, infinite=True):
        for a, b in zip(points[:-1], points[1:], strict=True):
            expected = bool((a >= b).all() and (a != b).any())
            assert dominates(a, b) == peers.dominates_by_optuna(a, b) == peers.dominates_by_pymoo(a, b) == expected
            seen[expected] += 1
    assert min(seen[True], seen[False]) > SETS // 20


def test_fronts_with_infinities_agree(peers: Any) -> None:
    for points, _ in random_sets(SETS // 4, seed=12, infinite=True):
        mask = front(points).tolist()
        assert mask == brute_front(points)
        assert peers.fronts(points) == dict.fromkeys(("BoTorch", "Optuna", "pymoo"), mask)


def test_hypervolumes_agree(peers: Any) -> None:
    for number, (points, corner) in enumerate(random_sets(SETS, seed=11)):
        found = hypervolume(points, corner)
        theirs = peers.hypervolumes(points, corner)
        if number % 20 == 0:
            theirs["BoTorch"] = peers.volume_by_botorch(points[front(points)], corner)
            few = points[:12]
            dominated, _ = brute_cells(few, corner)
            in_cells = volume(dominated, np.full(corner.size, math.inf))
            assert hypervolume(few, corner) == pytest.approx(in_cells, rel=1e-12, abs=0)
        assert theirs == pytest.approx(dict.fromkeys(theirs, found), rel=1e-9, abs=0)


def test_infinite_hypervolumes_agree_with_optunas(peers: Any) -> None:
    """Points at +∞ that are at or below the reference elsewhere are left out: there Optuna says ∞, of no thickness."""
    compared = 0
    for points, corner in random_sets(SETS // 4, seed=12, infinite=True):
        above = points[(points > corner).all(axis=1)]
        found = hypervolume(points, corner)
        assert found == hypervolume(above, corner)
        assert math.isinf(found) == bool(np.isinf(above).any())
        if math.isinf(found):
            compared += 1
            with np.errstate(invalid="ignore"):
                assert peers.volume_by_optuna(above, corner) == math.inf
        elif len(above):
            assert peers.volume_by_optuna(above, corner) == pytest.approx(found, rel=1e-9, abs=0)
    assert compared > SETS // 16


def test_where_the_others_part_from_us(peers: Any) -> None:
    corner = np.zeros(2)
    twice = np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [0.0, 0.0]])
    assert front(twice).tolist() == [True, True, True, False]
    assert peers.front_by_botorch(twice, deduplicate=True) == [True, False, True, False]
    assert hypervolume([[-1.0, 5.0], [1.0, 2.0]], corner) == 2.0
    with pytest.raises(ValueError, match="must dominate or equal the reference"):
        peers.compute_hypervolume(np.array([[1.0, -5.0], [-1.0, -2.0]]), corner)
    assert hypervolume([[math.inf, 0.0]], corner) == 0.0
    with pytest.raises(ValueError, match=r"point 1 has a gain that is not a number \(NaN\)"):
        front([[0.0, 1.0], [math.nan, 2.0]])


def test_a_dominated_point_level_with_another_changes_no_volume(peers: Any) -> None:
    points, corner = np.array([[3.0, 4, 3, 3], [4, 2, 4, 4], [4, 2, 4, 5]]), np.zeros(4)
    assert hypervolume(points, corner) == brute_hypervolume(points, corner) == 214
    assert peers.hypervolumes(points, corner) == {"Optuna": 214, "pymoo": 214}
    assert peers.volume_by_botorch(points[front(points)], corner) == 214
