"""Expected hypervolume improvement of random sets against BoTorch's, and certain improvement against Optuna's boxes.

Seen with BoTorch 0.18.1 and Optuna 5.0.0. They part from us here:

    a variance below 1e-9         is taken for 1e-9: BoTorch; as it is, 0 included: ours. So the points come in units
                                  of their own spread
    next to no chance             1 − Φ leaves BoTorch without digits, now and then below 0; ours keeps them: the
                                  comparison is to 1e-9 of what the best candidate of a set would add
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from explorer.pareto import hypervolume
from explorer.search.improvement import expected_improvement, undominated
from tests.fixtures.gains import Points, random_sets, volume

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def peers() -> Iterator[Any]:
    found = pytest.importorskip("tests.fixtures.peers", reason="needs pymoo and BoTorch: make .venv/.peers")
    with found.one_thread():
        yield found


def in_own_units(points: Points, corner: Points) -> tuple[Points, Points]:
    """Points from the reference, which becomes the origin, the farthest at 1."""
    reach = (points - corner).max(axis=0, initial=0.0)
    return (points - corner) / np.where(reach > 0, reach, np.abs(points - corner).max(axis=0, initial=1e-9)), 0 * corner


def test_expected_improvement_equals_botorchs(peers: Any) -> None:
    rng = np.random.default_rng(21)
    for raw, low in random_sets(700, seed=21):
        points, corner = in_own_units(raw, low)
        mean = rng.uniform(-0.3, 1.5, (12, corner.size))
        sd = 10 ** rng.uniform(-3, 0, mean.shape)
        found = expected_improvement(mean, sd, undominated(points, corner))
        theirs = peers.improvement_by_botorch(mean, sd, points, corner)
        most = (np.maximum(mean, 0) + sd).prod(axis=1).max()
        assert found == pytest.approx(theirs, rel=1e-9, abs=1e-9 * most)


def test_known_improvement_is_exact(peers: Any) -> None:
    rng = np.random.default_rng(22)
    for raw, low in random_sets(700, seed=22):
        points, corner = in_own_units(raw, low)
        mean = rng.uniform(-0.3, 1.5, (4, corner.size))
        mean[0] = points[0] if len(points) else corner  # one that is there already
        boxes, theirs = undominated(points, corner), peers.boxes_by_optuna(points, corner)
        found = expected_improvement(mean, np.zeros_like(mean), boxes)
        exact = [hypervolume([*points, y], corner) - hypervolume(points, corner) for y in mean]
        assert found[0] == 0
        assert found == pytest.approx(exact, rel=1e-9, abs=1e-12)
        assert found == pytest.approx([volume(theirs, y) for y in mean], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_expected_improvement_agrees_with_volumes_of_draws(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    points = rng.integers(1, 6, (20, objectives)) / 5  # ties, and some twice
    corner, mean, sd = np.zeros(objectives), rng.uniform(0.4, 1.0, objectives), rng.uniform(0.1, 0.3, objectives)
    before = hypervolume(points, corner)
    draws = np.array([hypervolume([*points, y], corner) - before for y in rng.normal(mean, sd, (4_000, objectives))])
    (found,) = expected_improvement(mean[None], sd[None], undominated(points, corner))
    assert found == pytest.approx(draws.mean(), abs=4 * draws.std() / math.sqrt(len(draws)))
    assert draws.std() / math.sqrt(len(draws)) < 0.06 * found


def test_botorch_sets_a_floor_to_the_variance(peers: Any) -> None:
    points, corner = np.array([[1.0, 1.0]]), np.zeros(2)
    mean, sd = np.array([[0.5, 1.0]]), np.array([[0.1, 0.0]])
    boxes = undominated(points, corner)
    assert expected_improvement(mean, sd, boxes) == pytest.approx(0.1 * 5.34616553383281e-8, rel=1e-12, abs=0)
    floored = expected_improvement(mean, np.sqrt(np.maximum(sd**2, 1e-9)), boxes)
    assert peers.improvement_by_botorch(mean, sd, points, corner) == pytest.approx(floored, rel=1e-6, abs=0)
