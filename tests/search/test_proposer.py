"""Proposals: what is worth something, and that they follow from what was seen alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from explorer.search.kernel import Axis, Shape
from explorer.search.proposer import Proposer, Seen

AXES = (Axis(8, ordinal=True), Axis(3, ordinal=False), Axis(5, ordinal=True))
LEVELS = np.array(list(itertools.product(*(range(axis.levels) for axis in AXES))), dtype=np.intp)
SHAPE = Shape(AXES, LEVELS)
ROUGH = LEVELS[:, 0] / 7.0
GAINS = np.stack([ROUGH + 0.2 * (LEVELS[:, 1] == 2), -(ROUGH**2) + 0.1 * LEVELS[:, 2]], axis=1)


def proposer(limits: dict[int, float] | None = None) -> Proposer:
    return Proposer(LEVELS, [SHAPE, SHAPE], objectives=2, limits=limits)


@pytest.mark.parametrize("limits", [{}, {0: 0.5}], ids=["free", "limited"])
def test_proposals_follow_from_what_was_seen_alone(limits: dict[int, float]) -> None:
    """Whoever was there all along proposes what one proposes who has just come, to the last digit."""
    rng = np.random.default_rng(0)
    rows = rng.choice(len(LEVELS), 45, replace=False)
    rows = rows[np.argsort(GAINS[rows, 0] + 0.1 * rng.random(45))]  # better and better
    noisy = GAINS + 0.01 * rng.standard_normal(GAINS.shape)
    constant = proposer(limits)
    for known in range(6, 45, 3):
        free = np.ones(len(LEVELS), dtype=np.bool_)
        free[rows[:known]] = False
        seen = Seen(rows[:known], noisy[rows[:known]], pending=rows[known : known + known % 2])
        there, new = constant.scores(seen, free), proposer(limits).scores(seen, free)
        np.testing.assert_array_equal(there, new)


def test_what_is_under_way_is_not_proposed_again_nor_anything_like_it() -> None:
    rng = np.random.default_rng(1)
    rows = rng.choice(len(LEVELS), 20, replace=False)
    free = np.ones(len(LEVELS), dtype=np.bool_)
    free[rows] = False
    first, alone = proposer().propose(Seen(rows, GAINS[rows]), free)
    free[first] = False
    second, besides = proposer().propose(Seen(rows, GAINS[rows], pending=np.array([first])), free)
    assert second != first
    assert besides < alone


def test_below_a_limit_nothing_is_gained() -> None:
    rng = np.random.default_rng(2)
    rows = rng.choice(len(LEVELS), 40, replace=False)
    free = np.ones(len(LEVELS), dtype=np.bool_)
    free[rows] = False
    limit = 0.8
    asked = []
    for _ in range(12):
        row, _ = proposer({0: limit}).propose(Seen(rows, GAINS[rows]), free)
        asked.append(row)
        rows, free[row] = np.append(rows, row), False
    assert (GAINS[asked, 0] >= limit - 0.1).mean() > 0.9
    assert (GAINS[:, 0] >= limit - 0.1).mean() < 0.5


def test_with_a_limit_that_nobody_keeps_the_likeliest_is_tried() -> None:
    rows = np.flatnonzero(LEVELS[:, 0] < 3)
    free = np.ones(len(LEVELS), dtype=np.bool_)
    free[rows] = False
    row, _ = proposer({0: 1.0}).propose(Seen(rows, GAINS[rows]), free)
    assert GAINS[row, 0] >= np.quantile(GAINS[free, 0], 0.5)


def test_what_is_worse_than_all_that_was_seen_may_still_be_on_the_front() -> None:
    """Seen are only the fast ones: the slow and thrifty ones, below the worst of them in speed, count nevertheless."""
    rows = np.flatnonzero((LEVELS[:, 0] > 4) & (LEVELS[:, 2] % 2 == 0))
    free = np.ones(len(LEVELS), dtype=np.bool_)
    free[rows] = False
    scores = np.where(free, proposer().scores(Seen(rows, GAINS[rows]), free), -1)
    best = np.argsort(-scores)[:5]
    assert (GAINS[best, 0] < GAINS[rows, 0].min()).sum() >= 3


def test_the_first_ones_lie_apart_and_not_all_in_corners() -> None:
    levels = np.array(list(itertools.product(range(5), repeat=4)))
    shape = Shape([Axis(5, ordinal=True)] * 4, levels)
    within, nearest = [], []
    for seed in range(20):
        proposer, rng, taken = Proposer(levels, [shape], objectives=1), np.random.default_rng(seed), list[int]()
        for _ in range(6):
            free = ~np.isin(np.arange(len(levels)), taken)
            taken.append(proposer.first(np.array(taken, dtype=np.intp), free, rng))
        chosen = levels[taken]
        within.append(np.isin(chosen, [1, 2, 3]).mean())
        apart = np.abs(chosen[:, None] - chosen).sum(axis=2)
        nearest.append(apart[apart > 0].min())
    assert np.mean(within) > 0.4, "of any five levels three are none of the ends"
    assert np.mean(nearest) > 4, "drawn without a look at each other they would be some 2.5 apart"
