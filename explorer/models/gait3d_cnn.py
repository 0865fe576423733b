"""The 3D-CNN on optical flow of Embedded-Gait: 25 frames of 60 x 60 flow to one embedding.

Inputs are channel-first here, [n, 2, 25, 60, 60] (flow x and y before time), the order PyTorch, ONNX and TensorRT
share; the published Keras network takes the same cuboid channel-last.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from explorer.models.flow_cnn import ORIGINAL_RECIPE, TINY_RECIPE, FlowCNN, he_uniform
from explorer.models.training import Recipe

# kernel and stride of the six convolutions, (time, height, width); no padding, no norm, no pooling.
_KERNELS = ((3, 5, 5), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 2, 2), (2, 1, 1))
_STRIDES = ((1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 1, 1), (1, 1, 1))


class Gait3DCNN(FlowCNN):
    """Optical flow [n, 2, 25, 60, 60] to embeddings [n, embedding]; a classifier for training only.

    Args:
        classes: training identities (TUM-GAID: 150).
        channels: widths of the six convolutions.
        embedding: width of the last two layers (TUM-GAID: 1024); the embedding is taken after the second of them.
        loss: ``classes``, as published, or ``neighbours``, which tells strangers apart after far fewer iterations.
        recipe: how the network is trained unless the user says otherwise.
    """

    unprunable_layers = ("gray_code",)  # as published: only the six convolutions are cut

    def __init__(
        self,
        *,
        classes: int = 150,
        channels: Sequence[int] = (64, 128, 256, 512, 512, 512),
        embedding: int = 1024,
        loss: str = "classes",
        recipe: Recipe = ORIGINAL_RECIPE,
    ) -> None:
        super().__init__(loss=loss, recipe=recipe)
        widths = (2, *channels)
        self.convs = nn.ModuleList(
            nn.Conv3d(widths[i], widths[i + 1], kernel, stride)
            for i, (kernel, stride) in enumerate(zip(_KERNELS, _STRIDES, strict=True))
        )
        self.gray_code = nn.Conv3d(widths[-1], embedding, 1)
        self.last = nn.Linear(embedding, embedding)
        self.classifier = nn.Linear(embedding, classes)
        self.apply(he_uniform)

    def forward(self, inputs: Tensor) -> Tensor:
        """Embeddings [n, embedding] of flow [n, 2, 25, 60, 60]."""
        x = inputs
        for conv in self.convs:
            x = conv(x).relu()
        embedding: Tensor = self.last(self.gray_code(x).flatten(1))
        return embedding


def gait3d_cnn(
    *,
    classes: int = 150,
    channels: Sequence[int] = (64, 128, 256, 512, 512, 512),
    embedding: int = 1024,
    loss: str = "classes",
) -> Gait3DCNN:
    """The published widths: 10,055,126 parameters with TUM-GAID's 150 classes."""
    return Gait3DCNN(classes=classes, channels=channels, embedding=embedding, loss=loss)


def gait3d_cnn_tiny(
    *,
    classes: int = 50,
    channels: Sequence[int] = (8, 16, 32, 64, 64, 64),
    embedding: int = 128,
    loss: str = "neighbours",
) -> Gait3DCNN:
    """The same topology at an eighth of the widths: 40 million MACs."""
    return Gait3DCNN(classes=classes, channels=channels, embedding=embedding, loss=loss, recipe=TINY_RECIPE)
