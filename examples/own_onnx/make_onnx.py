"""Writes small.onnx, a small convolutional network with random weights: a network that is only a file.

python examples/own_onnx/make_onnx.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTHS = (3, 16, 32, 32)
CLASSES = 10


def network() -> onnx.ModelProto:
    """Images [batch, 3, 32, 32] to scores [batch, 10]; the same weights each time."""
    rng = np.random.default_rng(0)
    nodes, weights, tensor = [], [], "input"
    for layer, (narrow, wide) in enumerate(zip(WIDTHS, WIDTHS[1:], strict=False)):
        kernel = rng.normal(0, (2 / (9 * narrow)) ** 0.5, (wide, narrow, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"kernel{layer}"))
        nodes += [
            helper.make_node("Conv", [tensor, f"kernel{layer}"], [f"conv{layer}"], pads=[1] * 4, strides=[2, 2]),
            helper.make_node("Relu", [f"conv{layer}"], [f"relu{layer}"]),
        ]
        tensor = f"relu{layer}"
    weights.append(numpy_helper.from_array(rng.normal(0, 0.2, (WIDTHS[-1], CLASSES)).astype(np.float32), "head"))
    nodes += [
        helper.make_node("GlobalAveragePool", [tensor], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["output"]),
    ]
    images = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 32, 32])
    scores = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", CLASSES])
    graph = helper.make_graph(nodes, "small", [images], [scores], initializer=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    onnx.save(network(), Path(__file__).with_name("small.onnx"))
