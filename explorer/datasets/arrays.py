"""A classification dataset of plain arrays: the shortest way to bring one's own data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from explorer.datasets.protocols import Floats, Labels
from explorer.errors import BadInput, Problem
from explorer.result import Metric
from explorer.tally import Tally


@dataclass(frozen=True)
class ArraySamples:
    """Samples held in memory; nothing about them is random."""

    inputs: Floats
    labels: Labels

    def draw(self, indices: NDArray[np.integer[Any]], rng: np.random.Generator) -> Floats:
        """The inputs at `indices`; `rng` is not needed, what is drawn is what is stored."""
        chosen: Floats = self.inputs[indices]
        return chosen


class ArrayDataset:
    """Four arrays: inputs and integer classes to learn from, inputs and classes to be tested on.

    Scored by top-1 accuracy: the index of the largest output is the class.

    Args:
        train_x: [N, *sample_shape], becomes float32.
        train_y: [N], classes 0…classes-1.
        test_x: [M, *sample_shape].
        test_y: [M].

    Raises:
        BadInput: the arrays do not fit together, are empty, or hold values that are not finite.
    """

    def __init__(self, train_x: ArrayLike, train_y: ArrayLike, test_x: ArrayLike, test_y: ArrayLike) -> None:
        self._train = _samples(train_x, train_y, "train")
        self._test = _samples(test_x, test_y, "test")
        self.sample_shape = tuple(self._train.inputs.shape[1:])
        self.classes = int(max(self._train.labels.max(), self._test.labels.max())) + 1
        if self._test.inputs.shape[1:] != self.sample_shape:
            raise BadInput(
                Problem(
                    "training and test inputs differ in shape",
                    seen=f"train_x {self._train.inputs.shape}, test_x {self._test.inputs.shape}",
                    allowed="the same shape after the first axis",
                )
            )

    def training(self) -> ArraySamples:
        """The training arrays."""
        return self._train

    def calibration(self, count: int) -> Floats:
        """`count` training inputs spread evenly over the array; a short array is gone through again."""
        return self._train.inputs[spread(len(self._train.labels), count)]

    def evaluation(self) -> Floats:
        """The test inputs."""
        return self._test.inputs

    def tallies(self, outputs: Floats) -> dict[str, Tally]:
        """Which of the test inputs class scores [M, classes, …] get right; each stands for itself."""
        labels = self._test.labels
        if len(outputs) != len(labels):
            raise ValueError(f"{len(outputs)} outputs for {len(labels)} test inputs")
        scores = np.asarray(outputs, dtype=np.float64).reshape(len(labels), -1)
        right = (scores.argmax(axis=1) == labels) & np.isfinite(scores).all(axis=1)
        return {"accuracy": Tally("share", right[:, None].astype(np.float64), np.ones((len(labels), 1)))}

    def score(self, outputs: Floats) -> dict[str, Metric]:
        """Top-1 accuracy of class scores [M, classes, …] with its Wilson interval."""
        return {name: tally.metric() for name, tally in self.tallies(outputs).items()}

    def subset(self, samples: int) -> ArrayDataset:
        """With `samples` of the test inputs, spread evenly over the array."""
        if samples >= len(self._test.labels):
            return self
        chosen = spread(len(self._test.labels), samples)
        test = self._test.inputs[chosen], self._test.labels[chosen]
        return ArrayDataset(self._train.inputs, self._train.labels, *test)

    def fingerprint(self) -> str:
        """sha256 of the four arrays."""
        digest = hashlib.sha256()
        for samples in (self._train, self._test):
            digest.update(repr(samples.inputs.shape).encode())
            digest.update(np.ascontiguousarray(samples.inputs).data)
            digest.update(np.ascontiguousarray(samples.labels).data)
        return f"arrays-{digest.hexdigest()}"


def spread(length: int, count: int) -> NDArray[np.int64]:
    """`count` indices spread evenly over ``range(length)``; more than `length` begin again from the front."""
    if count > length:
        return np.arange(count) % length
    return np.linspace(0, length - 1, count).round().astype(np.int64)


def _samples(inputs: ArrayLike, labels: ArrayLike, split: str) -> ArraySamples:
    x, y = np.asarray(inputs, dtype=np.float32), np.asarray(labels)
    seen = f"{split}_x {x.shape} {x.dtype}, {split}_y {y.shape} {y.dtype}"
    if x.ndim < 2 or y.shape != x.shape[:1] or not len(y):
        raise BadInput(
            Problem(f"{split}_x and {split}_y do not fit together", seen=seen, allowed="x [N, …] and y [N], N ≥ 1")
        )
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
        raise BadInput(Problem(f"{split}_y are no classes", seen=seen, allowed="integers from 0"))
    if not np.isfinite(x).all():
        raise BadInput(Problem(f"{split}_x holds values that are not finite", seen=seen))
    return ArraySamples(x, y.astype(np.int64))
