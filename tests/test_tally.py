"""Counts behind scores: value, interval, paired replicates, and the way to disk and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from explorer.tally import Tally, wilson_interval


def subjects(chances: np.ndarray, tries: int, rng: np.random.Generator) -> Tally:
    """One cell; each subject answers `tries` questions with its own chance of being right."""
    return Tally("share", rng.binomial(tries, chances)[:, None].astype(float), np.full((len(chances), 1), float(tries)))


def test_the_mean_over_cells_weighs_cells_not_answers() -> None:
    tally = Tally("share", np.array([[1.0, 0.0]]), np.array([[1.0, 9.0]]))
    assert tally.value() == 0.5


def test_a_cell_that_nobody_tried_does_not_count() -> None:
    assert Tally("share", np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]])).value() == 0.5


def test_the_rms_is_that_of_all_inputs_together() -> None:
    assert Tally("rms", np.array([[1.0], [3.0]]), np.array([[2.0], [14.0]])).value() == 0.5


def test_single_answers_have_wilsons_interval() -> None:
    metric = Tally("share", np.array([[1.0], [0.0], [1.0]]), np.ones((3, 1))).metric()
    assert (metric.low, metric.high) == wilson_interval(2, 3)


def test_subjects_that_are_all_alike_are_still_not_certain() -> None:
    metric = Tally("share", np.full((10, 2), 3.0), np.full((10, 2), 3.0)).metric()
    assert (metric.value, metric.low, metric.high) == pytest.approx((1.0, 0.7225, 1.0), abs=1e-4)


def test_the_interval_over_subjects_covers_the_truth() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(60):
        metric = subjects(rng.beta(8, 2, 60), 6, rng).metric()
        assert metric.low is not None
        assert metric.high is not None
        held += metric.low <= 0.8 <= metric.high
    assert 51 <= held <= 60


@pytest.mark.parametrize("kind", ["share", "rms"])
def test_replicates_of_the_same_questions_are_paired(kind: str) -> None:
    rng = np.random.default_rng(1)
    hard = rng.random((80, 1)) * 4
    one, other = (Tally(kind, hard + rng.random((80, 1)) * 0.1, np.full((80, 1), 5.0)) for _ in range(2))  # type: ignore[arg-type]
    a, b = one.replicates(500, 3), other.replicates(500, 3)
    assert (a - b).std() < a.std() / 5
    assert not np.array_equal(a, one.replicates(500, 4))
    np.testing.assert_array_equal(a, one.replicates(500, 3))


def test_a_tally_comes_back_from_json_as_it_was() -> None:
    tally = subjects(np.full(5, 0.5), 3, np.random.default_rng(2))
    again = Tally.from_json(json.loads(json.dumps(tally.to_json())))
    assert again.metric() == tally.metric()
    np.testing.assert_array_equal(again.top, tally.top)


@pytest.mark.parametrize("bottom", [[1.0], [[1.0, 1.0]]])
def test_counts_that_do_not_fit_are_refused(bottom: object) -> None:
    with pytest.raises(ValueError, match="not a tally"):
        Tally.from_json({"kind": "share", "top": [[1.0]], "bottom": bottom})
