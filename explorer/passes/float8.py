"""Pairs of int8 turned into pairs of fp8 (E4M3), as TensorRT takes them from opset 19 on.

Both number formats are symmetric and both scales follow from the same range: range / 127 becomes range / 448, which is
the largest number of E4M3. Weights keep a scale for each output channel, activations have one, zero points are 0. The
scales that onnxruntime.quantization itself makes for fp8 follow the spread of a tensor, not its range.

Sources: TensorRT's documentation, "Quantization schemes"; its release notes (10.x, known limitations of fp8
convolutions); NVIDIA/TensorRT-Model-Optimizer, modelopt/onnx/quantization/fp8.py (what is left in float, and that the
way leads over int8).
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import numpy_helper

from explorer.passes.pairs import FP8

OLDEST_OPSET = 19
_LARGEST = 448.0
_STEPS = 127
_FEWEST_CHANNELS, _LARGEST_KERNEL = 16, 32


def why_not(op: str, shape: tuple[int, ...], groups: int) -> str:
    """Why TensorRT has no fp8 for a layer; empty where it has.

    Args:
        op: the operator.
        shape: of its weights.
        groups: of a convolution.
    """
    if op == "ConvTranspose":
        return "no fp8 transposed convolutions"
    if op != "Conv":
        return ""
    outputs, inputs = shape[:2]
    if groups > 1:
        return "no fp8 convolutions in groups"
    if min(outputs, inputs) < _FEWEST_CHANNELS:
        return f"fp8 convolutions need {_FEWEST_CHANNELS} channels on both sides: {inputs} to {outputs}"
    if outputs % _FEWEST_CHANNELS != inputs % _FEWEST_CHANNELS:
        return f"fp8 convolutions need channels alike modulo {_FEWEST_CHANNELS}: {inputs} to {outputs}"
    if prod(shape[2:]) > _LARGEST_KERNEL:
        return f"fp8 convolutions have kernels of at most {_LARGEST_KERNEL} weights: {prod(shape[2:])}"
    return ""


def from_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, its symmetric int8 pairs now fp8; changed in place.

    Weights are float in the file and stay so.
    """
    nodes = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    scales, points = ({node.input[index] for node in nodes} for index in (1, 2))
    for tensor in model.graph.initializer:
        if tensor.name in scales:
            finer = numpy_helper.to_array(tensor).astype(np.float64) * _STEPS / _LARGEST
            tensor.CopyFrom(numpy_helper.from_array(finer.astype(np.float32), tensor.name))
        elif tensor.name in points:
            zeros = bytes(prod(tensor.dims))
            tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, FP8, list(tensor.dims), zeros, raw=True))
    del model.graph.value_info[:]
    return model
