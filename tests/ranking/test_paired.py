"""A network against the dense one: exact where it can be, in pairs always."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.ranking import compare
from explorer.tally import Tally


def answers(right: list[int] | np.ndarray) -> Tally:
    return Tally("share", np.asarray(right, float)[:, None], np.ones((len(right), 1)))


def test_mcnemar_is_the_sign_test_on_the_discordant_pairs() -> None:
    """Eight of ten discordant answers lost: 2 · P(X ≤ 2 | 10, ½) = 112 / 1024."""
    dense = answers([1] * 8 + [0] * 2 + [1] * 90)
    other = answers([0] * 8 + [1] * 2 + [1] * 90)
    found = compare(other, dense)
    assert found.method == "McNemar, exact"
    assert found.p_value == pytest.approx(112 / 1024)
    assert found.difference.value == pytest.approx(-0.06)


def test_the_same_answers_differ_by_nothing_yet_not_certainly() -> None:
    found = compare(answers([1, 1, 0] * 20), answers([1, 1, 0] * 20))
    assert (found.p_value, found.difference.value) == (1.0, 0.0)
    assert found.difference.low is not None
    assert found.difference.low < 0


def test_thousands_of_discordant_answers_are_no_trouble() -> None:
    flips = np.arange(20_000) % 2
    assert compare(answers(flips), answers(1 - flips)).p_value == pytest.approx(1.0)


@pytest.mark.parametrize("binary", [True, False])
def test_where_there_is_no_difference_few_are_found(binary: bool) -> None:
    rng, found = np.random.default_rng(0), 0
    for _ in range(40):
        hard = rng.beta(4, 1, 80)
        tries = 1 if binary else 5
        one, other = (
            Tally("share", rng.binomial(tries, hard)[:, None] * 1.0, np.full((80, 1), tries * 1.0)) for _ in range(2)
        )
        found += compare(one, other).p_value < 0.05
    assert found <= 6


def test_subjects_that_all_lose_are_found_by_the_bootstrap() -> None:
    rng = np.random.default_rng(1)
    right = rng.binomial(8, rng.beta(6, 2, 30))[:, None].astype(float)
    found = compare(
        Tally("share", np.maximum(right - 1, 0), np.full((30, 1), 8.0)), Tally("share", right, np.full((30, 1), 8.0))
    )
    assert found.method == "paired bootstrap"
    assert found.p_value < 0.002
    assert found.difference.high is not None
    assert found.difference.high < 0


def test_different_questions_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="different questions"):
        compare(answers([1, 0]), answers([1, 0, 1]))
