"""Flow of capsules whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.datasets.walkers.camera import Outlines
from explorer.datasets.walkers.flow import BODY, FULL_SCALE, LEVELS, SIZE, draw


def rod(*ends: tuple[float, float], nearness: float = 0.0) -> Outlines:
    a, b = (np.array([[end]]) for end in ends)
    return Outlines(a, b, np.full((1, 1), 0.1), np.full((1, 1), 0.1), np.full((1, 1), nearness))


def both(first: Outlines, second: Outlines) -> Outlines:
    names = ("a", "b", "radius_a", "radius_b", "nearness")
    return Outlines(*(np.concatenate([getattr(first, name), getattr(second, name)], 1) for name in names))


def flow(now: Outlines, soon: Outlines, noise: float = 0.0) -> np.ndarray:
    return draw(now, soon, np.random.default_rng(0), noise=noise)[:, 0] * (FULL_SCALE / LEVELS)


def test_a_shifted_rod_moves_by_the_shift_and_the_background_rests() -> None:
    step = 1 / BODY  # one pixel
    result = flow(rod((0, -0.8), (0, -0.3)), rod((2 * step, -0.8 - step), (2 * step, -0.3 - step)))
    middle = result[:, int(SIZE - 5 - 0.55 * BODY), SIZE // 2]
    assert middle == pytest.approx([2, -1], abs=0.02)
    assert result[:, :, :5].any() == 0


def test_a_swinging_rod_moves_the_more_the_nearer_its_free_end() -> None:
    step = 1 / BODY
    result = flow(rod((0, -0.9), (0, -0.1)), rod((0, -0.9), (2 * step, -0.1)))
    column = result[0, :, SIZE // 2]
    rows = [int(SIZE - 5 - share * BODY) for share in (0.9, 0.5, 0.1)]
    assert column[rows] == pytest.approx([0, 1, 2], abs=0.1)


def test_what_is_nearer_covers_what_is_farther() -> None:
    step = 1 / BODY
    still = rod((0, -0.8), (0, -0.3), nearness=0.5)
    moving = (rod((0, -0.8), (0, -0.3)), rod((step, -0.8), (step, -0.3)))
    covered = flow(both(still, moving[0]), both(still, moving[1]))
    assert not covered.any()
    covering = flow(both(rod((0, -0.8), (0, -0.3), nearness=-0.5), moving[0]), both(still, moving[1]))
    assert covering[0].max() == pytest.approx(1, abs=0.02)


def test_fast_motion_saturates_and_noise_is_added() -> None:
    assert flow(rod((0, -0.8), (0, -0.3)), rod((1, -0.8), (1, -0.3))).max() == FULL_SCALE
    still = rod((0, -0.8), (0, -0.3))
    assert 0.01 < flow(still, still, noise=1.0).std() < 0.1
