"""What every dataset must keep to, as tests; `explorer.datasets.protocols` says it in words."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from explorer.datasets.protocols import Dataset, Subsetting, Tallying
from explorer.tally import Tally


class DatasetContract:
    """Inherit, and define the fixture ``dataset``; ``outputs`` too where random rows of 16 numbers cannot be scored."""

    @pytest.fixture
    def outputs(self, dataset: Dataset) -> NDArray[np.float32]:
        """What a network might answer for `evaluation()`: [M, 16]."""
        return np.random.default_rng(0).normal(size=(len(dataset.evaluation()), 16)).astype(np.float32)

    def test_the_shape_of_a_sample_is_positive(self, dataset: Dataset) -> None:
        assert dataset.sample_shape
        assert all(size > 0 for size in dataset.sample_shape)

    def test_labels_are_classes(self, dataset: Dataset) -> None:
        labels = dataset.training().labels
        assert labels.ndim == 1
        assert labels.min() >= 0
        assert labels.max() < dataset.classes

    def test_samples_are_drawn_in_the_shape_that_is_promised(self, dataset: Dataset) -> None:
        drawn = dataset.training().draw(np.array([0, 0, 1]), np.random.default_rng(0))
        assert drawn.shape == (3, *dataset.sample_shape)
        assert drawn.dtype == np.float32
        assert np.isfinite(drawn).all()

    def test_the_generator_alone_decides_what_is_drawn(self, dataset: Dataset) -> None:
        samples = dataset.training()
        first, again = (samples.draw(np.arange(2), np.random.default_rng(7)) for _ in range(2))
        np.testing.assert_array_equal(first, again)

    def test_calibration_is_as_many_as_asked_and_always_the_same(self, dataset: Dataset) -> None:
        first, again = dataset.calibration(5), dataset.calibration(5)
        assert first.shape == (5, *dataset.sample_shape)
        assert first.dtype == np.float32
        np.testing.assert_array_equal(first, again)

    def test_evaluation_is_always_the_same(self, dataset: Dataset) -> None:
        first, again = dataset.evaluation(), dataset.evaluation()
        assert first.shape[1:] == dataset.sample_shape
        assert first.dtype == np.float32
        assert np.isfinite(first).all()
        np.testing.assert_array_equal(first, again)

    def test_calibration_is_not_taken_from_what_is_tested_on(self, dataset: Dataset) -> None:
        tested = {sample.tobytes() for sample in dataset.evaluation()}
        assert not any(sample.tobytes() in tested for sample in dataset.calibration(5))

    def test_scores_lie_within_their_intervals(self, dataset: Dataset, outputs: NDArray[np.float32]) -> None:
        scores = dataset.score(outputs)
        assert "accuracy" in scores
        assert 0 <= scores["accuracy"].value <= 1
        for name, metric in scores.items():
            if metric.low is not None and metric.high is not None:
                assert metric.low <= metric.value <= metric.high, name

    def test_scoring_is_deterministic(self, dataset: Dataset, outputs: NDArray[np.float32]) -> None:
        assert dataset.score(outputs) == dataset.score(outputs)

    def test_what_is_counted_is_what_is_scored(self, dataset: Dataset, outputs: NDArray[np.float32]) -> None:
        if not isinstance(dataset, Tallying):
            return  # counts are welcome and not owed
        scores = dataset.score(outputs)
        for name, tally in dataset.tallies(outputs).items():
            assert Tally.from_json(tally.to_json()).metric() == scores[name]

    def test_a_part_has_some_of_the_questions_of_the_whole(self, dataset: Dataset) -> None:
        if not isinstance(dataset, Subsetting):
            return  # parts are welcome and not owed
        asked = dataset.evaluation()
        part = dataset.subset(len(asked) // 2)
        some = part.evaluation()
        assert 0 < len(some) <= len(asked)
        assert part.sample_shape == dataset.sample_shape
        assert {sample.tobytes() for sample in some} <= {sample.tobytes() for sample in asked}
        assert np.array_equal(some, dataset.subset(len(asked) // 2).evaluation())
        outputs = np.random.default_rng(0).normal(size=(len(some), 16)).astype(np.float32)
        assert set(part.score(outputs)) <= set(dataset.score(np.zeros((len(asked), 16), np.float32)))
        assert len(dataset.subset(len(asked)).evaluation()) == len(asked)

    def test_the_fingerprint_stays(self, dataset: Dataset) -> None:
        assert dataset.fingerprint()
        assert dataset.fingerprint() == dataset.fingerprint()
