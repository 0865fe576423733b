"""The 2D-CNN on optical flow of Embedded-Gait: 25 frames of 60 x 60 flow, stacked as channels, to one embedding.

Inputs are [n, 50, 60, 60]: x and y of the first frame, x and y of the second, and so on, as published.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, max_pool2d, normalize

from explorer.errors import BadInput, Problem
from explorer.models.losses import neighbour_softmax
from explorer.models.training import Recipe

CHANNELS_IN = 50  # 25 frames, x and y
# of the four convolutions; stride 1, no padding, each with a bias, a ReLU and a maximum over 2 x 2 behind it; no norm.
_KERNELS = (7, 5, 3, 2)
_DROPOUT = 0.4  # behind the first dense layer, in training only

# Published: SGD 0.01 with momentum 0.9, batches of 150, 150 epochs; there the decay spares the dense layers.
ORIGINAL_RECIPE = Recipe(
    optimiser="sgd",
    lr=0.01,
    momentum=0.9,
    epochs=150,
    identities=150,
    samples_each=1,
    schedule="cosine",
    weight_decay=5e-5,
)
TINY_RECIPE = Recipe(optimiser="adam", lr=1e-3, iterations=1500, identities=8, samples_each=4, schedule="cosine")

LOSSES = ("classes", "neighbours")


class Gait2DCNN(nn.Module):
    """Stacked flow [n, 50, 60, 60] to embeddings [n, embedding]; a classifier for training only.

    Args:
        classes: training identities (TUM-GAID: 150).
        channels: widths of the four convolutions.
        embedding: width of the last two layers (TUM-GAID: 1024), half that of the one before; the embedding is taken
            after the last.
        loss: ``classes``, as published, or ``neighbours``, which tells strangers apart after far fewer iterations.
        recipe: how the network is trained unless the user says otherwise.
    """

    input_name = "flow"
    output_name = "embedding"
    unprunable_layers = ("dense", "embed")  # as published: only the four convolutions are cut

    def __init__(
        self,
        *,
        classes: int = 150,
        channels: Sequence[int] = (96, 192, 512, 512),
        embedding: int = 1024,
        loss: str = "classes",
        recipe: Recipe = ORIGINAL_RECIPE,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise BadInput(
                Problem("unknown loss", path="model.options.loss", seen=repr(loss), allowed=", ".join(LOSSES))
            )
        self.recipe, self.loss = recipe, loss
        widths = (CHANNELS_IN, *channels)
        self.convs = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], kernel) for i, kernel in enumerate(_KERNELS))
        self.dense = nn.Linear(widths[-1], 2 * embedding)
        self.dropout = nn.Dropout(_DROPOUT)
        self.embed = nn.Linear(2 * embedding, embedding)
        self.last = nn.Linear(embedding, embedding)
        self.classifier = nn.Linear(embedding, classes)
        self.apply(_initial)

    def forward(self, inputs: Tensor) -> Tensor:
        """Embeddings [n, embedding] of stacked flow [n, 50, 60, 60]."""
        x = inputs
        for conv in self.convs:
            x = max_pool2d(conv(x).relu(), 2)
        embedding: Tensor = self.last(self.embed(self.dropout(self.dense(x.flatten(1)))))
        return embedding

    def training_loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the classifier on the embedding, or the neighbour softmax of the embeddings' directions."""
        if self.loss == "neighbours":
            return neighbour_softmax(normalize(self(inputs), dim=1), labels)
        return cross_entropy(self.classifier(self(inputs)), labels)


def _initial(module: nn.Module) -> None:
    """He's uniform distribution, as published of the classifier."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def gait2d_cnn(
    *,
    classes: int = 150,
    channels: Sequence[int] = (96, 192, 512, 512),
    embedding: int = 1024,
    loss: str = "classes",
) -> Gait2DCNN:
    """The published widths: 6,982,774 parameters with TUM-GAID's 150 classes."""
    return Gait2DCNN(classes=classes, channels=channels, embedding=embedding, loss=loss)


def gait2d_cnn_tiny(
    *,
    classes: int = 50,
    channels: Sequence[int] = (12, 24, 64, 64),
    embedding: int = 128,
    loss: str = "neighbours",
) -> Gait2DCNN:
    """The same topology at an eighth of the widths: 91 million MACs."""
    return Gait2DCNN(classes=classes, channels=channels, embedding=embedding, loss=loss, recipe=TINY_RECIPE)
