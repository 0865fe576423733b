"""The batch-all triplet loss against its definition, spelt out in loops."""

from __future__ import annotations

import itertools

import pytest
import torch

from explorer.models.losses import batch_all_triplet, neighbour_softmax, pairwise_distances


def by_definition(embeddings: torch.Tensor, labels: torch.Tensor, margin: float) -> float:
    per_part = []
    for part in embeddings.transpose(0, 1):
        losses = [
            float(margin + (part[a] - part[p]).norm() - (part[a] - part[n]).norm())
            for a, p, n in itertools.product(range(len(labels)), repeat=3)
            if a != p and labels[a] == labels[p] and labels[a] != labels[n]
        ]
        active = [loss for loss in losses if loss > 0]
        per_part.append(sum(active) / len(active) if active else 0.0)
    return sum(per_part) / len(per_part)


def test_equals_its_definition() -> None:
    torch.manual_seed(0)
    embeddings, labels = torch.randn(7, 3, 4) * 0.3, torch.tensor([0, 0, 1, 1, 1, 2, 3])
    expected = by_definition(embeddings, labels, 0.2)
    assert float(batch_all_triplet(embeddings, labels, margin=0.2)) == pytest.approx(expected, rel=1e-5)


def test_is_zero_once_every_stranger_is_far() -> None:
    embeddings = torch.tensor([[0.0], [0.01], [9.0], [9.01]])
    assert float(batch_all_triplet(embeddings, torch.tensor([0, 0, 1, 1]))) == 0


def test_gradient_is_finite_where_points_coincide() -> None:
    embeddings = torch.zeros(4, 2, 3, requires_grad=True)
    batch_all_triplet(embeddings, torch.tensor([0, 0, 1, 1])).backward()  # type: ignore[no-untyped-call]
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


def test_distances_are_euclidean() -> None:
    points = torch.randn(2, 5, 3)
    assert torch.allclose(pairwise_distances(points), torch.cdist(points, points), atol=1e-3)


def test_neighbour_softmax_equals_its_definition() -> None:
    torch.manual_seed(1)
    points, labels = torch.randn(6, 2, 3), torch.tensor([0, 0, 1, 1, 1, 2])
    squared = torch.cdist(points.flatten(1), points.flatten(1)).square()
    scale = squared.sum() / 30
    shares = torch.exp(-4 * squared / scale) * (1 - torch.eye(6))
    shares = shares / shares.sum(1, keepdim=True)
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b and labels[a] == labels[b]]
    expected = -sum(float(shares[a, b].log()) for a, b in pairs) / len(pairs)
    assert float(neighbour_softmax(points, labels, sharpness=4)) == pytest.approx(expected, rel=1e-4)


def test_neighbour_softmax_is_blind_to_scale_and_ignores_a_batch_without_namesakes() -> None:
    points, labels = torch.rand(4, 5), torch.tensor([0, 0, 1, 1])
    small, large = (float(neighbour_softmax(points * scale, labels)) for scale in (0.1, 100.0))
    assert small == pytest.approx(large, rel=1e-3)
    lonely = neighbour_softmax(points.requires_grad_(), torch.arange(4))
    lonely.backward()  # type: ignore[no-untyped-call]
    assert float(lonely.detach()) == 0
