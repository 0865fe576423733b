"""A part of a dataset: the same data, tested on some of the inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.datasets.protocols import Dataset, Floats, Samples
from explorer.result import Metric
from explorer.tally import Tally


@dataclass(frozen=True)
class Part:
    """Some of a dataset's test inputs.

    Attributes:
        whole: what it is a part of.
        chosen: places of the test inputs ``[n]``.
        inputs: reads them.
        tallied: what the score of their outputs is counted from.
    """

    whole: Dataset
    chosen: NDArray[np.int64]
    inputs: Callable[[NDArray[np.int64]], Floats]
    tallied: Callable[[Floats], dict[str, Tally]]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self.whole.sample_shape

    @property
    def classes(self) -> int:
        return self.whole.classes

    def training(self) -> Samples:
        """The training split, all of it."""
        return self.whole.training()

    def calibration(self, count: int) -> Floats:
        """As the whole has it."""
        return self.whole.calibration(count)

    def evaluation(self) -> Floats:
        """The chosen inputs."""
        return self.inputs(self.chosen)

    def tallies(self, outputs: Floats) -> dict[str, Tally]:
        """What `score` counts."""
        return self.tallied(outputs)

    def score(self, outputs: Floats) -> dict[str, Metric]:
        """As the whole is scored."""
        return {name: tally.metric() for name, tally in self.tallies(outputs).items()}

    def fingerprint(self) -> str:
        """The whole's, and which inputs were chosen."""
        return f"{self.whole.fingerprint()}-part-{hashlib.sha256(self.chosen.tobytes()).hexdigest()[:16]}"
