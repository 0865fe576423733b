"""What a dataset owes the program. Protocols, not base classes: your own needs to import nothing of ours.

training()      random access to the training split, for training, pruning and fine-tuning
calibration(n)  fixed inputs of the training split, from which a quantiser learns its ranges
evaluation()    fixed test inputs: they are sent to the device, which returns its outputs
score(outputs)  what those outputs are worth, by the dataset's own protocol

Welcome and not owed: tallies(outputs), the counts behind the scores, by which two networks are compared answer by
answer (`Tallying`); subset(samples), by which a network is judged before a board has seen it (`Subsetting`).
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from explorer.result import Metric
from explorer.tally import Tally

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@runtime_checkable
class Samples(Protocol):
    """A split one can draw from at random."""

    @property
    def labels(self) -> Labels:
        """Class of each sample, 0…classes-1, shape [N]."""
        ...

    def draw(self, indices: NDArray[np.integer[Any]], rng: np.random.Generator) -> Floats:
        """The inputs at `indices`, shape [len(indices), *sample_shape]; random frames and augmentation use `rng`
        alone.
        """
        ...


@runtime_checkable
class Dataset(Protocol):
    """Inputs to learn from, inputs to be tested on, and the protocol that turns outputs into metrics."""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch axis."""
        ...

    @property
    def classes(self) -> int:
        """How many classes (identities) the training split has."""
        ...

    def training(self) -> Samples:
        """The training split."""
        ...

    def calibration(self, count: int) -> Floats:
        """The same `count` training inputs at each call, shape [count, *sample_shape]."""
        ...

    def evaluation(self) -> Floats:
        """The same M test inputs at each call, shape [M, *sample_shape]."""
        ...

    def score(self, outputs: Floats) -> dict[str, Metric]:
        """Metrics of the outputs for `evaluation()`, first axis M; holds at least ``accuracy`` (0–1, with 95 %
        interval).
        """
        ...

    def fingerprint(self) -> str:
        """A text that changes whenever the data change."""
        ...


@runtime_checkable
class Tallying(Protocol):
    """A dataset that also says what its scores are counted from."""

    def tallies(self, outputs: Floats) -> dict[str, Tally]:
        """Counts by metric; a metric that has them is their `Tally.metric`, as `score` returns it."""
        ...


@runtime_checkable
class Subsetting(Protocol):
    """A dataset that can be tested on a part of its samples."""

    def subset(self, samples: int) -> Dataset:
        """The same data with about `samples` test inputs, always the same ones; itself where it has no more.

        Its scores must be expected to be those of the whole: a part of the questions, none of them easier or harder.
        """
        ...
