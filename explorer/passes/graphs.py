"""Reading an ONNX graph: what the passes that rewrite one ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from explorer.errors import BadInput, Problem

FLOAT = int(onnx.TensorProto.FLOAT)


def load(path: Path) -> onnx.ModelProto:
    """The model, every node with a name.

    Raises:
        BadInput: the file is no ONNX model.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:
        seen = f"{type(error).__name__}: {error}"[:300]
        raise BadInput(Problem("cannot read the ONNX file", file=path, seen=seen)) from error
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return model


def opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def types(model: onnx.ModelProto) -> dict[str, int]:
    """The element type of each tensor of the main graph, as far as it can be inferred."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    known = {tensor.name: int(tensor.data_type) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        known[value.name] = int(value.type.tensor_type.elem_type)
    return known


def computed(model: onnx.ModelProto) -> list[str]:
    """The fp32 tensors that are given or computed, not stored; in the order in which they come about."""
    known, stored = types(model), {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input]
    names += [name for node in model.graph.node for name in node.output]
    return [name for name in names if known.get(name) == FLOAT and name not in stored]


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """The value of an attribute, or `default`."""
    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs a node holds: the branches of an If, the body of a Loop."""
    for one in node.attribute:
        yield from ([one.g] if one.type == onnx.AttributeProto.GRAPH else one.graphs)


def constants_stored(model: onnx.ModelProto) -> None:
    """Turn Constant nodes that hold a tensor or floats into initializers."""
    graph, kept = model.graph, []
    for node in graph.node:
        value = node.attribute[0] if node.op_type == "Constant" else None
        if value is not None and value.name == "value":
            value.t.name = node.output[0]
            graph.initializer.append(value.t)
        elif value is not None and value.name in ("value_float", "value_floats"):
            floats = onnx.helper.get_attribute_value(value)
            graph.initializer.append(numpy_helper.from_array(np.asarray(floats, np.float32), node.output[0]))
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
