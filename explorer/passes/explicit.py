"""What TensorRT asks of a file with Q/DQ pairs, and what of it a file does not keep.

It parses a file that breaks these rules, too, and then quantises other layers than were meant, or fuses nothing and
runs slower than in float; that is why they are checked where the file is made.

Sources: TensorRT's documentation, "Working with quantized types" and "Quantization schemes"; the settings of NVIDIA's
own quantiser (NVIDIA/TensorRT-Model-Optimizer, modelopt/onnx/quantization).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx

from explorer.passes import graphs
from explorer.passes.pairs import FP8, INT8, Pair, pairs_of

_OLDEST_OPSET = {INT8: 13, FP8: 19}
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_Makers = Mapping[str, onnx.NodeProto]


def broken(model: onnx.ModelProto, *, newest_opset: int | None = None) -> tuple[str, ...]:
    """A sentence for every rule that is broken, with where; none for a file that TensorRT takes as it is meant.

    Args:
        model: with Q/DQ pairs, its nodes named.
        newest_opset: the newest one that the target's parser reads; 17 for TensorRT 8.5.

    Raises:
        BadInput: its pairs cannot be read at all.
    """
    pairs = pairs_of(model)
    return tuple(dict.fromkeys([*_opset(model, pairs, newest_opset), *_numbers(pairs), *_places(model, pairs)]))


def channel_axis(node: onnx.NodeProto) -> int:
    """The axis of a layer's stored weights that counts its output channels; from behind for MatMul."""
    if node.op_type == "Gemm":
        return 0 if graphs.attribute(node, "transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1, "MatMul": -1}[node.op_type]


def _opset(model: onnx.ModelProto, pairs: tuple[Pair, ...], newest: int | None) -> Iterator[str]:
    opset = graphs.opset(model)
    oldest = max((_OLDEST_OPSET.get(pair.type, 0) for pair in pairs), default=0)
    if opset < oldest:
        yield f"opset {opset} has no such pairs: {oldest} is the first"
    if newest is not None and opset > newest:
        yield f"opset {opset} is newer than the parser reads: {newest}"


def _numbers(pairs: tuple[Pair, ...]) -> Iterator[str]:
    for pair in pairs:
        if pair.type not in _OLDEST_OPSET:
            yield f"{pair.tensor}: {onnx.TensorProto.DataType.Name(pair.type)}, where int8 or fp8 is asked for"
        if not pair.centred:
            yield f"{pair.tensor}: a zero point that is not 0"
        if not (np.isfinite(pair.scale).all() and (pair.scale > 0).all()):
            yield f"{pair.tensor}: a scale that is no number above 0"
        if pair.scale.size != 1 and not pair.weight:
            yield f"{pair.tensor}: an activation with {pair.scale.size} scales, where one is asked for"


def _places(model: onnx.ModelProto, pairs: tuple[Pair, ...]) -> Iterator[str]:
    behind = {pair.output: pair for pair in pairs}
    made_by = {name: node for node in model.graph.node for name in node.output}
    dims = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for value in model.graph.output:
        if value.name in behind:
            yield f"{value.name}: an output of the network that is quantised"
    for node in model.graph.node:
        if node.op_type in _LAYERS:
            yield from _layer(node, behind, dims)
        elif node.op_type == "Add":
            yield from _sum(node, behind, made_by, dims)


def _layer(node: onnx.NodeProto, behind: Mapping[str, Pair], dims: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    activation, weight = (behind.get(name) for name in node.input[:2])
    if (activation is None) != (weight is None):
        yield f"{node.name}: only its {'weights are' if activation is None else 'input is'} quantised"
    if len(node.input) > 2 and node.input[2] in behind:
        yield f"{node.name}: a bias that is quantised"
    if weight is not None and weight.weight and weight.scale.size > 1:
        rank = len(dims[weight.tensor])
        axis = channel_axis(node) % rank
        if weight.axis % rank != axis or weight.scale.size != dims[weight.tensor][axis]:
            yield f"{node.name}: scales along axis {weight.axis} of its weights, where its channels are axis {axis}"


def _sum(
    node: onnx.NodeProto, behind: Mapping[str, Pair], made_by: _Makers, dims: Mapping[str, tuple[int, ...]]
) -> Iterator[str]:
    """A residual sum: TensorRT fuses it into the convolution whose output it takes, if what is added is quantised."""
    if any(name in dims for name in node.input):
        return
    quantised = [name in behind for name in node.input]
    makers = [made_by.get(name) for name in node.input]
    fused = any(maker is not None and maker.op_type == "Conv" and maker.input[0] in behind for maker in makers)
    if any(quantised) != all(quantised) or fused and not any(quantised):
        yield f"{node.name}: a residual sum without pairs before both of what it adds"
