"""GaitSet against its published figures, and the properties its construction promises."""

from __future__ import annotations

import pytest
import torch

from explorer.models.gaitset import GaitSet, gaitset, gaitset_tiny
from explorer.passes.cost import cost

PARAMETERS = 2_594_592
CONV_PARAMETERS = 562_976
MACS_AT_30_FRAMES = 3.26e9


def test_full_has_the_published_parameters() -> None:
    net = gaitset()
    assert sum(p.numel() for p in net.parameters()) == PARAMETERS
    assert sum(p.numel() for name, p in net.named_parameters() if name != "part_fc") == CONV_PARAMETERS
    assert net.part_fc.shape == (62, 128, 256)


def test_full_has_the_published_macs() -> None:
    assert cost(gaitset(), torch.zeros(1, 30, 64, 44)).macs == pytest.approx(MACS_AT_30_FRAMES, rel=2e-3)


def test_convolutions_have_no_bias() -> None:
    assert not [name for name, _ in gaitset_tiny().named_parameters() if name.endswith("bias")]


@pytest.mark.parametrize("frames", [1, 5, 12])
def test_takes_any_number_of_frames(frames: int) -> None:
    assert gaitset_tiny().eval()(torch.rand(2, frames, 64, 44)).shape == (2, 62, 64)


def test_order_of_frames_does_not_matter() -> None:
    net, x = gaitset_tiny().eval(), torch.rand(2, 6, 64, 44)
    with torch.no_grad():
        assert torch.allclose(net(x), net(x[:, torch.randperm(6)]), atol=1e-7)


def test_parts_interleave_frames_and_sets_per_level() -> None:
    """Part 0 is the whole height of x, part 1 of g, parts 2 and 3 the halves of x, …"""
    net = gaitset_tiny().eval()
    with torch.no_grad():
        x, g = net.pooled(torch.rand(1, 3, 64, 44))
        parts = net(torch.rand(1, 3, 64, 44))
        net.part_fc[1:].zero_()
        only_first = net(torch.rand(1, 3, 64, 44))
    assert parts.shape == (1, 62, 64)
    assert x.shape == g.shape == (1, 32, 16, 11)
    assert torch.count_nonzero(only_first[:, 1:]) == 0
    assert torch.count_nonzero(only_first[:, 0]) > 0


def test_slope_of_leaky_relu_is_an_option() -> None:
    torch.manual_seed(0)
    net, x = GaitSet(channels=(2, 4, 4), embedding=8), torch.rand(1, 2, 64, 44)
    with torch.no_grad():
        ours, net.leaky_slope = net(x), 0.3
        keras = net(x)
    assert gaitset().leaky_slope == 0.01
    assert not torch.allclose(ours, keras)


def test_weights_are_xavier_uniform() -> None:
    weight = gaitset().s6.weight.detach()
    bound = (6 / (128 * 9 + 128 * 9)) ** 0.5
    assert weight.abs().max() <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.02)


def test_pruning_view_weighs_channels_as_the_part_fc_does() -> None:
    net = gaitset_tiny()
    head = net.pruning_view().get_submodule("head").get_parameter("weight")
    assert torch.allclose(head.abs().sum((0, 2, 3)), net.part_fc.abs().sum((0, 2)), rtol=1e-4)
