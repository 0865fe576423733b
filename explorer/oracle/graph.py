"""An ONNX file as the rules see it: operators, attributes, sizes at any batch, multiply-accumulates.

    file ──► fixed at batch 1 and at batch 2 ──► shapes inferred ──► a size at batch n lies on the line through both

Nothing is run and no weights are looked at, but for small constants. What TensorRT works out while it builds
(constants, and what follows from them alone) is left out: it is no layer of the engine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import BadInput, Problem

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

QUANTISING = ("QuantizeLinear", "DequantizeLinear")
_READ_UP_TO = 4096  # elements of a constant whose values are looked at
_FLOATS = {1: "fp32", 10: "fp16", 11: "fp64", 16: "bf16", 17: "fp8", 19: "fp8"}  # onnx.TensorProto's numbers


@dataclass(frozen=True)
class Size:
    """One dimension: a line over the batch."""

    at_one: int
    each_more: int = 0

    def at(self, batch: int) -> int:
        return self.at_one + self.each_more * (batch - 1)


@dataclass(frozen=True)
class Tensor:
    """One edge of the graph.

    Attributes:
        sizes: of its dimensions, each None where it is not known; None where not even their number is.
        constant: it does not depend on what the network is asked.
        values: of a small constant, flat; None where they were not read.
        element: fp32, fp16, bf16, fp8, or else the name that ONNX has for it; "" when it is not known.
    """

    name: str
    sizes: tuple[Size | None, ...] | None = None
    constant: bool = False
    values: tuple[float, ...] | None = None
    element: str = ""

    def at(self, batch: int) -> tuple[int | None, ...] | None:
        """The shape at `batch`."""
        return None if self.sizes is None else tuple(None if size is None else size.at(batch) for size in self.sizes)

    @property
    def rank(self) -> int | None:
        return None if self.sizes is None else len(self.sizes)


@dataclass(frozen=True)
class Node:
    """One operator that is left when constants are worked out."""

    name: str
    op: str
    domain: str  # "" for ONNX's own operators
    attributes: Mapping[str, Any]
    inputs: tuple[Tensor, ...]  # one that is left out has the name ""
    outputs: tuple[Tensor, ...]

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates at batch 1 of a convolution or a matrix product; 0 for all else and for the unknown."""
        return _macs(self)

    def ints(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A list of whole numbers among the attributes; a single one counts as a list."""
        value = self.attributes.get(name, default)
        return tuple(value) if isinstance(value, (list, tuple)) else (int(value),)

    def values(self, number: int) -> tuple[float, ...] | None:
        """What the input `number` holds; None where there is none or it is not known."""
        return self.inputs[number].values if number < len(self.inputs) else None


@dataclass(frozen=True)
class Graph:
    """A network.

    Attributes:
        nodes: in the order of the file, which is one of execution.
        opset: of ONNX's own operators.
        batch: that the file is fixed at; None where it is open.
        dynamic: inputs' dimensions other than the batch that are open, "flow[2]".
        elements: number types of the weights and inputs (`Tensor.element`).
        final: the board gets this very file; otherwise the types of its numbers are still to be written into it.
    """

    nodes: tuple[Node, ...]
    opset: int
    batch: int | None = None
    dynamic: tuple[str, ...] = ()
    elements: frozenset[str] = field(default_factory=frozenset)
    final: bool = True

    @classmethod
    def of(cls, path: Path, *, final: bool = True) -> Graph:
        """Read the ONNX file `path`.

        Raises:
            BadInput: it is no ONNX file, or its shapes contradict each other.
        """
        import onnx

        try:
            model = onnx.load(str(path), load_external_data=False)
            return _read(model, final=final)
        except OSError as error:
            raise BadInput(Problem("cannot read the network", file=path, seen=error.strerror or str(error))) from error
        except Exception as error:  # protobuf's and ONNX's own errors have no common root
            seen = f"{type(error).__name__}: {error}".strip()[:300]
            hint = "`python -m onnx.checker` may say more"
            raise BadInput(Problem("this is no usable ONNX file", file=path, seen=seen, hint=hint)) from error

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates at batch 1."""
        return sum(node.macs for node in self.nodes)

    @property
    def quantised(self) -> bool:
        return any(node.op in QUANTISING for node in self.nodes)

    def share(self, nodes: frozenset[str]) -> float:
        """The share of the multiply-accumulates in the nodes of these names; 0 of a graph that has none."""
        return sum(node.macs for node in self.nodes if node.name in nodes) / self.macs if self.macs else 0.0


def _read(model: ModelProto, *, final: bool) -> Graph:
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
        if constants.follow(node, static=static):
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


def _macs(node: Node) -> int:
    """Output elements times what is summed up for each (of a transposed convolution: input elements, spread)."""
    if len(node.inputs) < 2 or not node.outputs:
        return 0
    given, weights, result = (tensor.at(1) for tensor in (node.inputs[0], node.inputs[1], node.outputs[0]))
    match node.op:
        case "Conv":
            return _product(result, weights and weights[1:])
        case "ConvTranspose":
            return _product(given, weights and weights[1:])
        case "MatMul" | "Gemm":
            summed = given and (given[0] if node.attributes.get("transA") else given[-1])
            return _product(result, (summed,) if summed else None)
    return 0


def _product(*shapes: tuple[int | None, ...] | None) -> int:
    known = [size for shape in shapes if shape is not None for size in shape if size is not None]
    whole = all(shape is not None and None not in shape for shape in shapes)
    return math.prod(known) if whole else 0
