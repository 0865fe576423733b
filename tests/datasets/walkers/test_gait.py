"""Bodies in motion: what must hold of anybody's walk."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.datasets.walkers.body import Outfit, Walker
from explorer.datasets.walkers.camera import follow, project
from explorer.datasets.walkers.gait import Capsules, capsules


@pytest.fixture(params=range(4))
def walker(request: pytest.FixtureRequest) -> Walker:
    return Walker.born(np.random.default_rng(request.param))


def over_a_turn(walker: Walker, outfit: Outfit | None = None) -> Capsules:
    return capsules(walker, np.linspace(0, 2 * np.pi, 24, endpoint=False), outfit=outfit or Outfit())


def test_one_foot_is_on_the_floor_and_none_below_it(walker: Walker) -> None:
    body = over_a_turn(walker)
    lowest = np.minimum(body.a[..., 2], body.b[..., 2]).min(axis=1)
    assert np.abs(lowest).max() < 0.06


def test_everybody_is_about_one_height_tall(walker: Walker) -> None:
    body = over_a_turn(walker)
    crown = (np.maximum(body.a[..., 2], body.b[..., 2]) + np.maximum(body.radius_a, body.radius_b)).max(axis=1)
    assert 0.85 < crown.mean() < 1.15
    assert np.ptp(crown) < 0.12


def test_limbs_keep_their_length(walker: Walker) -> None:
    lengths = np.linalg.norm(over_a_turn(walker).b - over_a_turn(walker).a, axis=2)
    thighs_and_shanks = lengths[:, [0, 1, 3, 4]]
    assert np.ptp(thighs_and_shanks, axis=0).max() < 1e-9


def test_left_and_right_are_half_a_turn_apart(walker: Walker) -> None:
    body = over_a_turn(walker)
    left, right = body.b[:, 0] - body.a[:, 0], body.b[:, 3] - body.a[:, 3]  # thighs
    assert np.allclose(left[:, [0, 2]], np.roll(right, 12, axis=0)[:, [0, 2]])


def test_bag_and_coat_add_to_the_body(walker: Walker) -> None:
    plain = over_a_turn(walker)
    assert len(over_a_turn(walker, Outfit(backpack=0.07))) == len(plain) + 1
    assert len(over_a_turn(walker, Outfit(handbag=0.06))) == len(plain) + 1
    coat = over_a_turn(walker, Outfit(coat=0.02, coat_length=0.2))
    assert len(coat) == len(plain) + 2
    assert coat.radius_a.sum() > plain.radius_a.sum()


def test_the_walker_comes_towards_view_0_and_walks_across_view_90(walker: Walker) -> None:
    body = over_a_turn(walker)
    front, side = project(body, 0), project(body, 90)
    width = [np.ptp(np.concatenate([seen.a, seen.b], 1)[..., 0], axis=1) for seen in (front, side)]
    assert np.ptp(width[1]) > 2 * np.ptp(width[0])  # the stride opens and closes only from the side
    toe_ahead = np.array([[1.0, 0.0, 0.0]])[None]
    ahead = Capsules(toe_ahead, toe_ahead, np.array([0.1]), np.array([0.1]))
    assert project(ahead, 0).nearness[0, 0] == pytest.approx(1)
    assert project(ahead, 90).a[0, 0, 0] < 0
    assert project(ahead, 0).radius_a[0, 0] > 0.1 > project(ahead, 180).radius_a[0, 0]


def test_a_crop_that_follows_the_walker_sees_limbs_move_but_not_the_body(walker: Walker) -> None:
    phase = np.linspace(0, 6, 9)
    now, soon = (project(capsules(walker, phase + step, outfit=Outfit()), 90) for step in (0.0, 0.2))
    followed = follow(now, soon)
    motion = np.concatenate([followed.a - now.a, followed.b - now.b], 1)
    assert np.abs(motion.mean(axis=1)).max() < 1e-12
    assert np.abs(motion).max() > 0.02
