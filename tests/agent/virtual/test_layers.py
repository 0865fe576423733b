"""What each layer has to compute and to move, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer_agent.messages import AgentError
from explorer_agent.virtual.layers import of_onnx, why_not_on_dla

from ..networks import convolutional, quantised
from . import nets


def test_a_convolution_with_what_is_fused_to_it(tmp_path: Path) -> None:
    one, two, pool = of_onnx(nets.dense(tmp_path / "n", channels=64, size=64), 2)
    pixels = 2 * 64 * 64
    assert (one.op, two.op, pool.op) == ("Conv", "Conv", "MaxPool")
    assert one.macs == two.macs == pixels * 64 * 64 * 9
    assert (one.reads, one.writes, one.weights) == (pixels * 64, pixels * 64, 64 * 64 * 9)
    assert two.reads == 2 * pixels * 64, "what is added is read too"
    assert (one.channels_in, one.channels_out, one.rows, one.dimensions) == (64, 64, pixels, 2)
    assert pool.writes == pixels * 64 // 4


def test_quantisation_is_no_layer_and_is_seen_in_those_that_read_it(tmp_path: Path) -> None:
    plain = of_onnx(convolutional(tmp_path / "float", channels=64), 2)
    found = of_onnx(quantised(tmp_path / "float", tmp_path / "int8"), 2)
    assert [layer.op for layer in found if layer.is_arithmetic] == [layer.op for layer in plain if layer.is_arithmetic]
    assert all(layer.quantised for layer in found if layer.is_arithmetic)
    assert not any(layer.quantised for layer in plain)
    assert sum(layer.macs for layer in found) == sum(layer.macs for layer in plain)


def test_a_calibration_is_one_of_every_layer(tmp_path: Path) -> None:
    assert all(layer.quantised for layer in of_onnx(nets.dense(tmp_path / "n"), 1, calibrated=True))


def test_three_dimensions_are_counted_and_told(tmp_path: Path) -> None:
    (layer,) = of_onnx(nets.volume(tmp_path / "n"), 1)
    assert (layer.dimensions, layer.macs) == (3, 8 * 8 * 16 * 16 * 4 * 27)
    assert layer.not_on_dla == "Conv in 3 dimensions: the DLA knows two"


@pytest.mark.parametrize(
    ("op", "out", "attributes", "kernel", "reason"),
    [
        ("Conv", (1, 64, 8, 8), {}, (3, 3), ""),
        ("Conv", (1, 64, 8, 8), {}, (33, 33), "over 33: the DLA's most is 32"),
        ("Conv", (1, 64, 8, 8), {"strides": [9, 9]}, (3, 3), "stride 9"),
        ("Conv", (1, 64, 8, 8), {"pads": [32] * 4}, (3, 3), "padded by 32"),
        ("Conv", (1, 8193, 8, 8), {}, (3, 3), "8193 channels"),
        ("ConvTranspose", (1, 64, 8, 8), {"group": 2}, (2, 2), "groups or padding"),
        ("MaxPool", (1, 64, 8, 8), {"kernel_shape": [8, 8]}, (), ""),
        ("MaxPool", (1, 64, 8, 8), {"kernel_shape": [9, 9]}, (), "over 9"),
        ("LayerNormalization", (1, 64), {}, (), "none of the DLA's layers"),
        ("Gather", (1, 64), {}, (), "none of the DLA's layers"),
    ],
)
def test_the_limits_of_a_dla(
    op: str, out: tuple[int, ...], attributes: dict[str, object], kernel: tuple[int, ...], reason: str
) -> None:
    found = why_not_on_dla(op, out, attributes, fixed=[True], kernel=kernel)
    assert (found == "") == (reason == "")
    assert reason in found


def test_two_tensors_that_are_computed_are_not_multiplied_on_a_dla() -> None:
    assert "both computed" in why_not_on_dla("MatMul", (1, 8, 8), {}, fixed=[False, False])
    assert not why_not_on_dla("MatMul", (1, 8, 8), {}, fixed=[False, True])


def test_what_is_no_network_is_infeasible(tmp_path: Path) -> None:
    (tmp_path / "n").write_bytes(b"no network at all")
    with pytest.raises(AgentError, match="no ONNX model"):
        of_onnx(tmp_path / "n", 1)
