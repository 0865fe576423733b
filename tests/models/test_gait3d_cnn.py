"""The 3D-CNN against the published table of layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from explorer.errors import BadInput
from explorer.models.gait3d_cnn import gait3d_cnn, gait3d_cnn_tiny
from explorer.passes.cost import cost

# layer → output (C, T, H, W) without the batch, parameters; TUM-GAID, embedding of 1024, 150 classes
TABLE = {
    "convs.0": ((64, 23, 28, 28), 9_664),
    "convs.1": ((128, 21, 13, 13), 221_312),
    "convs.2": ((256, 10, 6, 6), 884_992),
    "convs.3": ((512, 4, 2, 2), 3_539_456),
    "convs.4": ((512, 2, 1, 1), 3_146_240),
    "convs.5": ((512, 1, 1, 1), 524_800),
    "gray_code": ((1024, 1, 1, 1), 525_312),
    "last": ((1024,), 1_049_600),
}
CLASSIFIER = 153_750
MACS = 1342e6


@pytest.fixture(scope="module")
def shapes() -> dict[str, tuple[int, ...]]:
    net, seen = gait3d_cnn().eval(), {}

    def keep(name: str) -> object:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name] = tuple(output.shape[1:])

        return hook

    for name in TABLE:
        net.get_submodule(name).register_forward_hook(keep(name))  # type: ignore[arg-type]
    with torch.no_grad():
        net(torch.zeros(1, 2, 25, 60, 60))
    return seen


@pytest.mark.parametrize("name", TABLE)
def test_layer_matches_the_table(name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    shape, parameters = TABLE[name]
    assert shapes[name] == shape
    assert sum(p.numel() for p in gait3d_cnn().get_submodule(name).parameters()) == parameters


def test_totals_match_the_table() -> None:
    net = gait3d_cnn(classes=150)
    assert sum(p.numel() for p in net.classifier.parameters()) == CLASSIFIER
    assert sum(p.numel() for p in net.parameters()) == 10_055_126
    assert cost(net, torch.zeros(1, 2, 25, 60, 60)).macs == pytest.approx(MACS, rel=1e-3)


def test_casia_b_width_has_the_published_parameters() -> None:
    assert sum(p.numel() for p in gait3d_cnn(classes=74, embedding=2048).parameters()) == 13_725_066


def test_tiny_is_small_and_of_the_same_topology() -> None:
    tiny = gait3d_cnn_tiny()
    assert cost(tiny, torch.zeros(1, 2, 25, 60, 60)).macs < 40.5e6
    assert [name for name, _ in tiny.named_parameters()] == [name for name, _ in gait3d_cnn().named_parameters()]


def test_classifier_serves_training_only() -> None:
    net, x = gait3d_cnn_tiny(classes=3, loss="classes"), torch.rand(2, 2, 25, 60, 60)
    assert net(x).shape == (2, 128)
    net.training_loss(x, torch.tensor([0, 2])).backward()  # type: ignore[no-untyped-call]
    assert net.classifier.weight.grad is not None


def test_neighbour_loss_looks_at_directions_only() -> None:
    net, x, labels = gait3d_cnn_tiny(), torch.rand(3, 2, 25, 60, 60), torch.tensor([0, 0, 1])
    before = float(net.training_loss(x, labels).detach())
    with torch.no_grad():
        net.last.weight.mul_(7)
        net.last.bias.mul_(7)
    assert float(net.training_loss(x, labels).detach()) == pytest.approx(before, rel=1e-3)
    with pytest.raises(BadInput, match="unknown loss"):
        gait3d_cnn_tiny(loss="triplet")
