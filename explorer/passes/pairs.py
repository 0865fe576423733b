"""QuantizeLinear and DequantizeLinear of a graph, read as pairs, and the graph without them.

tensor ─Q─►  integers  ─DQ─► output          an activation, or a weight that the file keeps in float
             integers  ─DQ─► output          a weight that the file keeps as integers
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from explorer.errors import BadInput, Problem
from explorer.passes import graphs

INT8, FP8 = int(onnx.TensorProto.INT8), int(onnx.TensorProto.FLOAT8E4M3FN)


@dataclass(frozen=True)
class Pair:
    """One DequantizeLinear and, unless its input is stored, the QuantizeLinear before it."""

    tensor: str  # what is quantised; the stored integers where there is no QuantizeLinear
    output: str
    scale: NDArray[np.float32]  # of one number, or of one for each slice along `axis`
    axis: int
    type: int  # of the quantised numbers, onnx.TensorProto's
    centred: bool  # every zero point is 0
    weight: bool  # `tensor` is stored
    nodes: tuple[str, ...]


def pairs_of(model: onnx.ModelProto) -> tuple[Pair, ...]:
    """Every pair of the graph, in the order of their DequantizeLinear.

    Raises:
        BadInput: a pair is torn, or its scale is computed.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    dequantise = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    return tuple(_pair(node, made_by.get(node.input[0]), stored) for node in dequantise)


def _pair(node: onnx.NodeProto, before: onnx.NodeProto | None, stored: dict[str, onnx.TensorProto]) -> Pair:
    if before is None and node.input[0] not in stored or before is not None and before.op_type != "QuantizeLinear":
        what = f"{node.name} stands alone: a DequantizeLinear follows a QuantizeLinear or stored numbers"
        raise BadInput(Problem("the file's Q/DQ pairs cannot be read", seen=what))
    if node.input[1] not in stored:
        raise BadInput(Problem("the file's Q/DQ pairs cannot be read", seen=f"the scale of {node.name} is computed"))
    point = stored.get(node.input[2]) if len(node.input) > 2 else None
    tensor = before.input[0] if before is not None else node.input[0]
    kind = point.data_type if point is not None else _type_without_point(node, before, stored)
    return Pair(
        tensor=tensor,
        output=node.output[0],
        scale=numpy_helper.to_array(stored[node.input[1]]).astype(np.float32),
        axis=int(graphs.attribute(node, "axis", 1)),
        type=int(kind),
        centred=point is None or not np.any(numpy_helper.to_array(point).astype(np.float32)),
        weight=tensor in stored,
        nodes=(before.name, node.name) if before is not None else (node.name,),
    )


def _type_without_point(node: onnx.NodeProto, before: onnx.NodeProto | None, stored: dict[str, Any]) -> int:
    if before is None:
        return int(stored[node.input[0]].data_type)
    return int(graphs.attribute(before, "output_dtype", 0)) or int(onnx.TensorProto.UINT8)  # the standard's default


def without(model: onnx.ModelProto, pairs: tuple[Pair, ...]) -> onnx.ModelProto:
    """The model in float: what a pair gave is what it was given; stored integers become the floats they stand for."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    gone = {name for pair in pairs for name in pair.nodes}
    behind = {pair.output: pair.tensor for pair in pairs}
    nodes = [node for node in made.graph.node if node.name not in gone]
    for node in nodes:
        for index, name in enumerate(node.input):
            node.input[index] = behind.get(name, name)
    del made.graph.node[:]
    made.graph.node.extend(_with_outputs(nodes, made, behind))
    _restore(made, pairs)
    del made.graph.value_info[:]
    return made


def _with_outputs(nodes: list[onnx.NodeProto], model: onnx.ModelProto, behind: dict[str, str]) -> list[onnx.NodeProto]:
    """`nodes`, and an Identity for each output of the network that a pair gave."""
    shown = [value.name for value in model.graph.output if value.name in behind]
    return [*nodes, *(onnx.helper.make_node("Identity", [behind[n]], [n], name=f"{n}_Identity") for n in shown)]


def _restore(model: onnx.ModelProto, pairs: tuple[Pair, ...]) -> None:
    """Stored integers to floats; and nothing stays stored that no node reads."""
    floats = {pair.tensor: pair for pair in pairs if pair.weight}
    used = {name for node in model.graph.node for name in node.input}
    used |= {name for node in model.graph.node for graph in graphs.subgraphs(node) for name in _read_in(graph)}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    restored = [
        _dequantised(tensor, floats[tensor.name])
        if tensor.name in floats and tensor.data_type == floats[tensor.name].type
        else tensor
        for tensor in kept
    ]
    del model.graph.initializer[:]
    model.graph.initializer.extend(restored)


def _dequantised(tensor: onnx.TensorProto, pair: Pair) -> onnx.TensorProto:
    numbers = numpy_helper.to_array(tensor).astype(np.float32)
    scale = pair.scale
    if scale.ndim == 1 and scale.size > 1:
        scale = scale.reshape([-1 if axis == pair.axis % numbers.ndim else 1 for axis in range(numbers.ndim)])
    return numpy_helper.from_array(np.asarray(numbers * scale, np.float32), tensor.name)


def _read_in(graph: onnx.GraphProto) -> list[str]:
    return [name for node in graph.node for name in node.input]
