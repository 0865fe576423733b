"""What a network computes in the precision asked for, as ONNX that ONNX Runtime runs on a processor.

    fp32, tf32     the network                       int8, with QuantizeLinear    the network
    fp16, bf16     weights and every result rounded  int8, with a calibration     QuantizeLinear where there is a scale

What is rounded is stored as real hardware stores it, and summed in fp32, which real hardware may not: close, not equal.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

from explorer_agent.runtimes.tensorrt.calibration import scales
from explorer_agent.runtimes.tensorrt.source import CALIBRATION

ARITHMETIC = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_ROUNDED = {"fp16": "FLOAT16", "bf16": "BFLOAT16"}
_STEPS = 127


def calibration(model: Any) -> dict[str, float]:
    """The scale of each tensor that the network brings along; empty without.

    Raises:
        AgentError: infeasible: it is no calibration cache.
    """
    text = {pair.key: pair.value for pair in model.metadata_props}.get(CALIBRATION, "")
    return scales(text) if text else {}


def write(source: Path, precision: str, out: Path) -> str:
    """Write what `source` computes in `precision` to `out`; returns what that is, in words."""
    import onnx

    model = onnx.load(str(source))
    quantised = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    told = {} if quantised else calibration(model)
    precision = "fp16" if precision == "best" and not told and not quantised else precision
    if told and precision in ("int8", "best"):
        words = f"{_quantise(model, told, onnx)} tensors quantised as the calibration says, fp32 sums"
    elif precision in _ROUNDED and not quantised:
        words = f"{_round(model, _ROUNDED[precision], onnx)} tensors rounded to {precision}, fp32 sums"
    else:
        words = "int8 as QuantizeLinear says" if quantised else "fp32"
    onnx.save(model, str(out))
    return words


def _quantise(model: Any, told: Mapping[str, float], onnx: Any) -> int:
    known = [name for name in _floats(model, onnx) if name in told]
    for weight, axis in _weights(model):
        _replace(weight, partial(_steps, axis=axis), onnx)

    def through(name: str, raw: str) -> Iterator[Any]:
        scale, zero = f"{name}/scale", f"{name}/zero"
        model.graph.initializer.extend(
            [
                onnx.helper.make_tensor(scale, onnx.TensorProto.FLOAT, [], [told[name]]),
                onnx.helper.make_tensor(zero, onnx.TensorProto.INT8, [], [0]),
            ]
        )
        yield onnx.helper.make_node("QuantizeLinear", [raw, scale, zero], [f"{name}/q"])
        yield onnx.helper.make_node("DequantizeLinear", [f"{name}/q", scale, zero], [name])

    return _insert(model, known, through)


def _round(model: Any, kind: str, onnx: Any) -> int:
    to, back = getattr(onnx.TensorProto, kind), onnx.TensorProto.FLOAT
    for weight, _ in _weights(model):
        _replace(weight, _half if kind == "FLOAT16" else _brain, onnx)

    def through(name: str, raw: str) -> Iterator[Any]:
        yield onnx.helper.make_node("Cast", [raw], [f"{name}/low"], to=to)
        yield onnx.helper.make_node("Cast", [f"{name}/low"], [name], to=back)

    return _insert(model, _floats(model, onnx), through)


def _insert(model: Any, names: Sequence[str], through: Callable[[str, str], Iterator[Any]]) -> int:
    """Lead the tensors `names` through the nodes of `through`(name, its name before them); inputs keep theirs."""
    graph, nodes = model.graph, list(model.graph.node)
    given = {value.name for value in graph.input}
    wanted = set(names)
    found: list[Any] = []
    for name in sorted(wanted & given):  # whoever reads it reads what comes out of `through`
        for node in nodes:
            for place, read in enumerate(node.input):
                node.input[place] = f"{name}/in" if read == name else read
        found += _renamed(through(name, name), name, f"{name}/in")
    for node in nodes:
        raw = [name for name in node.output if name in wanted]
        for place, name in enumerate(node.output):
            node.output[place] = f"{name}/raw" if name in raw else name
        found.append(node)
        for name in raw:
            found += through(name, f"{name}/raw")
    del graph.node[:]
    graph.node.extend(found)
    return len(wanted)


def _renamed(nodes: Iterator[Any], name: str, fresh: str) -> Iterator[Any]:
    """The nodes, what they give as `name` called `fresh`."""
    for node in nodes:
        node.output[0] = fresh if node.output[0] == name else node.output[0]
        yield node


def _floats(model: Any, onnx: Any) -> list[str]:
    """The tensors of fp32 that are computed or given, weights not included."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    weights = {tensor.name for tensor in model.graph.initializer}
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    kind = onnx.TensorProto.FLOAT
    made = {name for node in model.graph.node if node.op_type != "Constant" for name in node.output}
    made |= {value.name for value in model.graph.input}
    names = [value.name for value in values if value.type.tensor_type.elem_type == kind]
    return [name for name in dict.fromkeys(names) if name in made and name not in weights]


def _weights(model: Any) -> Iterator[tuple[Any, int]]:
    """The weights of what does arithmetic, each once, and the axis of its output channels."""
    kept = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        tensor = kept.pop(node.input[1], None) if node.op_type in ARITHMETIC else None
        if tensor is not None and tensor.data_type == 1:
            flipped = any(item.name == "transB" and item.i for item in node.attribute)
            yield tensor, 0 if node.op_type == "Conv" or flipped else 1 if len(tensor.dims) > 1 else 0


def _replace(tensor: Any, change: Callable[[Any], Any], onnx: Any) -> None:
    values = change(onnx.numpy_helper.to_array(tensor)).astype("float32")
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def _steps(values: Any, axis: int) -> Any:
    """Rounded to 127 steps either side of zero, by output channel."""
    import numpy

    others = tuple(number for number in range(values.ndim) if number != axis)
    scale = numpy.maximum(numpy.abs(values).max(axis=others, keepdims=True), 1e-12) / _STEPS
    return numpy.round(values / scale) * scale


def _half(values: Any) -> Any:
    return values.astype("float16")


def _brain(values: Any) -> Any:
    """Rounded to the upper 16 bits of a float32, ties to even."""
    import numpy

    bits = numpy.ascontiguousarray(values, dtype="float32").view("uint32")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & numpy.uint32(0xFFFF0000)).view("float32")
