"""int8 for a DLA: an .onnx file with Q/DQ pairs in, the float network with a calibration cache in its notes out.

Until TensorRT 10.7 a DLA takes int8 only by ranges: every tensor that a layer reads or writes needs a scale, and no
QuantizeLinear may be in the file; a tensor without one sends its layer to fp16 or to the GPU in silence. So:

    from pairs      what the quantiser has put a pair on keeps that scale
    spread          Reshape, MaxPool and the like give what they are given, and what Relu cuts off need not be held
    measured        the rest, min to max, by running the float network on the calibration inputs here: the file then
                    needs no other companion than itself, and files that somebody else quantised work, too

The cache's format is TensorRT's own; the scale of a tensor is its range / 127:

    TRT-8502-EntropyCalibration2
    input: 3c010a14             float32 in hexadecimal, most significant byte first

Sources: NVIDIA/Deep-Learning-Accelerator-SW tools/qdq-translator (format, what is spread), TensorRT's developer guide,
"Working with DLA" and "Post-training quantization using calibration".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from explorer.errors import BadInput, JobFailed, Problem
from explorer.passes import Report, graphs, notes
from explorer.passes.calibration import RANDOM, Calibration, calibration_of
from explorer.passes.extremes import extremes
from explorer.passes.fidelity import exact
from explorer.passes.pairs import INT8, Pair, pairs_of, without
from explorer.passes.threads import frugal_sessions

DEFAULT_VERSION = (8, 5, 2)  # JetPack 5.1; the agent reads the scales whatever the version
_STEPS = 127
# The numbers that come out are those that went in, or some of them.
_MOVE = (
    "Reshape",
    "Flatten",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Dropout",
    "DepthToSpace",
    "SpaceToDepth",
)
_PICK = ("MaxPool", "GlobalMaxPool", "Slice", "Split", "Gather", "Expand", "Tile")
# What these cut off need not be held by the tensor before them: they are fused into what gives it.
_CUT = ("Relu", "Clip", "MaxPool")
_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "BatchNormalization")


def run(
    inputs: Mapping[str, Path], params: Mapping[str, Any], out: Path, *, progress: Report | None = None
) -> dict[str, Any]:
    """Turn the pairs of ``inputs["onnx"]`` into ranges.

    Args:
        inputs: ``onnx``, as `explorer.passes.quantise` writes it by the recipe "tensorrt".
        params: ``dataset``, ``calibration``, ``sample_shape``, ``seed`` and ``search`` as there; optional ``tensorrt``
            [major, minor, patch], which the cache's first line names.
        out: the .onnx file to write; its note ``explorer.calibration`` is the cache.
        progress: told the fraction of the measuring done.

    Returns:
        ``tensors`` {``pairs``, ``spread``, ``measured``}: how many have their scale from where; ``layers`` {operator:
        count} of those that had pairs; ``weights`` {``kept``, ``restored``}: float in the file, or made from integers;
        ``calibration`` {``samples``, ``source``}, None where nothing was measured; ``notes``.

    Raises:
        BadInput: the file holds no pairs, or pairs that are no symmetric int8.
        JobFailed: the float network does not load, or gives numbers that are not finite.
    """
    model = graphs.load(inputs["onnx"])
    pairs = _symmetric(pairs_of(model), inputs["onnx"])
    plain = without(model, pairs)
    graphs.constants_stored(plain)
    names = graphs.computed(plain)
    scales = {pair.tensor: float(pair.scale.max()) for pair in pairs if not pair.weight}
    known = spread(plain.graph, scales)
    missing = [name for name in names if name not in known]
    calibration = calibration_of(plain, params) if missing else None
    measured = _measured(plain, missing, calibration, progress) if calibration else {}
    every = {name: known.get(name) or measured[name] for name in names} | _operands(plain.graph)
    notes.write(plain, notes.CALIBRATION, cache(every, params.get("tensorrt") or DEFAULT_VERSION))
    _save(plain, out)
    return {
        "tensors": {
            "pairs": sum(name in scales for name in names),
            "spread": sum(name in known and name not in scales for name in names),
            "measured": len(missing),
        },
        "layers": _layers(model, pairs),
        "weights": _weights(model, pairs),
        "calibration": {"samples": calibration.count, "source": calibration.source} if calibration else None,
        "notes": [f"measured on {RANDOM}"] if calibration and calibration.source == RANDOM else [],
    }


def cache(scales: Mapping[str, float], version: Sequence[int]) -> str:
    """`scales` in the format of TensorRT's calibration cache.

    Args:
        scales: tensor → what one step of int8 is worth, above 0.
        version: major, minor and patch of TensorRT, for the first line.
    """
    lines = [f"{name}: {struct.pack('>f', scale).hex()}" for name, scale in scales.items()]
    return "\n".join([f"TRT-{_number(version)}-EntropyCalibration2", *lines]) + "\n"


def _number(version: Sequence[int]) -> int:
    """8.5.2 is 8502, 10.3.0 is 100300: as NvInferVersion.h does it."""
    if len(version) != 3 or not all(isinstance(part, int) for part in version):
        raise BadInput(
            Problem("no version of TensorRT", path="tensorrt", seen=repr(version), allowed="[major, minor, patch]")
        )
    major, minor, patch = version
    return (major * 1000 if major < 10 else major * 10000) + minor * 100 + patch


def spread(graph: onnx.GraphProto, scales: Mapping[str, float]) -> dict[str, float]:
    """`scales`, and those of the tensors that hold the same numbers or whose other numbers are cut off."""
    known, shown = dict(scales), {value.name for value in graph.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    size = -1
    while len(known) > size:
        size = len(known)
        for node in graph.node:
            before, after = node.input[0] if node.input else "", node.output[0]
            alone = len(readers.get(before, ())) == 1 and before not in shown
            if before in known and node.op_type in (*_MOVE, *_PICK):
                known.update({name: known[before] for name in node.output if name and name not in known})
            elif after in known and before and (node.op_type in _MOVE or node.op_type in _CUT and alone):
                known.setdefault(before, known[after])
    return known


def _symmetric(pairs: tuple[Pair, ...], file: Path) -> tuple[Pair, ...]:
    hint = "quantise by the recipe tensorrt"
    if not pairs:
        raise BadInput(Problem("the file holds no Q/DQ pairs", file=file, hint=hint))
    odd = next((p for p in pairs if p.type != INT8 or not p.centred or not p.weight and p.scale.size != 1), None)
    if odd is not None:
        kind = onnx.TensorProto.DataType.Name(odd.type)
        seen = f"{odd.tensor}: {kind}, zero point {'' if odd.centred else 'not '}0, {odd.scale.size} scales"
        allowed = "int8, zero point 0, one scale for an activation"
        raise BadInput(Problem("these pairs are no ranges", file=file, seen=seen, allowed=allowed, hint=hint))
    return pairs


def _measured(
    model: onnx.ModelProto, names: Sequence[str], calibration: Calibration, progress: Report | None
) -> dict[str, float]:
    with frugal_sessions():
        found = extremes(model, names, calibration, progress=progress)
    endless = next((name for name, most in found.items() if not np.isfinite(most)), None)
    if endless is not None:
        raise JobFailed(f"{endless} holds numbers that are not finite")
    return {name: _scale(most) for name, most in found.items()}


def _scale(most: float) -> float:
    return (most or 1.0) / _STEPS  # what has always been 0 fits any range, and a scale of 0 none


def _operands(graph: onnx.GraphProto) -> dict[str, float]:
    """Scales of the stored operands of sums and products, which TensorRT holds as tensors, too."""
    read = {name for node in graph.node if node.op_type not in _WITH_WEIGHTS for name in node.input}
    floats = [tensor for tensor in graph.initializer if tensor.data_type == graphs.FLOAT and tensor.name in read]
    return {tensor.name: _scale(float(np.abs(numpy_helper.to_array(tensor)).max(initial=0.0))) for tensor in floats}


def _layers(model: onnx.ModelProto, pairs: tuple[Pair, ...]) -> dict[str, int]:
    outputs = {pair.output for pair in pairs if not pair.weight}
    found: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear", *_MOVE) and outputs & set(node.input):
            found[node.op_type] = found.get(node.op_type, 0) + 1
    return found


def _weights(model: onnx.ModelProto, pairs: tuple[Pair, ...]) -> dict[str, int]:
    floats = {tensor.name for tensor in model.graph.initializer if tensor.data_type == graphs.FLOAT}
    weights = [pair.tensor for pair in pairs if pair.weight]
    kept = sum(name in floats for name in weights)
    return {"kept": kept, "restored": len(weights) - kept}


def _save(model: onnx.ModelProto, out: Path) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise JobFailed(f"the float network is no valid ONNX: {error}"[:500]) from error
    exact(model.SerializeToString())
    onnx.save(model, out)
