"""What the CNNs on optical flow of Embedded-Gait share: how they are trained, and begin."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from explorer.models.losses import check_loss, neighbour_softmax
from explorer.models.training import Recipe

# Published: SGD 0.01 with momentum 0.9, batches of 150, 150 epochs; the 2D-CNN's decay spared the dense layers there.
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


class FlowCNN(nn.Module):
    """A network from flow to one embedding, with a `classifier` for training only.

    Args:
        loss: ``classes``, as published, or ``neighbours``, which tells strangers apart after far fewer iterations.
        recipe: how the network is trained unless the user says otherwise.
    """

    input_name = "flow"
    output_name = "embedding"
    classifier: nn.Linear

    def __init__(self, *, loss: str, recipe: Recipe) -> None:
        super().__init__()
        check_loss(loss, LOSSES)
        self.recipe, self.loss = recipe, loss

    def training_loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the classifier on the embedding, or the neighbour softmax of the embeddings' directions."""
        if self.loss == "neighbours":
            return neighbour_softmax(normalize(self(inputs), dim=1), labels)
        return cross_entropy(self.classifier(self(inputs)), labels)


def he_uniform(module: nn.Module) -> None:
    """He's uniform distribution, as published of the classifier."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear)):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
