"""Rewriting an fp32 graph in half precision: which operators stay fp32 and why, and the graph with its casts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from explorer.passes import graphs
from explorer.passes.graphs import FLOAT


@dataclass(frozen=True)
class Half:
    """A type of two bytes."""

    name: str
    type: int  # onnx.TensorProto's
    word: str  # as ONNX's schemas spell it
    most: float  # the largest number it holds
    opset: int  # the first in which all layers have it
    runs_here: bool  # ONNX Runtime runs layers of it on a CPU

    @property
    def dtype(self) -> np.dtype[Any]:
        return onnx.helper.tensor_dtype_to_np_dtype(self.type)

    def missing(self, op: str) -> str:
        """How it is said that ONNX does not define `op` for this type."""
        return f"ONNX defines no {self.name} {op} in"


HALVES: Mapping[str, Half] = {
    "fp16": Half("fp16", int(TensorProto.FLOAT16), "tensor(float16)", 65504.0, 13, runs_here=True),
    "bf16": Half("bf16", int(TensorProto.BFLOAT16), "tensor(bfloat16)", 3.38e38, 22, runs_here=False),
}

# What computes with numbers far larger than those it is given and gives: fp16 ends at 65504, the square of 256.
_WIDE = (
    *("Exp", "Pow", "Softplus", "LpNormalization", "MeanVarianceNormalization"),
    *("ReduceSumSquare", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"),
)
# What adds up many numbers: the later ones vanish beside the sum.
_LONG = ("ReduceSum", "CumSum")
# What takes its type from an attribute.
_STATED = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "EyeLike", "Bernoulli")


def why_float(model: onnx.ModelProto, half: Half, reached: Mapping[str, float]) -> dict[str, str]:
    """Node → why it stays fp32; nodes that may become half are not in it.

    Args:
        model: in fp32, its constants stored, its nodes named.
        half: the type to become.
        reached: the largest magnitude that tensors have reached; see `explorer.passes.extremes`.
    """
    version, types = graphs.opset(model), graphs.types(model)
    beyond = _beyond(model, half)
    reasons = {}
    for node in model.graph.node:
        tensors = [name for name, _ in _floats(node, version, types)]
        reason = _by_definition(node, half, version, types) or _by_numerics(node.op_type, half)
        if not reason:
            reason = next((beyond[name] for name in tensors if name in beyond), "")
        if not reason:
            hot = max(tensors, key=lambda name: reached.get(name, 0.0), default="")
            if reached.get(hot, 0.0) > half.most:
                reason = f"{hot} reaches {reached[hot]:.3g} on calibration inputs; {half.name} ends at {half.most:.5g}"
        if reason:
            reasons[node.name] = reason
    return reasons


def _beyond(model: onnx.ModelProto, half: Half) -> dict[str, str]:
    """Weights that do not fit, and that they do not."""
    found = {}
    for tensor in model.graph.initializer:
        if tensor.data_type != FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        most = float(np.abs(values, where=np.isfinite(values), out=np.zeros_like(values)).max(initial=0.0))
        if most > half.most:
            found[tensor.name] = f"{tensor.name} holds {most:.3g}; {half.name} ends at {half.most:.5g}"
    return found


def _by_numerics(op: str, half: Half) -> str:
    if op in _WIDE and half.name == "fp16":
        return "it computes with larger numbers than it gives, and fp16 ends at 65504"
    return "a long sum loses what is small beside it" if op in _LONG else ""


def _by_definition(node: onnx.NodeProto, half: Half, version: int, types: Mapping[str, int]) -> str:
    if any(graphs.subgraphs(node)):
        return "it holds a graph of its own"
    if node.op_type in _STATED:
        return "an attribute states its type"
    schema = _schema(node, version)
    if schema is None:
        return "an operator that ONNX does not define"
    allowed = {one.type_param_str: one.allowed_type_strs for one in schema.type_constraints}
    floats = list(_floats(node, version, types))
    open_ones = [kind for _, kind in floats if kind in allowed]
    if floats and (not open_ones or any(half.word not in allowed[kind] for kind in open_ones)):
        return f"{half.missing(node.op_type)} opset {version}"
    return ""


def _schema(node: onnx.NodeProto, version: int) -> onnx.defs.OpSchema | None:
    if node.domain not in ("", "ai.onnx"):
        return None
    try:
        return onnx.defs.get_schema(node.op_type, version, "")
    except onnx.defs.SchemaError:
        return None


def _floats(node: onnx.NodeProto, version: int, types: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Each fp32 tensor that a node takes or gives, and what its schema calls the type: a parameter, or the type."""
    schema = _schema(node, version)
    if schema is not None:
        for names, formal in ((node.input, schema.inputs), (node.output, schema.outputs)):
            for index, name in enumerate(names):
                if name and types.get(name) == FLOAT:
                    yield name, formal[min(index, len(formal) - 1)].type_str


@dataclass
class Halved:
    """The rewritten model, and what was done."""

    model: onnx.ModelProto
    half: list[str] = field(default_factory=list)  # operator of each node that became half
    float: list[str] = field(default_factory=list)  # name of each node that has fp32 tensors still
    casts: int = 0
    weights: int = 0  # numbers stored in half precision
    weights_float: int = 0
    flushed: int = 0  # of `weights`, those that were not 0 and are


def halve(model: onnx.ModelProto, half: Half, kept: Mapping[str, str]) -> Halved:
    """The model in half precision, but for the nodes in `kept`."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for repeated in (made.graph.node, made.graph.initializer, made.graph.value_info):
        del repeated[:]
    return _Writer(model, half, Halved(made)).write(kept)


class _Writer:
    """Nodes in order; a cast, or a copy of a weight, just before the first that needs it."""

    def __init__(self, model: onnx.ModelProto, half: Half, made: Halved) -> None:
        self._source, self._half, self._made = model.graph, half, made
        self._version, self._types = graphs.opset(model), graphs.types(model)
        self._stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self._there: set[str] = {value.name for value in model.graph.input} - set(self._stored)
        self._names = set(self._types) | {name for node in model.graph.node for name in node.output}
        self._halves: dict[str, str] = {}

    def write(self, kept: Mapping[str, str]) -> Halved:
        for node in self._source.node:
            self._node(node, kept.get(node.name))
        for value in self._source.output:
            self._full(value.name)
        self._keep_shapes()
        return self._made

    def _keep_shapes(self) -> None:
        """What the source tells of its tensors, also where inference alone would not find it again."""
        for value in self._source.value_info:
            for name, kind in ((value.name, 0), (self._halves.get(value.name), self._half.type)):
                if name is not None and (name in self._there or kind):
                    told = self._made.model.graph.value_info.add()
                    told.CopyFrom(value)
                    told.name = name
                    told.type.tensor_type.elem_type = kind or value.type.tensor_type.elem_type

    def _node(self, node: onnx.NodeProto, why_float: str | None) -> None:
        open_ones = set() if why_float else self._open(node)
        new = onnx.NodeProto()
        new.CopyFrom(node)
        for index, name in enumerate(node.input):
            if name:
                new.input[index] = self._in_half(name) if name in open_ones else self._full(name)
        for name in _captured(node):
            self._full(name)
        for index, name in enumerate(node.output):
            if name in open_ones:
                new.output[index] = self._name_of_half(name)
            else:
                self._there.add(name)
        if open_ones:
            _retype(new, self._half)
            self._made.half.append(node.op_type)
        elif any(self._types.get(name) == FLOAT for name in (*node.input, *node.output)):
            self._made.float.append(node.name)
        self._made.model.graph.node.append(new)

    def _open(self, node: onnx.NodeProto) -> set[str]:
        """The fp32 tensors of a node whose type its schema leaves open."""
        found = _floats(node, self._version, self._types)
        return {name for name, kind in found if not kind.startswith("tensor(")}

    def _name_of_half(self, name: str) -> str:
        if name not in self._halves:
            wanted = f"{name}_{self._half.name}"
            while wanted in self._names:
                wanted += "_"
            self._names.add(wanted)
            self._halves[name] = wanted
        return self._halves[name]

    def _in_half(self, name: str) -> str:
        if name in self._halves:
            return self._halves[name]
        wanted = self._name_of_half(name)
        if name in self._stored:
            self._store_half(self._stored[name], wanted)
        else:
            self._cast(name, wanted, self._half.type)
        return wanted

    def _full(self, name: str) -> str:
        if name not in self._there:
            self._there.add(name)
            if name in self._stored:
                tensor = self._stored[name]
                self._made.weights_float += _count(tensor) if tensor.data_type == FLOAT else 0
                self._made.model.graph.initializer.append(tensor)
            elif name in self._halves:
                self._cast(self._halves[name], name, FLOAT)
        return name

    def _store_half(self, tensor: TensorProto, name: str) -> None:
        values: NDArray[np.float32] = numpy_helper.to_array(tensor)
        halves = values.astype(self._half.dtype)
        self._made.weights += halves.size
        self._made.flushed += int(np.count_nonzero((values != 0) & (halves == 0)))
        self._made.model.graph.initializer.append(numpy_helper.from_array(halves, name))

    def _cast(self, source: str, target: str, to: int) -> None:
        self._made.casts += 1
        self._made.model.graph.node.append(
            onnx.helper.make_node("Cast", [source], [target], name=f"{source}_to_{target}", to=to)
        )


def _retype(node: onnx.NodeProto, half: Half) -> None:
    """Attributes that state the type of what a node gives."""
    if node.op_type == "Cast" and graphs.attribute(node, "to", 0) == FLOAT:
        _set(node, "to", half.type)
    if node.op_type == "ConstantOfShape":
        value = graphs.attribute(node, "value", None)
        number = numpy_helper.to_array(value) if value is not None else np.zeros(1, np.float32)
        _set(node, "value", numpy_helper.from_array(number.astype(half.dtype)))


def _set(node: onnx.NodeProto, name: str, value: Any) -> None:
    others = [one for one in node.attribute if one.name != name]
    del node.attribute[:]
    node.attribute.extend([*others, onnx.helper.make_attribute(name, value)])


def _captured(node: onnx.NodeProto) -> Sequence[str]:
    """Names that the graphs inside a node take from around it, and their own."""
    inner = [one for graph in graphs.subgraphs(node) for one in graph.node]
    shown = [value.name for graph in graphs.subgraphs(node) for value in graph.output]
    return [*shown, *(name for one in inner for name in (*one.input, *_captured(one)) if name)]


def _count(tensor: TensorProto) -> int:
    return int(np.prod(tensor.dims, dtype=np.int64))
