"""Losses of gait recognition."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from explorer.errors import BadInput, Problem


def check_loss(loss: str, allowed: Collection[str]) -> None:
    """Refuse a loss that a network does not know.

    Raises:
        BadInput: with those that it knows.
    """
    if loss not in allowed:
        allowed = ", ".join(allowed)
        raise BadInput(Problem("unknown loss", path="model.options.loss", seen=repr(loss), allowed=allowed))


def batch_all_triplet(embeddings: Tensor, labels: Tensor, *, margin: float = 0.2) -> Tensor:
    """Batch-all triplet loss of every part by itself (Hermans et al. 2017; GaitSet's per-part form).

    Args:
        embeddings: [n, parts, d], or [n, d] for a single part.
        labels: [n] identities.
        margin: by how much a stranger must be farther away than a namesake.

    Returns:
        Scalar: per part the mean over its triplets of non-zero loss, then the mean over parts; 0 when every triplet is
        satisfied.
    """
    if embeddings.dim() == 2:
        embeddings = embeddings[:, None]
    distances = pairwise_distances(embeddings.transpose(0, 1))
    same = labels[:, None] == labels[None, :]
    anchor, namesake = torch.nonzero(
        same & ~torch.eye(len(labels), dtype=torch.bool, device=same.device), as_tuple=True
    )
    stranger = ~same[anchor]  # [pairs, n]
    hinge = torch.relu(margin + distances[:, anchor, namesake, None] - distances[:, anchor]) * stranger
    active = (hinge > 0).sum((1, 2)).clamp_min(1)
    return (hinge.sum((1, 2)) / active).mean()


def neighbour_softmax(embeddings: Tensor, labels: Tensor, *, sharpness: float = 10.0) -> Tensor:
    """How surely a sample's neighbours are its namesakes: softmax over squared distances of the flattened embeddings.

    Neighbourhood components analysis (Goldberger et al. 2004) with all namesakes pulled alike, as in supervised
    contrastive learning (Khosla et al. 2020). Distances are taken in units of their mean over the batch, so the loss
    does not depend on the embedding's scale, and a cut network whose outputs have shrunk learns on at once, where
    a triplet loss with a fixed margin stays in its collapsed state.

    Args:
        embeddings: [n, …], flattened: the distance that rank-1 is judged by.
        labels: [n] identities.
        sharpness: by what factor, in the logarithm, a sample at the mean distance counts less than one at distance 0.

    Returns:
        Scalar: mean over all pairs of namesakes of minus the log of the pair's share; 0 when there is no such pair.
    """
    squared = pairwise_distances(embeddings.flatten(1)[None])[0].square()
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = (-sharpness * squared / squared[~itself].mean()).masked_fill(itself, float("-inf"))
    namesakes = (labels[:, None] == labels[None, :]) & ~itself
    if not bool(namesakes.any()):
        return embeddings.sum() * 0.0
    return -torch.log_softmax(logits, dim=1)[namesakes].mean()


def pairwise_distances(points: Tensor) -> Tensor:
    """Euclidean distances [parts, n, n] among [parts, n, d]; the gradient is finite where two points coincide."""
    squares = points.square().sum(2)
    squared = squares[:, :, None] + squares[:, None, :] - 2 * points @ points.transpose(1, 2)
    return squared.clamp_min(1e-12).sqrt()
