"""The 2D-CNN on optical flow of Embedded-Gait: 25 frames of 60 x 60 flow, stacked as channels, to one embedding.

Inputs are [n, 50, 60, 60]: x and y of the first frame, x and y of the second, and so on, as published.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from explorer.models.flow_cnn import ORIGINAL_RECIPE, TINY_RECIPE, FlowCNN, he_uniform
from explorer.models.training import Recipe

CHANNELS_IN = 50  # 25 frames, x and y
# of the four convolutions; stride 1, no padding, each with a bias, a ReLU and a maximum over 2 x 2 behind it; no norm.
_KERNELS = (7, 5, 3, 2)
_DROPOUT = 0.4  # behind the first dense layer, in training only


class Gait2DCNN(FlowCNN):
    """Stacked flow [n, 50, 60, 60] to embeddings [n, embedding]; a classifier for training only.

    Args:
        classes: training identities (TUM-GAID: 150).
        channels: widths of the four convolutions.
        embedding: width of the last two layers (TUM-GAID: 1024), half that of the one before; the embedding is taken
            after the last.
        loss: ``classes``, as published, or ``neighbours``, which tells strangers apart after far fewer iterations.
        recipe: how the network is trained unless the user says otherwise.
    """

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
        super().__init__(loss=loss, recipe=recipe)
        widths = (CHANNELS_IN, *channels)
        self.convs = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], kernel) for i, kernel in enumerate(_KERNELS))
        self.dense = nn.Linear(widths[-1], 2 * embedding)
        self.dropout = nn.Dropout(_DROPOUT)
        self.embed = nn.Linear(2 * embedding, embedding)
        self.last = nn.Linear(embedding, embedding)
        self.classifier = nn.Linear(embedding, classes)
        self.apply(he_uniform)

    def forward(self, inputs: Tensor) -> Tensor:
        """Embeddings [n, embedding] of stacked flow [n, 50, 60, 60]."""
        x = inputs
        for conv in self.convs:
            x = max_pool2d(conv(x).relu(), 2)
        embedding: Tensor = self.last(self.embed(self.dropout(self.dense(x.flatten(1)))))
        return embedding


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
