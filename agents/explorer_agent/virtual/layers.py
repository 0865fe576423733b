"""What each layer of a network has to compute and to move, for one batch.

    ONNX ──► shapes ──► a Layer for each node ──► what a compiler fuses is one layer ──► roofline

A convolution takes the batch normalisation, the activation and the addition that follow it: nothing is written in
between. QuantizeLinear and DequantizeLinear are no work of their own; a layer that reads from them computes in int8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from explorer_agent.messages import INFEASIBLE, AgentError
from explorer_agent.runtimes import onnxfile

ARITHMETIC = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"}
FUSED = {"BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish"}
FUSED |= {"Add", "Sub", "Mul", "Sum"}
FREE = {"QuantizeLinear", "DequantizeLinear", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Constant"}
FREE |= {"Shape", "Cast", "Dropout", "ConstantOfShape", "Range"}
# What the DLA computes itself: DLASW operators/README and TensorRT's "DLA supported layers".
ON_DLA = {"Conv", "ConvTranspose", "Gemm", "MatMul", "MaxPool", "AveragePool", "Relu", "LeakyRelu", "Clip", "Sigmoid"}
ON_DLA |= {"Tanh", "Add", "Sub", "Mul", "Sum", "Max", "Min", "Concat", "BatchNormalization", "LRN", "Resize", "Slice"}
DLA_KERNEL, DLA_STRIDE, DLA_PAD, DLA_POOL, DLA_CHANNELS = 32, 8, 31, 8, 8192


@dataclass(frozen=True)
class Layer:
    """One layer for one batch. Counts are of elements, not bytes."""

    name: str
    op: str
    macs: int = 0  # multiplications with an addition each; for a pooling the comparisons
    reads: int = 0  # of activations
    writes: int = 0
    weights: int = 0
    channels_in: int = 1  # that are multiplied with each other: those of one group
    channels_out: int = 1
    rows: int = 1  # outputs a channel: batch × height × width
    groups: int = 1
    dimensions: int = 2  # of space
    quantised: bool = False
    not_on_dla: str = ""  # why a DLA cannot run it; empty when it can

    @property
    def is_arithmetic(self) -> bool:
        return self.op in ARITHMETIC


def of_onnx(path: Path, batch: int, *, calibrated: bool = False) -> tuple[Layer, ...]:
    """The layers of the network in `path`, in order; all of them quantised where a calibration says how.

    Raises:
        AgentError: infeasible: no ONNX model, or one whose sizes do not follow from the batch.
    """
    import onnx

    onnxfile.op_types(path)  # refuses what is no model
    try:
        model = onnx.load(str(path))
        sizes = _sizes(_with_batch(model, batch), onnx)
    except (ValueError, RuntimeError) as error:
        raise AgentError(INFEASIBLE, f"the sizes of this network cannot be inferred: {error}") from error
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    found = fused(list(_nodes(model, sizes, weights, onnx)))
    return tuple(replace(layer, quantised=layer.quantised or calibrated) for layer in found)


@dataclass(frozen=True)
class Node:
    """A layer before fusion, and what it is connected to."""

    layer: Layer
    inputs: tuple[str, ...]
    output: str


def fused(nodes: Sequence[Node]) -> Iterator[Layer]:
    """The layers that are left when what follows arithmetic alone is computed together with it."""
    readers: dict[str, int] = {}
    for node in nodes:
        for name in node.inputs:
            readers[name] = readers.get(name, 0) + 1
    done: dict[str, int] = {}  # tensor → the index in `found` of the layer that gives it
    found: list[Layer] = []
    for node in nodes:
        hosts = [done[name] for name in node.inputs if name in done and readers[name] == 1]
        host = max((at for at in hosts if found[at].is_arithmetic), default=None)
        if node.layer.op in FREE:
            given_by = [done[name] for name in node.inputs if name in done]
            done.update(zip([node.output], given_by))
            readers[node.output] = readers.get(node.output, 0)
        elif node.layer.op in FUSED and host is not None:
            found[host] = _joined(found[host], node.layer)
            done[node.output] = host
        else:
            found.append(node.layer)
            done[node.output] = len(found) - 1
    yield from found


def _joined(host: Layer, guest: Layer) -> Layer:
    """`host` with the pointwise `guest` behind it: what lies between them is not written."""
    more = max(0, guest.reads - host.writes)
    return replace(host, reads=host.reads + more, writes=guest.writes, weights=host.weights + guest.weights)


def _with_batch(model: Any, batch: int) -> Any:
    """The model with its first axis fixed, so that sizes can be inferred."""
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if len(dims) and not dims[0].dim_value:
            dims[0].dim_value = batch
    for value in [*model.graph.output, *model.graph.value_info]:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return model


def _sizes(model: Any, onnx: Any) -> dict[str, tuple[int, ...]]:
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    found: dict[str, tuple[int, ...]] = {}
    values = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
    for value in values:
        tensor = value.type.tensor_type
        dims = [dim.dim_value for dim in tensor.shape.dim]
        if tensor.HasField("shape") and all(dims):
            found[value.name] = tuple(dims)
    found.update({tensor.name: tuple(tensor.dims) for tensor in inferred.graph.initializer})
    return found


def _nodes(model: Any, sizes: Mapping[str, Any], weights: Mapping[str, Any], onnx: Any) -> Iterator[Node]:
    producers = {name: node for node in model.graph.node for name in node.output}
    for number, node in enumerate(model.graph.node):
        out = sizes.get(node.output[0])
        if node.op_type in FREE:
            layer = Layer(node.name, node.op_type)
        elif out is None or any(name and name not in sizes for name in node.input[:2]):
            raise AgentError(
                INFEASIBLE, f"the sizes of {node.op_type} {node.name or number} do not follow from the batch"
            )
        else:
            attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
            behind = producers.get(node.input[0]) if node.input else None
            quantised = behind is not None and behind.op_type == "DequantizeLinear"
            fixed = {name: _origin(name, weights, producers) for name in node.input if name}
            layer = _layer(node, out, sizes, attributes, fixed, quantised=quantised)
        yield Node(layer, tuple(name for name in node.input if name), node.output[0])


def _origin(name: str, weights: Mapping[str, Any], producers: Mapping[str, Any]) -> bool:
    """Whether `name` is a weight, also one behind DequantizeLinear."""
    while name not in weights:
        node = producers.get(name)
        if node is None or node.op_type not in FREE:
            return False
        if node.op_type == "Constant" or not node.input:
            return True
        name = node.input[0]
    return True


def _layer(
    node: Any,
    out: tuple[int, ...],
    sizes: Mapping[str, Any],
    attributes: Mapping[str, Any],
    fixed: Mapping[str, bool],
    *,
    quantised: bool,
) -> Layer:
    op = node.op_type
    moving = [sizes[name] for name in node.input if name and not fixed[name] and name in sizes]
    weights = sum(math.prod(sizes[name]) for name in node.input if name and fixed[name] and name in sizes)
    groups = int(attributes.get("group", 1))
    if op in ("Conv", "ConvTranspose"):
        shape = sizes[node.input[1]]
        each = math.prod(shape[1:]) if op == "Conv" else math.prod(shape[2:]) * shape[0] // groups
        inside, macs = sizes[node.input[0]][1] // groups, math.prod(out) * each
    elif op in ("Gemm", "MatMul"):
        first = sizes[node.input[0]]
        inside = first[0] if attributes.get("transA") else first[-1]
        macs = math.prod(out) * inside
    elif op in ("MaxPool", "AveragePool"):
        inside, macs = 1, math.prod(out) * math.prod(attributes.get("kernel_shape", (1,)))
    else:
        inside, macs = 1, max([math.prod(out), *map(math.prod, moving)])
    channels = out[1] if op in ("Conv", "ConvTranspose") else out[-1]
    return Layer(
        node.name or node.output[0],
        op,
        macs=macs,
        reads=sum(map(math.prod, moving)),
        writes=math.prod(out),
        weights=weights,
        channels_in=inside,
        channels_out=max(1, channels // groups),
        rows=max(1, math.prod(out) // max(1, channels)),
        groups=groups,
        dimensions=len(_kernel(node, sizes, op)) or 2,
        quantised=quantised,
        not_on_dla=why_not_on_dla(op, out, attributes, fixed=list(fixed.values()), kernel=_kernel(node, sizes, op)),
    )


def _kernel(node: Any, sizes: Mapping[str, Any], op: str) -> tuple[int, ...]:
    return tuple(sizes[node.input[1]][2:]) if op in ("Conv", "ConvTranspose") else ()


def why_not_on_dla(
    op: str, out: Sequence[int], attributes: Mapping[str, Any], *, fixed: Sequence[bool], kernel: Sequence[int] = ()
) -> str:
    """Why a DLA cannot run such a layer; empty when it can."""
    if op not in ON_DLA:
        return f"{op} is none of the DLA's layers"
    if len(out) > 4 or len(kernel) > 2:
        return f"{op} in {len(kernel) or len(out) - 2} dimensions: the DLA knows two"
    if op == "MatMul" and not any(fixed):
        return "MatMul of two tensors that are both computed"
    if op == "ConvTranspose" and (attributes.get("group", 1) > 1 or any(attributes.get("pads", ()))):
        return "ConvTranspose with groups or padding"
    if op in ("Conv", "ConvTranspose"):
        return _beyond(op, kernel, attributes, DLA_KERNEL, out[1] if len(out) > 1 else 1)
    if op in ("MaxPool", "AveragePool"):
        return _beyond(op, attributes.get("kernel_shape", ()), attributes, DLA_POOL, 1)
    return ""


def _beyond(op: str, window: Sequence[int], attributes: Mapping[str, Any], most: int, channels: int) -> str:
    """The limit that a window exceeds."""
    if max(window, default=1) > most:
        return f"{op} over {max(window)}: the DLA's most is {most}"
    if max(attributes.get("strides", (1,)), default=1) > DLA_STRIDE:
        return f"{op} with stride {max(attributes['strides'])}: the DLA's most is {DLA_STRIDE}"
    if max(attributes.get("pads", (0,)), default=0) > DLA_PAD:
        return f"{op} padded by {max(attributes['pads'])}: the DLA's most is {DLA_PAD}"
    return f"{op} with {channels} channels: the DLA's most is {DLA_CHANNELS}" if channels > DLA_CHANNELS else ""
