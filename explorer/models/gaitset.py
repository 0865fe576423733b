"""GaitSet: a gait as an unordered set of silhouettes (Chao et al., AAAI 2019), CASIA-B widths.

frames ─ S1 ─ S2 ─ pool ─ S3 ─ S4 ─ pool ─ S5 ─ S6          every frame by itself
                   │max              │max         │max       over the frames: the set
                   G1 ─ G2 ─ pool ─ +┴ G3 ─ G4 ─ + ┴─ x      set level
                                                 └─── g
x and g ─ strips of 1, 2, 4, 8, 16 rows ─ mean + max ─ one linear map a part ─ [n, 62, 256]
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, max_pool2d

from explorer.models.losses import batch_all_triplet, check_loss, neighbour_softmax
from explorer.models.training import Recipe

# Original recipe: Adam 1e-4 constant, 80,000 iterations of 8 x 16 sequences.
ORIGINAL_RECIPE = Recipe(
    optimiser="adam", lr=1e-4, iterations=80_000, identities=8, samples_each=16, schedule="constant"
)
TINY_RECIPE = Recipe(optimiser="adam", lr=2e-3, iterations=1500, identities=8, samples_each=4, schedule="cosine")


LOSSES = ("triplet", "neighbours")


class GaitSet(nn.Module):
    """Silhouettes [n, frames, 64, 44] in 0…1 to embeddings [n, parts, embedding]; any number of frames.

    Args:
        channels: widths of the three stages.
        embedding: width of each part's embedding.
        leaky_slope: slope of the leaky ReLU below zero; PyTorch's default is 0.01, Keras' 0.3.
        bins: into how many strips the height is cut, at each level of the pyramid.
        loss: ``triplet``, as published, or ``neighbours``, which learns in far fewer iterations.
        margin: of the triplet loss.
        recipe: how the network is trained unless the user says otherwise.
    """

    input_name = "silhouettes"
    output_name = "embedding"

    def __init__(
        self,
        *,
        channels: Sequence[int] = (32, 64, 128),
        embedding: int = 256,
        leaky_slope: float = 0.01,
        bins: Sequence[int] = (1, 2, 4, 8, 16),
        loss: str = "triplet",
        margin: float = 0.2,
        recipe: Recipe = ORIGINAL_RECIPE,
    ) -> None:
        super().__init__()
        check_loss(loss, LOSSES)
        c1, c2, c3 = channels
        self.loss = loss
        self.leaky_slope, self.bins, self.margin, self.recipe = leaky_slope, tuple(bins), margin, recipe
        self.s1, self.s2 = _conv(1, c1, 5), _conv(c1, c1)
        self.s3, self.s4 = _conv(c1, c2), _conv(c2, c2)
        self.s5, self.s6 = _conv(c2, c3), _conv(c3, c3)
        self.g1, self.g2 = _conv(c1, c2), _conv(c2, c2)
        self.g3, self.g4 = _conv(c2, c3), _conv(c3, c3)
        self.part_fc = nn.Parameter(torch.empty(2 * sum(bins), c3, embedding))
        nn.init.xavier_uniform_(self.part_fc)

    def forward(self, inputs: Tensor) -> Tensor:
        """Embeddings [n, parts, embedding] of silhouettes [n, frames, 64, 44]."""
        frames, sets = self.pooled(inputs)
        parts = torch.cat([_strips(level, b) for b in self.bins for level in (frames, sets)], dim=2)
        return (parts.permute(2, 0, 1) @ self.part_fc).permute(1, 0, 2)

    def pooled(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The maps x and g, [n, channels, 16, 11] each: the pooled frames, and those plus the set pipeline."""
        frames, height, width = _static(inputs)
        x = inputs.reshape(-1, 1, height, width)
        x = max_pool2d(self._act(self.s2(self._act(self.s1(x)))), 2)
        g = max_pool2d(self._act(self.g2(self._act(self.g1(_over_frames(x, frames))))), 2)
        x = max_pool2d(self._act(self.s4(self._act(self.s3(x)))), 2)
        g = self._act(self.g4(self._act(self.g3(g + _over_frames(x, frames)))))
        x = _over_frames(self._act(self.s6(self._act(self.s5(x)))), frames)
        return x, g + x

    def _act(self, x: Tensor) -> Tensor:
        return leaky_relu(x, self.leaky_slope)

    def training_loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """The batch-all triplet loss of each part, or the neighbour softmax of all of them together."""
        if self.loss == "neighbours":
            return neighbour_softmax(self(inputs), labels)
        return batch_all_triplet(self(inputs), labels, margin=self.margin)

    def pruning_view(self) -> nn.Module:
        """The convolutions themselves with the part FC as one 1x1 convolution, which a dependency graph can follow."""
        return _PruningView(self)

    def absorb(self, view: nn.Module) -> None:
        """Cut the part FC to the channels that survived in the view's head."""
        head = view.get_submodule("head")
        weight = head.get_parameter("weight")[..., 0, 0]  # [parts * embedding, channels left]
        parts, _, embedding = self.part_fc.shape
        self.part_fc = nn.Parameter(weight.detach().reshape(parts, embedding, -1).transpose(1, 2).contiguous())


class _PruningView(nn.Module):
    """GaitSet's convolutions under a head of the part FC's own weights: same importance, same coupling of x and g."""

    def __init__(self, net: GaitSet) -> None:
        super().__init__()
        self.net = net
        parts, channels, embedding = net.part_fc.shape
        self.head = nn.Conv2d(channels, parts * embedding, 1, bias=False)
        weight = net.part_fc.detach().transpose(1, 2).reshape(parts * embedding, channels, 1, 1)
        self.head.weight = nn.Parameter(weight.contiguous())

    def forward(self, inputs: Tensor) -> Tensor:
        x, g = self.net.pooled(inputs)
        out: Tensor = self.head((x + g).amax((2, 3), keepdim=True))
        return out


def _conv(into: int, out: int, kernel: int = 3) -> nn.Conv2d:
    conv = nn.Conv2d(into, out, kernel, padding=kernel // 2, bias=False)
    nn.init.xavier_uniform_(conv.weight)
    return conv


def _over_frames(x: Tensor, frames: int) -> Tensor:
    """Set pooling: [n * frames, c, h, w] to [n, c, h, w]."""
    return x.reshape(-1, frames, *_static(x)).amax(1)


def _static(x: Tensor) -> tuple[int, ...]:
    """Every size but the batch's, as plain integers: an exporter that traces sizes then finds constants."""
    return tuple(int(size) for size in x.shape[1:])


def _strips(x: Tensor, count: int) -> Tensor:
    """Mean plus max of each of `count` horizontal strips: [n, c, h, w] to [n, c, count]."""
    channels, height, width = _static(x)
    strips = x.reshape(-1, channels, count, height // count * width)
    return strips.mean(3) + strips.amax(3)


def gaitset(
    *,
    channels: Sequence[int] = (32, 64, 128),
    embedding: int = 256,
    leaky_slope: float = 0.01,
    loss: str = "triplet",
    margin: float = 0.2,
) -> GaitSet:
    """GaitSet at CASIA-B's widths: 2,594,592 parameters."""
    return GaitSet(channels=channels, embedding=embedding, leaky_slope=leaky_slope, loss=loss, margin=margin)


def gaitset_tiny(
    *,
    channels: Sequence[int] = (8, 16, 32),
    embedding: int = 64,
    leaky_slope: float = 0.01,
    loss: str = "neighbours",
    margin: float = 0.2,
) -> GaitSet:
    """The same topology at a quarter of the widths."""
    return GaitSet(
        channels=channels,
        embedding=embedding,
        leaky_slope=leaky_slope,
        loss=loss,
        margin=margin,
        recipe=TINY_RECIPE,
    )
