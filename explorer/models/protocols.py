"""What a network may offer beyond being an ``nn.Module``; all of it optional, none of it a base class.

A module that offers nothing is a classifier: it is trained by cross-entropy on its outputs, pruned as it is traced,
and exported with the names ``input`` and ``output``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Progress = Callable[[int, int, float], None]
"""Called with (iterations done, iterations in all, loss of the last one)."""


class TrainingSamples(Protocol):
    """Training data as the loop sees it; a dataset's ``training()`` returns one."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each sample, [N], 0 … classes - 1."""
        ...

    def draw(self, indices: NDArray[np.integer[Any]], rng: np.random.Generator) -> NDArray[np.float32]:
        """Inputs [len(indices), *sample_shape]; random frames and augmentation happen here."""
        ...


@runtime_checkable
class HasTrainingLoss(Protocol):
    """A module with a loss of its own (a triplet loss, a head used in training only)."""

    def training_loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """A scalar from inputs [n, *sample_shape] and labels [n]."""
        ...


@runtime_checkable
class HasPruningView(Protocol):
    """A module whose dependency graph cannot be traced as it stands.

    The view shares the prunable layers with the module, so that cutting the view cuts the module; `absorb` then takes
    over what the view could only stand in for.
    """

    def pruning_view(self) -> nn.Module:
        """A traceable stand-in with the same input."""
        ...

    def absorb(self, view: nn.Module) -> None:
        """Take over the surviving channels of `view` after it was cut."""
        ...


def tensor_names(module: nn.Module) -> tuple[str, str]:
    """The names of the module's input and output in ONNX."""
    names: tuple[Any, Any] = (getattr(module, "input_name", "input"), getattr(module, "output_name", "output"))
    return str(names[0]), str(names[1])


def unprunable(module: nn.Module) -> tuple[str, ...]:
    """Names of layers whose outputs the module wants kept whole (attribute ``unprunable_layers``)."""
    return tuple(getattr(module, "unprunable_layers", ()))
