"""Fronts and hypervolumes against brute force, Monte Carlo and Optuna's own."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.pareto import Front, dominates, front, hypervolume
from tests.fixtures.gains import Points, brute_cells, brute_front, brute_hypervolume, random_sets, sphere, volume

# A coarse grid makes ties and duplicates frequent; the infinities must not disturb an order.
grid = st.integers(-3, 3).map(float)
with_infinities = grid | st.sampled_from([math.inf, -math.inf, -0.0])


@st.composite
def point_sets(draw: st.DrawFn, elements: st.SearchStrategy[float] = grid, largest: int = 12) -> Points:
    shape = draw(st.integers(1, largest)), draw(st.integers(1, 5))
    return draw(arrays(np.float64, shape, elements=elements))


@given(point_sets(elements=with_infinities))
def test_front_equals_brute_force(points: Points) -> None:
    assert front(points).tolist() == brute_front(points)


@given(point_sets())
def test_front_ignores_order_and_repetition(points: Points) -> None:
    mask = front(points)
    assert front(points[::-1]).tolist() == mask[::-1].tolist()
    assert front(np.concatenate([points, points])).tolist() == [*mask, *mask]


@given(point_sets())
def test_dominates_is_a_strict_order(points: Points) -> None:
    for a, b, c in itertools.product(points[:4], repeat=3):
        assert not dominates(a, a)
        assert not (dominates(a, b) and dominates(b, a))
        assert dominates(a, c) or not (dominates(a, b) and dominates(b, c))


@given(point_sets(largest=7))
def test_hypervolume_equals_inclusion_exclusion(points: Points) -> None:
    reference = np.full(points.shape[1], -2.5)
    assert hypervolume(points, reference) == pytest.approx(brute_hypervolume(points, reference), rel=1e-12, abs=1e-12)


@settings(deadline=None)
@given(point_sets(largest=25))
def test_hypervolume_equals_optunas(points: Points) -> None:
    compute_hypervolume = pytest.importorskip("optuna._hypervolume").compute_hypervolume
    reference = np.full(points.shape[1], -3.5)
    assert hypervolume(points, reference) == pytest.approx(compute_hypervolume(-points, -reference))


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_hypervolume_agrees_with_monte_carlo(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    points, samples = sphere(30, objectives), rng.random((40_000, objectives))
    hit = (points[:, None] >= samples).all(axis=2).any(axis=0).mean()
    assert hypervolume(points, np.zeros(objectives)) == pytest.approx(hit, abs=4 * math.sqrt(0.25 / len(samples)))


@given(point_sets())
def test_only_the_front_makes_volume(points: Points) -> None:
    reference = np.full(points.shape[1], -4.0)
    assert hypervolume(points, reference) == pytest.approx(hypervolume(points[front(points)], reference))


@given(point_sets())
def test_growing_front_equals_the_front_at_once(points: Points) -> None:
    growing = Front(points.shape[1])
    growing.BOX = 3  # small boxes, so that they split
    kept = [growing.add(point) for point in points]
    expected = points[front(points)]
    assert sorted(growing.points.tolist()) == sorted(expected.tolist())
    assert len(growing) == len(expected)
    beaten = [any(dominates(q, p) for q in points[:i]) for i, p in enumerate(points)]
    assert kept == [not b for b in beaten]


def test_growing_front_with_many_boxes() -> None:
    points = np.concatenate([sphere(1500, 3), 0.9 * sphere(300, 3, seed=1), 1.1 * sphere(40, 3, seed=2)])
    growing = Front(3)
    for point in points:
        growing.add(point)
    assert sorted(growing.points.tolist()) == sorted(points[front(points)].tolist())


def test_random_sets_agree_with_brute_force() -> None:
    for points, corner in random_sets(100, seed=1):
        assert front(points).tolist() == brute_front(points)
        few = points[:10]
        dominated, _ = brute_cells(few, corner)
        beyond = np.full(corner.size, math.inf)
        assert hypervolume(few, corner) == pytest.approx(volume(dominated, beyond), rel=1e-12, abs=0)


def test_infinite_random_sets_agree_with_brute_force() -> None:
    for points, _ in random_sets(100, seed=2, infinite=True):
        assert front(points).tolist() == brute_front(points)


def test_hypervolume_of_random_sets_keeps_its_laws() -> None:
    rng = np.random.default_rng(3)
    for points, corner in random_sets(100, seed=3):
        found = hypervolume(points, corner)
        mixed = rng.permutation(np.concatenate([points, points[: len(points) // 2]]))
        assert hypervolume(mixed, corner) == pytest.approx(found, rel=1e-12, abs=0)
        units, start = 2.0 ** rng.integers(-5, 6, corner.size), rng.integers(-5, 6, corner.size)
        moved = hypervolume(points * units + start, corner * units + start)
        assert moved == pytest.approx(found * units.prod(), rel=1e-6, abs=0)  # a move costs digits
        swapped = rng.permutation(corner.size)
        assert hypervolume(points[:, swapped], corner[swapped]) == pytest.approx(found, rel=1e-12, abs=0)


def test_hypervolume_of_random_sets_only_grows() -> None:
    rng = np.random.default_rng(4)
    for points, corner in random_sets(100, seed=4):
        least = hypervolume(points, corner) * (1 - 1e-12)
        assert hypervolume(np.concatenate([points, corner + rng.normal(size=(3, corner.size))]), corner) >= least
        assert hypervolume(points + rng.random(points.shape), corner) >= least
        assert hypervolume(points, corner - rng.random(corner.size)) >= least


def test_empty_and_single() -> None:
    assert front([]).tolist() == []
    assert front(np.empty((0, 3))).tolist() == []
    assert front([[1.0, 2.0]]).tolist() == [True]
    assert hypervolume([], [0.0, 0.0]) == 0.0
    assert hypervolume([[2.0, 3.0]], [0.0, 0.0]) == 6.0
    assert hypervolume([[2.0, -1.0]], [0.0, 0.0]) == 0.0
    assert len(Front(2)) == 0
    assert Front(2).points.shape == (0, 2)


def test_infinite_gains() -> None:
    assert hypervolume([[math.inf, 1.0]], [0.0, 0.0]) == math.inf
    assert hypervolume([[math.inf, -1.0], [1.0, 1.0]], [0.0, 0.0]) == 1.0
    with pytest.raises(ValueError, match="must be finite"):
        hypervolume([[1.0]], [-math.inf])
    with pytest.raises(ValueError, match="finite gains"):
        Front(2).add([math.inf, 0.0])


@pytest.mark.parametrize("call", [front, lambda g: hypervolume(g, [0.0, 0.0]), lambda g: dominates(g[1], g[0])])
def test_nan_is_refused_in_words(call: object) -> None:
    with pytest.raises(ValueError, match=r"not a number \(NaN\)"):
        call([[1.0, 2.0], [math.nan, 1.0]])  # type: ignore[operator]


def test_shapes_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="2 objectives with one of 1"):
        dominates([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="points, objectives"):
        front([1.0, 2.0])
    with pytest.raises(ValueError, match="table of numbers"):
        front([["a", "b"]])
    with pytest.raises(ValueError, match="reference of 3"):
        hypervolume([[1.0, 2.0]], [0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="2 finite gains"):
        Front(2).add([1.0])


@pytest.mark.parametrize("objectives", [2, 3])
def test_a_hundred_thousand_points_take_about_a_second(objectives: int) -> None:
    points = sphere(100_000, objectives)
    started = time.perf_counter()
    assert front(points).all()
    assert time.perf_counter() - started < 5  # 0.25 s on an idle core; a quadratic algorithm needs minutes
