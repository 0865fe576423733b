"""The population: who is in it, and how its days differ."""

from __future__ import annotations

from dataclasses import asdict, fields

import numpy as np
import pytest

from explorer.datasets.walkers.body import TRAITS, Walker, outfit


def test_every_trait_has_a_range_and_is_drawn_from_it() -> None:
    assert [field.name for field in fields(Walker)] == list(TRAITS)
    people = [asdict(Walker.born(np.random.default_rng(seed))) for seed in range(60)]
    for name, (middle, half) in TRAITS.items():
        values = np.array([person[name] for person in people])
        assert np.abs(values - middle).max() <= half
        assert values.std() > 0.3 * half


def test_a_day_moves_a_person_by_the_amount_said() -> None:
    person = Walker.born(np.random.default_rng(0))
    assert person.on_a_day(np.random.default_rng(1), 0.0) == person
    moved = [asdict(person.on_a_day(np.random.default_rng(seed), 0.2)) for seed in range(100)]
    for name, (_, half) in TRAITS.items():
        deviations = np.array([day[name] for day in moved]) - getattr(person, name)
        assert deviations.std() == pytest.approx(0.2 * half, rel=0.35)


def test_conditions_dress_the_walker() -> None:
    rng = np.random.default_rng(0)
    assert not any(asdict(outfit("nm", rng)).values())
    bags = [outfit("bg", rng) for _ in range(20)]
    assert all(bool(worn.backpack) != bool(worn.handbag) and not worn.coat for worn in bags)
    assert 0 < sum(bool(worn.backpack) for worn in bags) < 20
    assert all(outfit("cl", rng).coat > 0 for _ in range(5))
