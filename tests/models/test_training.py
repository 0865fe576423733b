"""The training loop: deterministic, balanced, for any module, and plain about what goes wrong."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from explorer.errors import BadInput, JobFailed
from explorer.models.build import build
from explorer.models.training import Recipe, TrainingRun, balanced_batches, train
from tests.models.data import Blobs, Classifier

SHORT = Recipe(optimiser="adam", lr=0.02, iterations=40, identities=4, samples_each=4)


def trained(recipe: Recipe = SHORT) -> tuple[Classifier, TrainingRun]:
    torch.manual_seed(0)
    net = Classifier()
    return net, train(net, Blobs(), recipe=recipe)


def test_plain_module_learns_by_cross_entropy() -> None:
    net, ran = trained()
    blobs = Blobs()
    with torch.no_grad():
        guessed = net(torch.from_numpy(blobs.inputs)).argmax(1).numpy()
    assert ran.loss_last < 0.2 * ran.loss_first
    assert (guessed == blobs.labels).mean() > 0.9
    assert not net.training


def test_same_seed_gives_the_same_weights() -> None:
    torch.manual_seed(123)  # whatever the world's random state is
    one, _ = trained()
    torch.manual_seed(321)
    other, _ = trained()
    different, _ = trained(Recipe.of({"seed": 1}, base=SHORT))
    assert torch.equal(one.out.weight, other.out.weight)
    assert not torch.equal(one.out.weight, different.out.weight)


def test_leaves_the_random_state_alone() -> None:
    net, before = Classifier(), torch.get_rng_state()
    train(net, Blobs(), recipe=Recipe.of({"iterations": 2}, base=SHORT))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_every_optimiser_with_every_schedule(optimiser: str, schedule: str) -> None:
    changes = {"optimiser": optimiser, "schedule": schedule, "warmup": 0.1, "clip_norm": 1.0, "iterations": 10}
    _, ran = trained(Recipe.of(changes, base=SHORT))
    assert ran.iterations == 10
    assert np.isfinite(ran.loss_last)


def test_epochs_count_passes_over_the_data() -> None:
    assert Recipe(epochs=3, identities=4, samples_each=5).steps(80) == 12
    assert Recipe(epochs=0.1, identities=4, samples_each=5).steps(80) == 1
    assert Recipe(iterations=7).steps(80) == 7


def test_progress_is_told() -> None:
    told: list[tuple[int, int, float]] = []
    recipe = Recipe.of({"iterations": 3}, base=SHORT)
    train(Classifier(), Blobs(), recipe=recipe, progress=lambda *args: told.append(args))
    assert [(done, total) for done, total, _ in told] == [(1, 3), (2, 3), (3, 3)]


def test_divergence_ends_the_job() -> None:
    with pytest.raises(JobFailed, match="diverged.*try a smaller lr"):
        trained(Recipe(optimiser="sgd", lr=1e20, iterations=20, identities=4, samples_each=4))


def test_a_single_class_cannot_be_learnt() -> None:
    with pytest.raises(BadInput, match="fewer than two classes"):
        train(Classifier(), Blobs(classes=1), recipe=SHORT)


def test_modules_own_loss_is_used() -> None:
    class Seven(Classifier):
        def training_loss(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return 7 + 0 * self(inputs).sum()

    assert train(Seven(), Blobs(), recipe=Recipe.of({"iterations": 1}, base=SHORT)).loss_first == 7


@pytest.mark.parametrize("name", ["gaitset_tiny", "gait2d_cnn_tiny", "gait3d_cnn_tiny"])
def test_gait_networks_overfit_what_they_see(name: str) -> None:
    """Two people, told apart within a few iterations: the loss, its gradient and the recipe work together."""

    class Two(Blobs):
        def __init__(self) -> None:
            self._labels = np.repeat(np.arange(2), 4)
            shapes = {"gaitset_tiny": (2, 64, 44), "gait2d_cnn_tiny": (50, 60, 60), "gait3d_cnn_tiny": (2, 25, 60, 60)}
            self.inputs = np.random.default_rng(0).random((2, *shapes[name]), dtype=np.float32)
            if name == "gait2d_cnn_tiny":  # without centred inputs its 50 channels are all but one to it
                self.inputs = 2 * self.inputs - 1

        def draw(self, indices: NDArray[np.integer[Any]], rng: np.random.Generator) -> NDArray[np.float32]:
            clean = self.inputs[self._labels[indices]]
            return (clean + rng.normal(0, 0.05, clean.shape)).astype(np.float32)

    torch.manual_seed(0)
    net = build(name)
    recipe = Recipe.of({"iterations": 12, "identities": 2, "samples_each": 2}, base=net.recipe)  # type: ignore[arg-type]
    ran = train(net, Two(), recipe=recipe)
    assert ran.loss_last < 0.5 * ran.loss_first


def test_batches_are_balanced_and_deal_every_class_in_turn() -> None:
    labels = np.array([0] * 50 + [1] * 3 + [2] * 9 + [3] * 1 + [4] * 7)
    batches = balanced_batches(labels, 2, 3, rng=np.random.default_rng(0))
    dealt = []
    for batch in itertools.islice(batches, 25):
        classes, counts = np.unique(labels[batch], return_counts=True)
        assert (counts == 3).all()
        assert len(classes) == 2
        dealt += classes.tolist()
    assert np.bincount(dealt).tolist() == [10] * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 1}, "unknown recipe field 'learning_rate'"),
        ({"optimiser": "adm"}, "did you mean 'adam'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"lr": 0}, "recipe.lr: must be above zero"),
        ({"epochs": 0}, "recipe.epochs: must be above zero"),
    ],
)
def test_recipe_that_cannot_be_followed(options: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Recipe.of(options)
