"""Training on a CPU, deterministic by seed: for the gait zoo, a user's own network, and fine-tuning after a cut.

Every batch is balanced: `identities` classes with `samples_each` samples of each (P x K), which a triplet loss needs
and which does a classifier no harm. A module's own ``training_loss`` is used where it has one, cross-entropy on its
outputs otherwise.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from explorer.errors import BadInput, JobFailed, Problem
from explorer.models.protocols import HasTrainingLoss, Progress, TrainingSamples
from explorer.registry import nearest


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; everything that changes the numbers is here."""

    optimiser: str = "adam"  # adam, adamw, sgd
    lr: float = 1e-3
    iterations: int = 1000
    epochs: float | None = None  # when given, overrides `iterations`: passes over the data
    identities: int = 8  # P: classes in a batch (fewer where the data have fewer)
    samples_each: int = 4  # K: samples of each
    schedule: str = "cosine"  # constant, cosine, step (x0.1 at half and at three quarters)
    warmup: float = 0.0  # fraction of the iterations over which lr rises linearly
    weight_decay: float = 0.0
    momentum: float = 0.9  # sgd only
    clip_norm: float | None = None  # gradients are scaled down to this norm
    seed: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Any] | None, *, base: Recipe | None = None) -> Recipe:
        """`base` with some fields replaced.

        Raises:
            BadInput: a field is unknown or its value cannot be used.
        """
        known = [field.name for field in fields(cls)]
        options = dict(options or {})
        unknown = [
            Problem(
                f"unknown recipe field {name!r}",
                path=f"recipe.{name}",
                allowed=", ".join(known),
                hint=nearest(name, known),
            )
            for name in options
            if name not in known
        ]
        if unknown:
            raise BadInput(unknown)
        recipe = replace(base or cls(), **options)
        recipe.check()
        return recipe

    def check(self) -> None:
        """Refuse a recipe that cannot be followed.

        Raises:
            BadInput: with every field that is wrong.
        """
        problems = [
            Problem(
                f"unknown {what}",
                path=f"recipe.{what}",
                seen=repr(seen),
                allowed=", ".join(known),
                hint=nearest(seen, known),
            )
            for what, seen, known in (
                ("optimiser", self.optimiser, list(OPTIMISERS)),
                ("schedule", self.schedule, list(SCHEDULES)),
            )
            if seen not in known
        ]
        amounts = {
            "lr": self.lr,
            "iterations": self.iterations,
            "epochs": 1 if self.epochs is None else self.epochs,
            "identities": self.identities,
            "samples_each": self.samples_each,
        }
        problems += [
            Problem("must be above zero", path=f"recipe.{name}", seen=repr(value))
            for name, value in amounts.items()
            if not value > 0
        ]
        if problems:
            raise BadInput(problems)

    def steps(self, samples: int) -> int:
        """How many iterations this recipe takes on so many samples."""
        if self.epochs is None:
            return self.iterations
        return max(1, math.ceil(self.epochs * samples / (self.identities * self.samples_each)))


@dataclass(frozen=True)
class TrainingRun:
    """What a training did: mean loss of the first and the last tenth (at least one, at most 50 iterations)."""

    iterations: int
    loss_first: float
    loss_last: float
    seconds: float


def _adam(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.Adam(module.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)


def _adamw(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.AdamW(module.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)


def _sgd(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        module.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )


OPTIMISERS: Mapping[str, Callable[[nn.Module, Recipe], torch.optim.Optimizer]] = {
    "adam": _adam,
    "adamw": _adamw,
    "sgd": _sgd,
}

# From the fraction of the training that is done to the factor on the learning rate.
SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "step": lambda done: 0.1 ** ((done >= 0.5) + (done >= 0.75)),
}


def train(
    module: nn.Module, samples: TrainingSamples, *, recipe: Recipe, progress: Progress | None = None
) -> TrainingRun:
    """Train `module` in place and leave it in eval mode.

    The global random state is restored afterwards; on the same machine with as many threads the same seed gives the
    same weights.

    Raises:
        JobFailed: the loss is no longer a finite number.
        BadInput: the recipe cannot be followed, or the data hold too few classes for it.
    """
    recipe.check()
    started, losses = time.perf_counter(), []
    total = recipe.steps(len(samples.labels))
    with torch.random.fork_rng(devices=[]), _channels_last(module):
        torch.manual_seed(recipe.seed)
        for done, loss in enumerate(_iterations(module.train(), samples, recipe, total), start=1):
            losses.append(loss)
            if progress is not None:
                progress(done, total, loss)
    module.eval()
    tail = min(50, max(1, total // 10))
    return TrainingRun(
        total, float(np.mean(losses[:tail])), float(np.mean(losses[-tail:])), time.perf_counter() - started
    )


@contextmanager
def _channels_last(module: nn.Module) -> Iterator[None]:
    """Convolutions' weights lie as a CPU likes them (both gait networks train twice as fast), afterwards as usual."""
    liked = {4: torch.channels_last, 5: torch.channels_last_3d}
    weights = [parameter for parameter in module.parameters() if parameter.dim() in liked]
    for parameter in weights:
        parameter.data = parameter.data.contiguous(memory_format=liked[parameter.dim()])
    try:
        yield
    finally:
        for parameter in weights:
            parameter.data = parameter.data.contiguous()


def _iterations(module: nn.Module, samples: TrainingSamples, recipe: Recipe, total: int) -> Iterator[float]:
    rng = np.random.default_rng(recipe.seed)
    optimiser = OPTIMISERS[recipe.optimiser](module, recipe)
    batches = balanced_batches(samples.labels, recipe.identities, recipe.samples_each, rng=rng)
    for step in range(total):
        _set_rate(optimiser, recipe, step / total)
        indices = next(batches)
        inputs, labels = torch.from_numpy(samples.draw(indices, rng)), torch.from_numpy(samples.labels[indices])
        loss = training_loss(module, inputs, labels)
        if not torch.isfinite(loss):
            raise JobFailed(
                f"training diverged: the loss is {loss.item()} at iteration {step + 1} of {total}; try a smaller lr"
            )
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(module.parameters(), recipe.clip_norm)
        optimiser.step()
        yield loss.item()


def _set_rate(optimiser: torch.optim.Optimizer, recipe: Recipe, done: float) -> None:
    rising = min(1.0, (done + 1e-3) / recipe.warmup) if recipe.warmup > 0 else 1.0
    for group in optimiser.param_groups:
        group["lr"] = recipe.lr * rising * SCHEDULES[recipe.schedule](done)


def training_loss(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """The module's own loss, or cross-entropy on its outputs [n, classes]."""
    return (
        module.training_loss(inputs, labels)
        if isinstance(module, HasTrainingLoss)
        else cross_entropy(module(inputs), labels)
    )


def balanced_batches(
    labels: NDArray[np.int64], identities: int, samples_each: int, *, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Endless batches of indices: P classes, K samples of each, classes taken in turn from a shuffled deck.

    A class with fewer than K samples gives some of them twice.

    Raises:
        BadInput: the data hold a single class or none.
    """
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if len(members) < 2:
        raise BadInput(
            Problem(
                "the training data hold fewer than two classes", seen=f"{len(members)} classes, {len(labels)} samples"
            )
        )
    deck: list[int] = []
    while True:
        chosen, deck = _deal(deck, min(identities, len(members)), len(members), rng)
        yield np.concatenate([_some(members[i], samples_each, rng) for i in chosen])


def _deal(deck: list[int], count: int, classes: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """`count` distinct classes off the deck, with a freshly shuffled one put under it when it runs out."""
    if len(deck) < count:
        fresh = rng.permutation(classes).tolist()
        deck = deck + sorted(fresh, key=deck.__contains__)  # those still to be dealt come last: a hand has no twins
    return deck[:count], deck[count:]


def _some(members: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.choice(members, count, replace=len(members) < count)
