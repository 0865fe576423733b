"""A network of half precision as fp32 arithmetic computes it: each tensor is rounded, each operator is not.

That is how accelerators do it: products of halves, summed up in fp32, rounded where they are stored. ONNX Runtime
itself has few operators of half precision on a CPU; it computes the others in fp32 and skips the rounding in between.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from explorer.passes import graphs
from explorer.passes.graphs import FLOAT


def rounded(model: onnx.ModelProto, half: int) -> onnx.ModelProto:
    """`model` with its tensors of type `half` (of `onnx.TensorProto`) in fp32, each rounded to what `half` can hold."""
    types = graphs.types(model)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for repeated in (made.graph.node, made.graph.initializer, made.graph.value_info):
        del repeated[:]
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        made.graph.initializer.append(
            numpy_helper.from_array(values.astype(np.float32), tensor.name) if tensor.data_type == half else tensor
        )
    for node in model.graph.node:
        made.graph.node.extend(_rounding(node, {name for name in node.output if types.get(name) == half}, half))
    return made


def _rounding(node: onnx.NodeProto, names: set[str], half: int) -> list[onnx.NodeProto]:
    """A node in fp32, and what rounds those of its outputs that are in `names`."""
    full = onnx.NodeProto()
    full.CopyFrom(node)
    for one in full.attribute:
        if node.op_type == "Cast" and one.name == "to" and one.i == half:
            one.i = FLOAT
        if node.op_type == "ConstantOfShape" and one.name == "value" and one.t.data_type == half:
            one.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(one.t).astype(np.float32)))
    after = []
    for index, name in enumerate(node.output):
        if name in names:
            full.output[index] = f"{name}/exact"
            after.append(onnx.helper.make_node("Cast", [f"{name}/exact"], [f"{name}/half"], to=half))
            after.append(onnx.helper.make_node("Cast", [f"{name}/half"], [name], to=FLOAT))
    return [full, *after]
