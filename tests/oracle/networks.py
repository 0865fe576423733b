"""Small networks with one thing in them that a rule looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from explorer.oracle import Graph

Shape = Sequence[int | str]


class Net:
    """A chain of nodes: each takes what the one before gave."""

    def __init__(self, shape: Shape = ("batch", 16, 16, 16), *, opset: int = 17) -> None:
        self.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))]
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.last, self.opset = "x", opset

    def weight(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def add(self, op: str, *more: str, **attributes: Any) -> Net:
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [self.last, *more], [f"{name}_out"], name=name, **attributes))
        self.last = f"{name}_out"
        return self

    def conv(self, out: int = 16, into: int = 16, kernel: Sequence[int] = (3, 3), **attributes: Any) -> Net:
        groups = attributes.get("group", 1)
        return self.add("Conv", self.weight(np.zeros((out, into // groups, *kernel))), **attributes)

    def model(self) -> onnx.ModelProto:
        out = helper.make_empty_tensor_value_info(self.last)
        graph = helper.make_graph(self.nodes, "net", self.inputs, [out], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def graph(self, folder: Path, *, final: bool = True) -> Graph:
        path = folder / "net.onnx"
        onnx.save(self.model(), path)
        return Graph.of(path, final=final)


def plain() -> Net:
    return Net().conv(pads=[1, 1, 1, 1]).add("Relu").conv()


def half() -> Net:
    net = Net()
    net.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["batch", 16, 16, 16])]
    return net.add("Conv", net.weight(np.zeros((16, 16, 3, 3)), np.float16))


def quantised(*, zero: int = 0, dtype: Any = np.int8, bias: bool = False, element: int | None = None) -> Net:
    """A convolution between QuantizeLinear and DequantizeLinear."""
    net = Net(opset=19 if element else 17)
    scale = net.weight(0.1)
    if element:
        net.weights.append(helper.make_tensor("zero", element, [], [0.0]))
        point = "zero"
    else:
        point = net.weight(zero, dtype)
    net.add("QuantizeLinear", scale, point).add("DequantizeLinear", scale, point)
    activations = net.last
    more = []
    if bias:
        net.last = net.weight(np.zeros(16), np.int32)
        more = [net.add("DequantizeLinear", scale).last]
    net.last = activations
    return net.add("Conv", net.weight(np.zeros((16, 16, 3, 3))), *more)


def conv_and(op: str, *, opset: int = 17, inputs: Callable[[Net], Sequence[str]] = lambda _: (), **given: Any) -> Net:
    """Two convolutions with one node between that does not change the shape."""
    net = Net(opset=opset).conv(pads=[1, 1, 1, 1])
    return net.add(op, *inputs(net), **given)


def attention() -> Net:
    """A product of two matrices that both depend on the input."""
    net = plain()
    left = net.last
    net.add("Transpose", perm=[0, 1, 3, 2])
    right, net.last = net.last, left
    return net.add("MatMul", right).add("Softmax", axis=-1)


def layer_norm() -> Net:
    net = plain()
    return net.add("LayerNormalization", net.weight(np.ones(14)), net.weight(np.zeros(14)))


def flat(features: int = 256) -> Net:
    """A classifier on flattened maps."""
    net = Net().conv(pads=[1, 1, 1, 1]).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).add("Flatten")
    return net.add("Gemm", net.weight(np.zeros((1024, features))))


def volume() -> Net:
    """Nothing but a 3-D convolution."""
    return Net(("batch", 2, 8, 16, 16)).conv(8, 2, (3, 3, 3)).add("Relu")


def fragments(pieces: int) -> Net:
    """As many convolutions, kept apart by what no DLA does."""
    net = Net().conv(pads=[1, 1, 1, 1])
    for _ in range(pieces - 1):
        net.add("Erf").conv(pads=[1, 1, 1, 1])
    return net


def frames(count: int) -> Net:
    """A convolution over `count` frames of every sample, as in GaitSet."""
    net = Net(("batch", count, 16, 16))
    net.add("Reshape", net.weight([-1, 1, 16, 16], np.int64))
    return net.conv(16, 1, pads=[1, 1, 1, 1])


def batches(pieces: int) -> Net:
    """A network that a DLA takes whole, though in as many loadables: its branches share nothing but the input."""
    net = Net()
    ends = []
    for _ in range(pieces):
        net.last = "x"
        ends.append(net.conv(pads=[1, 1, 1, 1]).last)
    return net
