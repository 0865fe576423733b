"""Read an ONNX model into a `Graph`: nothing is run, and no weights are looked at but small constants.

model ──► fixed at batch 1 and at batch 2 ──► shapes inferred ──► a size at batch n lies on the line through both
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from explorer.oracle.graph import QUANTISING, Graph, Node, Size, Tensor

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_READ_UP_TO = 4096  # elements of a constant whose values are looked at
_FLOATS = {1: "fp32", 10: "fp16", 11: "fp64", 16: "bf16", 17: "fp8", 19: "fp8"}  # onnx.TensorProto's numbers


def read(model: ModelProto, *, final: bool) -> Graph:
    """The graph of a model.

    Args:
        model: as loaded; its weights may be missing.
        final: as in `Graph`.

    Raises:
        ValueError: it holds no network.
        Exception: ONNX's own, when its shapes contradict each other.
    """
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if not model.graph.node or not opset:
        raise ValueError("a model without a single node")
    constants = _Constants(model.graph)
    elements = frozenset(constants.elements.values()) | {_element(v.type) for v in _inputs(model.graph)}
    sizes = _sizes(model)
    dynamic = tuple(_open(model.graph))
    nodes = tuple(_nodes(model.graph, constants, sizes, static=not dynamic))
    batch = _fixed_batch(model.graph)
    return Graph(nodes, int(opset), batch, dynamic, elements, final)


def _inputs(graph: GraphProto) -> list[Any]:
    """What the network is asked with; old files list their weights among the inputs, too."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def _fixed_batch(graph: GraphProto) -> int | None:
    first = [value.type.tensor_type.shape.dim[0] for value in _inputs(graph) if value.type.tensor_type.shape.dim]
    fixed = [int(dimension.dim_value) for dimension in first if dimension.HasField("dim_value")]
    return fixed[0] if fixed and len(fixed) == len(first) else None


def _open(graph: GraphProto) -> Iterator[str]:
    for value in _inputs(graph):
        kind = value.type.tensor_type
        if not kind.HasField("shape"):
            yield value.name
        open_axes = [axis for axis, dimension in enumerate(kind.shape.dim) if not dimension.HasField("dim_value")]
        yield from (f"{value.name}[{axis}]" for axis in open_axes if axis > 0)


Sizes = dict[str, tuple[Size | None, ...]]


def _sizes(model: ModelProto) -> Sizes:
    """Every tensor's dimensions, by what they are at batches 1 and 2 (and as they stand, where the batch is fixed)."""
    light = _without_weights(model)
    one, two = (_inferred(light, batch) for batch in (1, 2))
    found: Sizes = {}
    for name, shape in one.items():
        other = two.get(name, ())
        if len(shape) == len(other):
            found[name] = tuple(
                Size(a, b - a) if a is not None and b is not None else None for a, b in zip(shape, other, strict=True)
            )
    return found


def _without_weights(model: ModelProto) -> ModelProto:
    """The model with weights told by their shape alone, and nothing told of what can be inferred."""
    import onnx

    light = onnx.ModelProto()
    light.ir_version = max(model.ir_version, 4)  # from 4 on weights need not be inputs
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = model.graph.name or "graph"
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(_inputs(model.graph))
    for output in model.graph.output:
        light.graph.output.append(onnx.helper.make_empty_tensor_value_info(output.name))
    for tensor in model.graph.initializer:
        if _small(tensor):
            light.graph.initializer.append(tensor)
        else:
            told = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            light.graph.input.append(told)
    return light


def _inferred(light: ModelProto, batch: int) -> dict[str, tuple[int | None, ...]]:
    import onnx

    at_batch = onnx.ModelProto()
    at_batch.CopyFrom(light)
    for value in at_batch.graph.input:
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and not dimensions[0].HasField("dim_value"):
            dimensions[0].dim_value = batch
    graph = onnx.shape_inference.infer_shapes(at_batch, data_prop=True).graph
    told = [*graph.input, *graph.value_info, *graph.output]
    shapes = {value.name: value.type.tensor_type.shape for value in told if value.type.tensor_type.HasField("shape")}
    found = {name: tuple(_known(dimension) for dimension in shape.dim) for name, shape in shapes.items()}
    return found | {tensor.name: tuple(int(size) for size in tensor.dims) for tensor in graph.initializer}


def _known(dimension: Any) -> int | None:
    return int(dimension.dim_value) if dimension.HasField("dim_value") else None


def _small(tensor: TensorProto) -> bool:
    return math.prod(tensor.dims) <= _READ_UP_TO and not tensor.external_data


def _element(kind: Any) -> str:
    import onnx

    number = int(kind.tensor_type.elem_type)
    return _FLOATS.get(number) or onnx.TensorProto.DataType.Name(number).lower()


class _Constants:
    """Tensors that do not depend on what the network is asked: weights, constants, and what follows from them."""

    def __init__(self, graph: GraphProto) -> None:
        from onnx import TensorProto

        self.names = {tensor.name for tensor in graph.initializer}
        self.elements: dict[str, str] = {}
        self.values: dict[str, tuple[float, ...]] = {}
        for tensor in graph.initializer:
            told = _FLOATS.get(tensor.data_type) or TensorProto.DataType.Name(tensor.data_type).lower()
            self.elements[tensor.name] = told
            self._read(tensor.name, tensor)

    def follow(self, node: NodeProto, *, static: bool) -> bool:
        """Whether `node` is worked out while the engine is built; then its outputs are constants, too."""
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    self._read(node.output[0], attribute.t)
        elif node.op_type in ("Shape", "Size"):
            if not static:
                return False
        elif not node.input or any(name and name not in self.names for name in node.input):
            return False
        if node.op_type == "Identity" and node.input[0] in self.values:
            self.values[node.output[0]] = self.values[node.input[0]]
        self.names.update(node.output)
        return True

    def _read(self, name: str, tensor: TensorProto) -> None:
        from onnx import TensorProto, numpy_helper

        if _small(tensor) and tensor.data_type != TensorProto.STRING:
            self.values[name] = tuple(float(value) for value in numpy_helper.to_array(tensor).ravel())


def _nodes(graph: GraphProto, constants: _Constants, sizes: Sizes, *, static: bool) -> Iterator[Node]:
    def tensor(name: str) -> Tensor:
        constant, element = name in constants.names, constants.elements.get(name, "")
        return Tensor(name, sizes.get(name), constant, constants.values.get(name), element)

    taken: set[str] = set()
    for number, node in enumerate(graph.node):
        if constants.follow(node, static=static) and node.op_type not in QUANTISING:
            continue
        name = node.name or f"{node.op_type}_{number}"
        name = name if name not in taken else f"{name}#{number}"
        taken.add(name)
        domain = "" if node.domain == "ai.onnx" else node.domain
        inputs, outputs = (tuple(map(tensor, names)) for names in (node.input, node.output))
        yield Node(name, node.op_type, domain, _attributes(node), inputs, outputs)


def _attributes(node: NodeProto) -> dict[str, Any]:
    """Numbers, texts and lists of them; tensors and graphs are left out."""
    import onnx

    kinds = onnx.AttributeProto
    plain = (kinds.FLOAT, kinds.INT, kinds.STRING, kinds.FLOATS, kinds.INTS)
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute if a.type in plain}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}
