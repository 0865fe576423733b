"""Networks beside the shared ones: what a DLA takes whole or not at all, in half precision, or with a calibration."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from explorer_agent.runtimes.tensorrt import source

from ...networks import convolutional

HEADER = "TRT-8502-EntropyCalibration2"


def line(name: str, scale: float) -> str:
    return f"{name}: {struct.pack('>f', scale).hex()}"


def cache_for(model: onnx.ModelProto, scale: float = 0.5) -> str:
    """A cache with a scale for the inputs and for whatever a node gives."""
    names = [each.name for each in model.graph.input] + [name for node in model.graph.node for name in node.output]
    return "\n".join([HEADER, *(line(name, scale) for name in names)])


def _saved(path: Path, model: onnx.ModelProto, **notes: str) -> Path:
    helper.set_model_props(model, notes)
    onnx.save(model, path)
    return path


def _model(
    nodes: list[onnx.NodeProto], shape: list[int | str], weights: list[onnx.TensorProto], kind: int
) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(name, kind, ["batch", *shape]) for name in ("input", "output")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _weight(name: str, *shape: int, kind: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.full(shape, 0.1, kind), name)


def for_a_dla(path: Path) -> Path:
    """Two layers, both of which a DLA takes."""
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["a"], name="conv", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["output"], name="relu"),
    ]
    return _saved(path, _model(nodes, [1, 8, 8], [_weight("w", 1, 1, 3, 3)], TensorProto.FLOAT))


def with_an_output_left_out(path: Path) -> Path:
    """Of what its second layer could give, one is not wanted."""
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["a"], name="conv", pads=[1] * 4),
        helper.make_node("MaxPool", ["a"], ["output", ""], name="pool", kernel_shape=[1, 1]),
    ]
    return _saved(path, _model(nodes, [1, 8, 8], [_weight("w", 1, 1, 3, 3)], TensorProto.FLOAT))


def for_no_dla(path: Path) -> Path:
    """A convolution along three axes, as in a 3D-CNN."""
    nodes = [helper.make_node("Conv", ["input", "w"], ["output"], name="conv3d", pads=[1] * 6)]
    return _saved(path, _model(nodes, [1, 4, 8, 8], [_weight("w", 1, 1, 3, 3, 3)], TensorProto.FLOAT))


def half(path: Path, **notes: str) -> Path:
    """A network whose own types are float16."""
    nodes = [helper.make_node("MatMul", ["input", "w"], ["output"], name="matmul")]
    return _saved(path, _model(nodes, [4], [_weight("w", 4, 4, kind=np.float16)], TensorProto.FLOAT16), **notes)


def strongly_typed(path: Path) -> Path:
    return half(path, **{source.TYPING: "strong"})


def calibrated(path: Path, *, lacking: str = "") -> Path:
    """A float network with a calibration, which has no scale for the tensor `lacking`."""
    model = onnx.load(convolutional(path))
    lines = [line for line in cache_for(model).splitlines() if not line.startswith(f"{lacking}:")]
    return _saved(path, model, **{source.CALIBRATION: "\n".join(lines)})
