"""Losses of gait recognition."""

from __future__ import annotations

import torch
from torch import Tensor


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


def pairwise_distances(points: Tensor) -> Tensor:
    """Euclidean distances [parts, n, n] among [parts, n, d]; the gradient is finite where two points coincide."""
    squares = points.square().sum(2)
    squared = squares[:, :, None] + squares[:, None, :] - 2 * points @ points.transpose(1, 2)
    return squared.clamp_min(1e-12).sqrt()
