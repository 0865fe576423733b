"""What lies beyond a front, and how much of it a candidate is expected to take: against brute force, draws and laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from explorer.pareto import hypervolume
from explorer.search.improvement import Boxes, expected_improvement, undominated
from tests.fixtures.gains import Points, brute_cells, random_sets, sphere, volume


def believed(points: Points, corner: Points, rng: np.random.Generator, count: int = 8) -> tuple[Points, Points]:
    """Means from below the reference to beyond the front, and sds of a fiftieth of their range to all of it."""
    reach = np.maximum(points.max(axis=0, initial=-math.inf) - corner, 1e-3)
    reach = np.where(np.isfinite(reach), reach, 1.0)
    shape = count, corner.size
    return corner + reach * rng.uniform(-0.5, 1.5, shape), reach * rng.uniform(0.02, 1.0, shape)


def known_gains(candidates: Points, boxes: Boxes) -> Points:
    """The volume that each candidate adds when its gains are certain, summed box by box."""
    return np.array([volume(boxes, candidate) for candidate in candidates])


def added(candidate: Points, points: Points, corner: Points) -> float:
    return hypervolume(np.concatenate([points, candidate[None]]), corner) - hypervolume(points, corner)


@pytest.mark.parametrize("infinite", [False, True])
def test_boxes_are_disjoint_and_make_up_what_is_not_dominated(infinite: bool) -> None:
    for points, corner in random_sets(100, seed=1, infinite=infinite):
        boxes = undominated(points, corner)
        assert (boxes.lower >= corner).all()
        assert (boxes.lower < boxes.upper).all()
        assert not (boxes.lower[:, None] < points).all(axis=2).any(), "a box reaches below a point"
        common = (np.minimum(boxes.upper[:, None], boxes.upper) > np.maximum(boxes.lower[:, None], boxes.lower)).all(
            axis=2
        )
        assert (common == np.eye(len(common), dtype=np.bool_)).all(), "two boxes overlap"
        ceiling = np.maximum(corner, np.where(np.isfinite(points), points, corner).max(axis=0, initial=-math.inf)) + 1.0
        below = hypervolume(np.minimum(points, ceiling), corner)
        assert volume(boxes, ceiling) + below == pytest.approx((ceiling - corner).prod(), rel=1e-9, abs=0)


def test_there_are_two_boxes_for_each_of_n_points_in_three_objectives_and_one_more() -> None:
    assert [len(undominated(sphere(20, m), np.zeros(m)).lower) for m in (1, 2, 3)] == [1, 21, 41]


def test_a_known_candidate_improves_by_what_it_adds() -> None:
    rng = np.random.default_rng(2)
    for points, corner in random_sets(40, seed=2):
        mean, sd = believed(points, corner, rng, count=4)
        boxes = undominated(points, corner)
        most = (np.maximum(mean.max(axis=0), points.max(axis=0, initial=-math.inf)) - corner).clip(0).prod()
        exact = [added(candidate, points, corner) for candidate in mean]
        assert expected_improvement(mean, 0 * sd, boxes) == pytest.approx(exact, rel=1e-9, abs=1e-12 * most)
        assert expected_improvement(mean, 1e-9 * sd, boxes) == pytest.approx(exact, rel=1e-6, abs=1e-6 * most)


def test_improvement_is_the_same_over_every_cell_of_the_grid() -> None:
    rng = np.random.default_rng(3)
    for points, corner in random_sets(40, seed=3):
        few = points[:7]
        mean, sd = believed(few, corner, rng)
        _, others = brute_cells(few, corner)
        assert expected_improvement(mean, sd, undominated(few, corner)) == pytest.approx(
            expected_improvement(mean, sd, others), rel=1e-9, abs=0
        )


def test_optunas_boxes_hold_the_same() -> None:
    boxes_of = pytest.importorskip("optuna._hypervolume.box_decomposition").get_non_dominated_box_bounds
    rng = np.random.default_rng(4)
    for points, corner in random_sets(40, seed=4):
        mean, sd = believed(points, corner, rng)
        lower, upper = boxes_of(-points, -corner)
        ours, theirs = undominated(points, corner), Boxes(-upper, -lower)
        assert known_gains(mean, ours) == pytest.approx(known_gains(mean, theirs), rel=1e-9, abs=0)
        assert expected_improvement(mean, sd, ours) == pytest.approx(
            expected_improvement(mean, sd, theirs), rel=1e-9, abs=0
        )


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_improvement_agrees_with_draws(objectives: int) -> None:
    """A draw of the gains, then a place between them and the reference: whether a point dominates it."""
    rng = np.random.default_rng(objectives)
    points, corner = np.repeat(sphere(6, objectives), 2, axis=0), np.full(objectives, -0.1)
    mean, sd = rng.uniform(0.3, 0.9, objectives), rng.uniform(0.1, 0.4, objectives)
    sides = np.maximum(rng.normal(mean, sd, size=(100_000, objectives)) - corner, 0.0)
    places = corner + sides * rng.random(sides.shape)
    free = ~np.any([(places < point).all(axis=1) for point in points], axis=0)
    draws = sides.prod(axis=1) * free
    error = draws.std() / math.sqrt(len(draws))
    (found,) = expected_improvement(mean[None], sd[None], undominated(points, corner))
    assert found == pytest.approx(draws.mean(), abs=4 * error)
    assert error < 0.05 * found


def test_improvement_keeps_its_laws() -> None:
    """Order, repetition and what is dominated do not matter; units and the origin go through."""
    rng = np.random.default_rng(5)
    for points, corner in random_sets(40, seed=5):
        mean, sd = believed(points, corner, rng)
        found = expected_improvement(mean, sd, undominated(points, corner))
        worse = points[: len(points) // 2] - rng.integers(0, 2, corner.size)
        mixed = rng.permutation(np.concatenate([points, worse]))
        assert expected_improvement(mean, sd, undominated(mixed, corner)) == pytest.approx(found, rel=1e-9, abs=0)
        turn = rng.permutation(corner.size)
        turned = expected_improvement(mean[:, turn], sd[:, turn], undominated(points[:, turn], corner[turn]))
        assert turned == pytest.approx(found, rel=1e-9, abs=0)
        units = 2.0 ** rng.integers(-5, 6, corner.size)
        there = undominated((points - corner) * units, 0 * corner)
        assert expected_improvement((mean - corner) * units, sd * units, there) == pytest.approx(
            found * units.prod(), rel=1e-6, abs=1e-9 * found.max() * units.prod()
        )


def test_improvement_grows_with_mean_and_sd_and_shrinks_with_the_front() -> None:
    """The volume added is convex in each gain, so doubt only adds to what is expected."""
    rng = np.random.default_rng(6)
    for points, corner in random_sets(40, seed=6):
        mean, sd = believed(points, corner, rng)
        boxes = undominated(points, corner)
        found = expected_improvement(mean, sd, boxes)
        slack = 1e-12 * found.max()
        assert (found >= 0).all()
        assert (expected_improvement(mean + sd * rng.random(sd.shape), sd, boxes) >= found - slack).all()
        assert (expected_improvement(mean, sd * rng.uniform(1, 3, sd.shape), boxes) >= found - slack).all()
        more = undominated(np.concatenate([points, mean]), corner)
        assert (expected_improvement(mean, sd, more) <= found + slack).all()


def test_improvement_is_never_below_zero_however_small_or_far() -> None:
    rng = np.random.default_rng(7)
    for points, corner in random_sets(20, seed=7):
        mean, sd = believed(points, corner, rng, count=40)
        scales = 10.0 ** rng.uniform([[-300]], [[3]], (40, 1))
        for far, near in itertools.product(
            [mean, corner - 30 * sd, np.tile(corner, (40, 1))], [sd * scales, sd, 0 * sd]
        ):
            found = expected_improvement(far, near, undominated(points, corner))
            assert (found >= 0).all()
            assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("sds_below", "expected"), [(5, 5.34616553383281e-8), (10, 7.47456025458933e-25), (20, 1.37001249472958e-90)]
)
def test_a_distant_hope_keeps_its_digits(sds_below: float, expected: float) -> None:
    """There is an order even among candidates with next to no chance; `expected` is mpmath's, in fifty digits."""
    (found,) = expected_improvement([[-sds_below]], [[1.0]], undominated([], [0.0]))
    assert found == pytest.approx(expected, rel=1e-10, abs=0)


def test_candidates_by_the_thousand_are_worked_out_as_one_by_one() -> None:
    rng = np.random.default_rng(8)
    points, corner = sphere(12, 3), np.zeros(3)
    mean, sd = believed(points, corner, rng, count=1_000)
    boxes = undominated(points, corner)
    apart = [expected_improvement(mean[i : i + 1], sd[i : i + 1], boxes)[0] for i in range(0, 1_000, 37)]
    assert expected_improvement(mean, sd, boxes)[::37] == pytest.approx(apart, rel=1e-12, abs=0)


def test_nothing_seen_nobody_asked_and_nothing_left() -> None:
    boxes = undominated([], [1.0, 2.0])
    assert (boxes.lower.tolist(), boxes.upper.tolist()) == ([[1.0, 2.0]], [[math.inf, math.inf]])
    assert expected_improvement([[3.0, 5.0]], [[0.0, 0.0]], boxes).tolist() == [6.0]
    assert expected_improvement(np.empty((0, 2)), np.empty((0, 2)), boxes).tolist() == []
    full = undominated([[math.inf, math.inf]], [1.0, 2.0])
    assert len(full.lower) == 0
    assert expected_improvement([[3.0, 5.0]], [[1.0, 1.0]], full).tolist() == [0.0]


def test_bad_input_is_refused_in_words() -> None:
    boxes = undominated([[1.0, 1.0]], [0.0, 0.0])
    with pytest.raises(ValueError, match=r"not a number \(NaN\)"):
        undominated([[1.0, math.nan]], [0.0, 0.0])
    with pytest.raises(ValueError, match="3 objectives do not fit a reference of 2"):
        undominated([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]], [0.0, 0.0])
    with pytest.raises(ValueError, match="one finite number for each objective"):
        undominated([[1.0, 1.0]], [0.0, -math.inf])
    with pytest.raises(ValueError, match=r"tables \[candidates, 2\], not of shapes \[1, 3\] and \[1, 3\]"):
        expected_improvement([[1.0, 1.0, 1.0]], [[1.0, 1.0, 1.0]], boxes)
    for mean, sd in [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf), (1.0, -0.1)]:
        with pytest.raises(ValueError, match="candidate 1 needs finite means"):
            expected_improvement([[1.0, 1.0], [1.0, mean]], [[1.0, 1.0], [1.0, sd]], boxes)
