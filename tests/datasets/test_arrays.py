"""A user's own arrays: fitting, scoring, refusing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from explorer.datasets.arrays import ArrayDataset, spread
from explorer.datasets.protocols import Dataset, Samples
from explorer.errors import BadInput
from explorer.tally import wilson_interval


@pytest.fixture
def digits() -> ArrayDataset:
    rng = np.random.default_rng(0)
    return ArrayDataset(rng.random((12, 1, 8, 8)), np.arange(12) % 3, rng.random((4, 1, 8, 8)), [0, 1, 2, 0])


def test_is_a_dataset(digits: ArrayDataset) -> None:
    assert isinstance(digits, Dataset)
    assert isinstance(digits.training(), Samples)
    assert (digits.sample_shape, digits.classes) == ((1, 8, 8), 3)
    assert digits.evaluation().dtype == np.float32
    drawn = digits.training().draw(np.array([3, 1]), np.random.default_rng(0))
    assert np.array_equal(drawn, digits.training().inputs[[3, 1]])


def test_scores_the_largest_output_with_its_wilson_interval(digits: ArrayDataset) -> None:
    outputs = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    metric = digits.score(outputs)["accuracy"]
    assert metric.value == 0.75
    assert (metric.low, metric.high) == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_an_output_that_is_not_finite_is_wrong(digits: ArrayDataset) -> None:
    outputs = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    outputs[0, 2] = np.nan
    assert digits.score(outputs)["accuracy"].value == 0.75


def test_wilson_interval_has_width_at_the_edges() -> None:
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_calibration_goes_round_when_more_is_asked_than_there_is(digits: ArrayDataset) -> None:
    assert np.array_equal(digits.calibration(14)[12:], digits.training().inputs[:2])
    assert spread(10, 4).tolist() == [0, 3, 6, 9]


def test_fingerprint_follows_the_data() -> None:
    x, y = np.zeros((4, 2), np.float32), np.arange(4) % 2
    first, same, other = (ArrayDataset(x, y, v, y).fingerprint() for v in (x, x.copy(), x + 1))
    assert first == same != other


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        ((np.zeros((3, 2)), [0, 1]), (np.zeros((2, 2)), [0, 1]), "train_x and train_y do not fit"),
        ((np.zeros((2, 2)), [0, 1]), (np.zeros((0, 2)), []), "test_x and test_y do not fit"),
        ((np.zeros((2, 2)), [0.5, 1]), (np.zeros((2, 2)), [0, 1]), "train_y are no classes"),
        ((np.zeros((2, 2)), [0, -1]), (np.zeros((2, 2)), [0, 1]), "train_y are no classes"),
        ((np.full((2, 2), np.nan), [0, 1]), (np.zeros((2, 2)), [0, 1]), "not finite"),
        ((np.zeros((2, 2)), [0, 1]), (np.zeros((2, 3)), [0, 1]), "differ in shape"),
    ],
)
def test_refuses_arrays_that_do_not_fit(
    train: tuple[ArrayLike, ArrayLike], test: tuple[ArrayLike, ArrayLike], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        ArrayDataset(*train, *test)


def test_refuses_the_wrong_number_of_outputs(digits: ArrayDataset) -> None:
    with pytest.raises(ValueError, match="3 outputs for 4"):
        digits.score(np.zeros((3, 3), np.float32))


def test_a_part_is_spread_over_the_test_inputs_and_leaves_the_training_as_it_is(digits: ArrayDataset) -> None:
    part = digits.subset(2)
    assert np.array_equal(part.evaluation(), digits.evaluation()[[0, 3]])
    assert np.array_equal(part.calibration(5), digits.calibration(5))
    assert part.score(np.eye(3, dtype=np.float32)[[0, 0]])["accuracy"].value == 1
    assert digits.subset(4) is digits
