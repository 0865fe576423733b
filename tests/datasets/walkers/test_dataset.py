"""The crowd as a dataset: shapes, determinism, splits, difficulty, refusals."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from explorer.datasets import DATASETS
from explorer.datasets.protocols import Dataset, Samples
from explorer.datasets.walkers import Walkers
from explorer.datasets.walkers.film import TEST, film
from explorer.errors import BadInput

SMALL: dict[str, Any] = {
    "subjects_train": 3,
    "subjects_test": 4,
    "views": [54, 90],
    "sequences_train": 2,
    "frames": 4,
    "frames_train": 6,
}


@pytest.fixture(scope="module")
def crowd() -> Walkers:
    return Walkers(**SMALL)


@pytest.fixture(scope="module")
def flows() -> Walkers:
    return Walkers(**{**SMALL, "frames": None, "subjects_test": 2, "conditions": ["bg"], "modality": "flow"})


def test_is_the_registered_dataset(crowd: Walkers) -> None:
    assert DATASETS.load("walkers") is Walkers
    assert isinstance(crowd, Dataset)
    assert isinstance(crowd.training(), Samples)


def test_silhouettes_are_silhouettes(crowd: Walkers) -> None:
    inputs = crowd.evaluation()
    assert inputs.shape == (4 * 10 * 2, 4, 64, 44) == (len(crowd.walks), *crowd.sample_shape)
    assert inputs.dtype == np.float32
    assert (inputs.min(), inputs.max()) == (0, 1)
    assert (inputs.max(axis=3).max(axis=2) == 1).all()
    assert 0.1 < inputs.mean() < 0.4
    assert ((inputs > 0.1) & (inputs < 0.9)).mean() < 0.1


def test_flow_is_flow(flows: Walkers) -> None:
    inputs = flows.evaluation()
    assert inputs.shape == (2 * 8 * 2, 2, 25, 60, 60) == (len(flows.walks), *flows.sample_shape)
    assert np.abs(inputs).max() <= 1
    assert np.abs(inputs).max(axis=(1, 2, 3, 4)).min() > 0.05
    assert flows.training().draw(np.array([0]), np.random.default_rng(0)).shape == (1, *flows.sample_shape)


def test_stacked_flow_is_the_same_flow_with_x_and_y_of_a_frame_side_by_side(flows: Walkers) -> None:
    stacked = Walkers(**{**SMALL, "frames": None, "subjects_test": 2, "conditions": ["bg"], "modality": "stacked_flow"})
    inputs, plain = stacked.evaluation(), flows.evaluation()
    assert inputs.shape == (len(stacked.walks), *stacked.sample_shape) == (len(plain), 50, 60, 60)
    assert np.array_equal(inputs[:, 0::2], plain[:, 0])
    assert np.array_equal(inputs[:, 1::2], plain[:, 1])
    drawn = [crowd.training().draw(np.array([3]), np.random.default_rng(1)) for crowd in (stacked, flows)]
    assert np.array_equal(drawn[0][0, 6], drawn[1][0, 0, 3])
    assert stacked.fingerprint() != flows.fingerprint()
    embeddings = np.eye(4, dtype=np.float32)[[walk.subject for walk in stacked.walks]]
    lengths = np.linspace(1, 100, len(embeddings), dtype=np.float32)[:, None]
    assert stacked.score(embeddings * lengths)["accuracy"].value == 1


def test_the_same_seed_gives_the_same_pixels_anywhere(crowd: Walkers) -> None:
    digest = hashlib.sha256(crowd.evaluation().tobytes()).hexdigest()
    again = np.stack([film(walk, TEST, 4, Walkers(**SMALL).options) for walk in crowd.walks])
    assert hashlib.sha256((again.astype(np.float32) / np.float32(255)).tobytes()).hexdigest() == digest
    other = Walkers(**SMALL, seed=1)
    assert not np.array_equal(other.evaluation(), crowd.evaluation())
    assert other.fingerprint() != crowd.fingerprint() == Walkers(**SMALL).fingerprint()


def test_more_subjects_or_views_leave_the_others_as_they_are(crowd: Walkers) -> None:
    larger = Walkers(**{**SMALL, "subjects_test": 5, "views": [0, 54, 90], "subjects_train": 9})
    where = {walk: i for i, walk in enumerate(larger.walks)}
    mine = larger.evaluation()[[where[walk] for walk in crowd.walks]]
    assert np.array_equal(mine, crowd.evaluation())


def test_training_and_test_are_different_people(crowd: Walkers) -> None:
    training = crowd.training()
    assert training.labels.tolist() == sorted(training.labels.tolist())
    assert (np.bincount(training.labels) == (2 + 1 + 1) * 2).all()
    assert crowd.classes == 3
    stored = {frame.tobytes() for film_ in training.stored for frame in film_}
    assert not any((frame * 255).astype(np.uint8).tobytes() in stored for one in crowd.evaluation() for frame in one)


def test_draw_takes_random_frames_of_the_right_sequence(crowd: Walkers) -> None:
    training, rng = crowd.training(), np.random.default_rng(0)
    first, second = (training.draw(np.array([5, 5]), rng) for _ in range(2))
    assert first.shape == (2, 4, 64, 44)
    assert not np.array_equal(first, second)
    frames = {(frame / np.float32(255)).tobytes() for frame in training.stored[5].astype(np.float32)}
    assert all(frame.tobytes() in frames for frame in first[0])
    assert np.array_equal(
        training.draw(np.array([5]), np.random.default_rng(3)),
        crowd.training().draw(np.array([5]), np.random.default_rng(3)),
    )


def test_flow_is_drawn_at_random_places(flows: Walkers) -> None:
    still = flows.training().stored[0]
    drawn = np.rint(flows.training().draw(np.zeros(9, int), np.random.default_rng(0)) * 127).astype(np.int8)
    assert len({one.tobytes() for one in drawn}) > 6
    moves = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    allowed = {np.roll(still, move, axis=(-2, -1)).tobytes() for move in moves}
    assert all(one.tobytes() in allowed for one in drawn)


def test_calibration_is_fixed_and_any_number(crowd: Walkers) -> None:
    assert crowd.calibration(30).shape == (30, 4, 64, 44)
    assert np.array_equal(crowd.calibration(5), crowd.calibration(5))


def test_without_noise_raw_pixels_tell_people_apart_and_noise_makes_it_hard() -> None:
    options = {**SMALL, "subjects_test": 8, "views": [90]}
    accuracy = {}
    for noise in (0.0, 3.0):
        crowd = Walkers(**options, noise=noise)
        blurred = crowd.evaluation().mean(axis=1)
        accuracy[noise] = crowd.score(blurred)["accuracy"].value
    assert accuracy[0.0] > 0.8 > accuracy[3.0] + 0.3


def test_conditions_that_were_not_asked_for_are_not_scored(flows: Walkers) -> None:
    metrics = flows.score(np.ones((len(flows.walks), 3), np.float32))
    assert {"accuracy", "accuracy_bg"} <= set(metrics)
    assert "accuracy_cl" not in metrics


def test_flow_embeddings_are_compared_by_direction(flows: Walkers) -> None:
    embeddings = np.eye(4, dtype=np.float32)[[walk.subject for walk in flows.walks]]
    lengths = np.random.default_rng(0).uniform(0.1, 100, (len(embeddings), 1)).astype(np.float32)
    assert flows.score(embeddings * lengths)["accuracy"].value == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"modality": "flwo"}, "did you mean 'flow'"),
        ({"subjects_test": 1}, "dataset.subjects_test: subjects_test is too small"),
        ({"frames": "8"}, "frames is no whole number"),
        ({"views": [0, 0]}, "no usable views"),
        ({"views": [200]}, "no usable views"),
        ({"conditions": ["nm", "xx"]}, "unknown condition"),
        ({"frames_train": 2}, "frames_train is too small"),
        ({"noise": -1}, "noise is out of range"),
    ],
)
def test_refuses_what_cannot_be_drawn(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Walkers(**{**SMALL, **wrong})


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(BadInput) as error:
        Walkers(modality="video", subjects_train=0, views=[])
    assert len(error.value.problems) == 3
