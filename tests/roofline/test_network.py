"""Layers and their widths, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from explorer.roofline.network import kept, layers, totals
from tests.oracle.networks import Net
from tests.roofline.sample import complete, gaitset


def two(*, into: int = 16, middle: int = 32) -> Net:
    """16 × 16 pixels: a 3 × 3 convolution that keeps their number, a relu, and one of 1 × 1 to 8 channels."""
    net = Net(("batch", into, 16, 16)).conv(middle, into, pads=[1, 1, 1, 1])
    return net.add("Relu").conv(8, middle, (1, 1))


def test_a_network_of_two_layers_is_counted(tmp_path: Path) -> None:
    first, second = layers(two().graph(tmp_path), 0.0, 1)
    assert first.plain_macs == 16 * 16 * 9 * 16 * 32
    assert second.plain_macs == 16 * 16 * 32 * 8
    assert (first.weights, second.weights) == (9 * 16 * 32, 32 * 8)
    assert (first.moved, second.moved) == (256 * (16 + 32), 256 * (32 + 8))


def test_a_cut_takes_outputs_and_what_reads_them_and_leaves_the_answer(tmp_path: Path) -> None:
    first, second = layers(two().graph(tmp_path), 0.5, 1)
    assert (first.channels_in, first.channels_out) == (16, 16)
    assert (second.channels_in, second.channels_out) == (16, 8)
    assert totals((first, second)) == {"macs": 256 * (9 * 16 * 16 + 16 * 8), "params": 9 * 16 * 16 + 16 * 8}


@pytest.mark.parametrize(
    ("ratio", "round_to", "left"),
    [(0.0, 8, 30), (0.3, 1, 21), (0.3, 8, 24), (0.6, 8, 16), (0.99, 8, 8), (0.99, 1, 1), (0.5, 32, 30)],
)
def test_widths_are_rounded_as_the_pass_rounds_them(ratio: float, round_to: int, left: int) -> None:
    assert kept(30, ratio, round_to) == left


def test_groups_of_channels_are_filled_up_but_for_an_image(tmp_path: Path) -> None:
    first, second = layers(two(into=3, middle=20).graph(tmp_path), 0.0, 1)
    assert first.padded_macs(16) == 256 * 9 * 4 * 32
    assert second.padded_macs(16) == 256 * 32 * 16
    assert second.padded_macs(4) == second.plain_macs
    narrow = layers(two(middle=4).graph(tmp_path), 0.0, 1)[1]
    assert narrow.padded_macs(16) == 256 * 16 * 16


def test_padding_makes_stairs_of_the_ratio(tmp_path: Path) -> None:
    graph = two().graph(tmp_path)
    steps = [sum(one.padded_macs(16) for one in layers(graph, ratio / 32, 1)) for ratio in range(32)]
    assert steps == sorted(steps, reverse=True)
    assert len(set(steps)) == 2  # 32 channels, or 16
    assert len({sum(one.plain_macs for one in layers(graph, ratio / 32, 1)) for ratio in range(32)}) == 32


def test_a_depthwise_layer_follows_the_one_before(tmp_path: Path) -> None:
    net = Net().conv(32, 16, (1, 1)).conv(32, 32, group=32).add("Relu").conv(8, 32, (1, 1))
    one, deep, last = layers(net.graph(tmp_path), 0.5, 1)
    assert [layer.channels_out for layer in (one, deep, last)] == [16, 16, 8]
    assert deep.plain_macs == 14 * 14 * 9 * 16


def test_layers_without_weights_move_and_merged_ones_cost_nothing(tmp_path: Path) -> None:
    net = Net().conv(16, 16, (1, 1)).add("Relu").add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    conv, pool = layers(net.graph(tmp_path), 0.0, 1)
    assert conv.plain_macs == 256 * 16 * 16
    assert pool.plain_macs == pool.weights == 0
    assert pool.moved == 16 * (256 + 64)


def test_a_matrix_and_a_product_of_two_activations(tmp_path: Path) -> None:
    net = Net(("batch", 4, 32))
    net.add("MatMul", net.weight(np.zeros((32, 64)))).add("Relu").add("MatMul", net.weight(np.zeros((64, 10))))
    first, second = layers(net.graph(tmp_path), 0.5, 1)
    assert (first.plain_macs, second.plain_macs) == (4 * 32 * 32, 4 * 32 * 10)


def test_both_ends_of_a_join_are_cut_alike(tmp_path: Path) -> None:
    net = Net().conv(32, 16, (1, 1))
    left = net.last
    graph = net.conv(32, 32, (1, 1)).add("Add", left).conv(8, 32, (1, 1)).graph(tmp_path)
    assert [one.channels_out for one in layers(graph, 0.5, 1)] == [16, 16, 8]


def test_what_is_cut_is_close_to_what_a_cut_really_leaves(root: Path, tmp_path: Path) -> None:
    """Of the shipped network, as the pass reported it: it takes more where more is to be had, over all layers."""
    graph = gaitset(tmp_path)
    left = {float(record.params["prune_ratio"]): record.metrics["macs"].value for record in complete(root)}
    assert set(left) == {0.0, 0.15, 0.3, 0.45, 0.6}
    for ratio, macs in left.items():
        assert totals(layers(graph, ratio, 1))["macs"] == pytest.approx(macs, rel=0.5 if ratio else 0)
