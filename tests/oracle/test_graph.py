"""What is read of an ONNX file, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from explorer.errors import BadInput
from explorer.oracle import Graph
from tests.oracle import networks
from tests.oracle.networks import Net


def test_shapes_follow_the_batch(tmp_path: Path) -> None:
    reshape, conv = networks.frames(6).graph(tmp_path).nodes
    assert reshape.outputs[0].at(1) == (6, 1, 16, 16)
    assert reshape.outputs[0].at(7) == (42, 1, 16, 16)
    assert conv.outputs[0].at(7) == (42, 16, 16, 16)
    assert conv.attributes["pads"] == [1, 1, 1, 1]
    assert conv.macs == 6 * 16 * 16 * 16 * 9


def test_a_batch_that_is_fixed_stays(tmp_path: Path) -> None:
    graph = Net((4, 16, 16, 16)).conv().graph(tmp_path)
    assert graph.batch == 4
    assert graph.nodes[0].outputs[0].at(1) == graph.nodes[0].outputs[0].at(9) == (4, 16, 14, 14)


def test_open_sizes_are_named_and_unknown_further_on(tmp_path: Path) -> None:
    graph = Net(("batch", 16, "rows", 16)).conv().graph(tmp_path)
    assert (graph.batch, graph.dynamic) == (None, ("x[2]",))
    assert graph.nodes[0].outputs[0].at(2) == (2, 16, None, 14)
    assert graph.nodes[0].macs == 0


def test_an_input_without_a_shape_is_open(tmp_path: Path) -> None:
    net = plain = Net().add("Relu")
    model = plain.model()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model, tmp_path / "net.onnx")
    graph = Graph.of(tmp_path / "net.onnx")
    assert graph.dynamic == ("x",)
    assert graph.nodes[0].outputs[0].at(1) is None
    assert net.last == graph.nodes[0].outputs[0].name


def test_what_is_constant_is_no_node(tmp_path: Path) -> None:
    net = Net()
    net.nodes.append(helper.make_node("Constant", [], ["c"], value=helper.make_tensor("t", 1, [16, 1, 1], [1.0] * 16)))
    net.nodes.append(helper.make_node("Identity", ["c"], ["same"]))
    net.nodes.append(helper.make_node("Shape", ["x"], ["sizes"]))
    graph = net.add("Add", "same").conv().graph(tmp_path)
    assert [node.op for node in graph.nodes] == ["Add", "Conv"]
    assert graph.nodes[0].inputs[1].values == (1.0,) * 16


def test_the_quantisation_of_weights_is_kept_as_a_node(tmp_path: Path) -> None:
    net = Net()
    weights = net.weight(np.ones((16, 16, 3, 3)), np.int8)
    net.nodes.append(helper.make_node("DequantizeLinear", [weights, net.weight(0.1)], ["w"]))
    graph = net.add("Conv", "w").graph(tmp_path)
    assert graph.quantised
    conv = graph.nodes[-1]
    assert conv.inputs[1].constant
    assert conv.macs == 14 * 14 * 16 * 16 * 9


@pytest.mark.parametrize(
    ("net", "macs"),
    [
        (lambda: Net().conv(32, 16, (3, 3), group=16), 14 * 14 * 32 * 9),
        (lambda: Net(("batch", 8)).add("Gemm", "w0", transB=1), 8 * 4),
        (lambda: Net(("batch", 5, 8)).add("MatMul", "w0"), 5 * 4 * 8),
    ],
)
def test_macs(net: object, macs: int, tmp_path: Path) -> None:
    made: Net = net()  # type: ignore[operator]
    if made.nodes[0].op_type != "Conv":
        made.weight(np.zeros((4, 8) if made.nodes[0].op_type == "Gemm" else (8, 4)))
    assert made.graph(tmp_path).macs == macs


def test_macs_of_a_transposed_convolution(tmp_path: Path) -> None:
    net = Net()
    graph = net.add("ConvTranspose", net.weight(np.zeros((16, 4, 2, 2))), strides=[2, 2]).graph(tmp_path)
    assert graph.macs == 16 * 16 * 16 * 4 * 4


def test_old_files_list_their_weights_among_the_inputs(tmp_path: Path) -> None:
    net = Net().conv()
    net.inputs.append(helper.make_tensor_value_info("w0", TensorProto.FLOAT, [16, 16, 3, 3]))
    graph = net.graph(tmp_path)
    assert graph.batch is None
    assert graph.macs > 0


def test_nodes_without_a_name_get_one(tmp_path: Path) -> None:
    model = Net().add("Relu").add("Relu").model()
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, tmp_path / "net.onnx")
    first, second = Graph.of(tmp_path / "net.onnx").nodes
    assert first.name != second.name


def test_weights_outside_the_file_are_not_looked_for(tmp_path: Path) -> None:
    net = Net().conv(64, 16)
    path = tmp_path / "net.onnx"
    onnx.save(net.model(), path, save_as_external_data=True, location="net.data", size_threshold=0)
    (tmp_path / "net.data").unlink()
    assert Graph.of(path).macs == 14 * 14 * 64 * 16 * 9


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x07" * 40])
def test_a_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="no usable ONNX file"):
        Graph.of(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read the network"):
        Graph.of(tmp_path / "absent.onnx")


def test_of_shapes_that_contradict_each_other_nothing_follows(tmp_path: Path) -> None:
    graph = Net().conv(16, 16, (3, 3, 3)).graph(tmp_path)  # a kernel of three dimensions on maps of two
    assert graph.nodes[0].outputs[0].at(1) is None
    assert graph.macs == 0
