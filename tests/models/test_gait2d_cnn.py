"""The 2D-CNN against the published table of layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from explorer.errors import BadInput
from explorer.models.gait2d_cnn import gait2d_cnn, gait2d_cnn_tiny
from explorer.passes.cost import cost

# layer → output (C, H, W) without the batch, before its 2 x 2 maximum, and parameters; TUM-GAID, embedding of 1024
TABLE = {
    "convs.0": ((96, 54, 54), 235_296),
    "convs.1": ((192, 23, 23), 460_992),
    "convs.2": ((512, 9, 9), 885_248),
    "convs.3": ((512, 3, 3), 1_049_088),
    "dense": ((2048,), 1_050_624),
    "embed": ((1024,), 2_098_176),
    "last": ((1024,), 1_049_600),
}
POOLED = {"convs.1": (96, 27, 27), "convs.2": (192, 11, 11), "convs.3": (512, 4, 4), "dense": (512,)}
CLASSIFIER = 153_750
MACS = 1015e6

Shape = tuple[int, ...]


@pytest.fixture(scope="module")
def shapes() -> dict[str, tuple[Shape, Shape]]:
    """What goes into each layer, and what comes out."""
    net, seen = gait2d_cnn().eval(), {}

    def keep(name: str) -> object:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name] = tuple(inputs[0].shape[1:]), tuple(output.shape[1:])

        return hook

    for name in TABLE:
        net.get_submodule(name).register_forward_hook(keep(name))  # type: ignore[arg-type]
    with torch.no_grad():
        net(torch.zeros(1, 50, 60, 60))
    return seen


@pytest.mark.parametrize("name", TABLE)
def test_layer_matches_the_table(name: str, shapes: dict[str, tuple[Shape, Shape]]) -> None:
    shape, parameters = TABLE[name]
    assert shapes[name][1] == shape
    assert shapes[name][0] == POOLED.get(name, shapes[name][0])
    assert sum(p.numel() for p in gait2d_cnn().get_submodule(name).parameters()) == parameters


def test_totals_match_the_table() -> None:
    net = gait2d_cnn(classes=150)
    assert sum(p.numel() for p in net.classifier.parameters()) == CLASSIFIER
    assert sum(p.numel() for p in net.parameters()) == 6_982_774
    assert cost(net, torch.zeros(1, 50, 60, 60)).macs == pytest.approx(MACS, rel=1e-3)


def test_casia_b_width_has_the_published_parameters() -> None:
    assert sum(p.numel() for p in gait2d_cnn(classes=74, embedding=2048).parameters()) == 17_470_506


def test_tiny_is_small_and_of_the_same_topology() -> None:
    tiny = gait2d_cnn_tiny()
    assert cost(tiny, torch.zeros(1, 50, 60, 60)).macs < 91e6
    assert [name for name, _ in tiny.named_parameters()] == [name for name, _ in gait2d_cnn().named_parameters()]


def test_dropout_and_classifier_serve_training_only() -> None:
    net, x = gait2d_cnn_tiny(classes=3, loss="classes"), torch.rand(2, 50, 60, 60)
    assert torch.equal(net.eval()(x), net(x))
    assert not torch.equal(net.train()(x), net(x))
    assert net(x).shape == (2, 128)
    net.training_loss(x, torch.tensor([0, 2])).backward()  # type: ignore[no-untyped-call]
    assert net.classifier.weight.grad is not None


def test_neighbour_loss_looks_at_directions_only() -> None:
    net, x, labels = gait2d_cnn_tiny().eval(), torch.rand(3, 50, 60, 60), torch.tensor([0, 0, 1])
    before = float(net.training_loss(x, labels).detach())
    with torch.no_grad():
        net.last.weight.mul_(7)
        net.last.bias.mul_(7)
    assert float(net.training_loss(x, labels).detach()) == pytest.approx(before, rel=1e-3)
    with pytest.raises(BadInput, match="unknown loss"):
        gait2d_cnn_tiny(loss="triplet")
