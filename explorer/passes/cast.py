"""Write a network in half precision: an fp32 .onnx file in, one whose own types are fp16 or bf16 out.

    input ─Cast─► half … half ─Cast─► what must stay fp32 ─Cast─► half … half ─Cast─► output

A strongly typed network is computed in the types that its file states, and TensorRT 11 knows no other. Here every
tensor keeps its name in fp32; its half is called NAME_fp16 or NAME_bf16. So inputs and outputs stay what they were.
An operator stays fp32, and is listed with the reason, where ONNX defines none of half precision, where its numerics
would suffer, where a weight does not fit, and where calibration inputs have driven a tensor beyond the type's end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from explorer.errors import BadInput, JobFailed, Problem
from explorer.passes import Report, graphs, notes
from explorer.passes.calibration import RANDOM, Calibration, calibration_of
from explorer.passes.extremes import extremes
from explorer.passes.fidelity import exact, sqnr_db
from explorer.passes.halving import HALVES, Half, Halved, halve, why_float
from explorer.passes.rounding import rounded
from explorer.passes.threads import frugal_sessions

_DEFAULT_SAMPLES = 32
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_PAIRS = ("QuantizeLinear", "DequantizeLinear")


def run(
    inputs: Mapping[str, Path], params: Mapping[str, Any], out: Path, *, progress: Report | None = None
) -> dict[str, Any]:
    """Cast ``inputs["onnx"]``; what it holds of Q/DQ pairs stays, with scales in half precision.

    Args:
        inputs: ``onnx``.
        params: ``precision`` (fp16 or bf16); ``dataset`` {name, options}, or none: then normal random numbers stand in;
            optional ``calibration`` (how many inputs drive the network to look for overflow, default 32),
            ``sample_shape``, ``seed``, ``search`` as in `explorer.passes.quantise`.
        out: the .onnx file to write; the note ``explorer.typing`` in it says "strong".
        progress: told the fraction of the inputs run.

    Returns:
        ``precision``; ``half`` {operator: count}; ``float`` {node: why it stays fp32}; ``weights`` {``half``,
        ``float``, ``flushed``}: how many are stored in each type, and how many of them became 0; ``casts``;
        ``sqnr_db``: signal to noise of the first output with every tensor of half precision rounded
        (`explorer.passes.rounding`), None when it is equal to the last bit; ``calibration`` {``samples``, ``source``};
        ``notes``.

    Raises:
        BadInput: the file or the precision cannot be used, or this opset has no layer of that precision.
        JobFailed: the cast file is no valid ONNX, or does not give finite numbers.
    """
    half = _half_of(params)
    model = graphs.load(inputs["onnx"])
    graphs.constants_stored(model)
    calibration = calibration_of(model, {**params, "calibration": params.get("calibration") or _DEFAULT_SAMPLES})
    with frugal_sessions():
        reached = extremes(model, graphs.computed(model), calibration, progress=progress)
        kept = why_float(model, half, reached)
        _check_layers(model, half, kept, inputs["onnx"])
        made = halve(model, half, kept)
        notes.write(made.model, notes.TYPING, "strong")
        _save(made.model, out)
        ratio = _fidelity(model, made.model, calibration, half)
    return {
        "precision": half.name,
        "half": dict(Counter(made.half)),
        "float": {name: reason for name, reason in kept.items() if name in made.float},
        "weights": {"half": made.weights, "float": made.weights_float, "flushed": made.flushed},
        "casts": made.casts,
        "sqnr_db": ratio,
        "calibration": {"samples": calibration.count, "source": calibration.source},
        "notes": _notes(made, calibration),
    }


def _half_of(params: Mapping[str, Any]) -> Half:
    precision = str(params.get("precision"))
    if precision not in HALVES:
        raise BadInput(
            Problem("no precision to cast to", path="precision", seen=repr(precision), allowed=", ".join(HALVES))
        )
    return HALVES[precision]


def _check_layers(model: onnx.ModelProto, half: Half, kept: Mapping[str, str], file: Path) -> None:
    """Refuse a file of which nothing would become half, and one whose pairs would be torn from their layers.

    Raises:
        BadInput: it is one of these.
    """
    undefined = [n for n in model.graph.node if half.missing(n.op_type) in kept.get(n.name, "")]
    torn = [node for node in undefined if node.op_type in _PAIRS]
    bare = [node for node in undefined if node.op_type in _LAYERS]
    seen = f"opset {graphs.opset(model)}"
    if torn:
        hint = "export with opset 19 or newer, from which on scales may be of half precision"
        raise BadInput(Problem(f"this file's Q/DQ pairs cannot be {half.name}", file=file, seen=seen, hint=hint))
    if bare:
        hint = f"export with opset {half.opset} or newer"
        raise BadInput(
            Problem(f"ONNX has no {half.name} {bare[0].op_type} in this opset", file=file, seen=seen, hint=hint)
        )


def _save(model: onnx.ModelProto, out: Path) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise JobFailed(f"the cast network is no valid ONNX: {error}"[:500]) from error
    onnx.save(model, out)


def _fidelity(model: onnx.ModelProto, made: onnx.ModelProto, calibration: Calibration, half: Half) -> float | None:
    """Signal to noise, every tensor of half precision rounded.

    Raises:
        JobFailed: the numbers are not finite; or ONNX Runtime, where it knows the type, does not run the file itself.
    """
    if half.runs_here and not np.isfinite(exact(made.SerializeToString()).run(None, calibration.feed(0))[0]).all():
        raise JobFailed(f"the {half.name} network gives numbers that are not finite")
    exactly, after = (one.SerializeToString() for one in (model, rounded(made, half.type)))
    return sqnr_db(exactly, after, calibration)


def _notes(made: Halved, calibration: Calibration) -> list[str]:
    told = []
    if calibration.source == RANDOM:
        told.append(f"looked for overflow on {RANDOM}")
    if made.flushed:
        told.append(f"{made.flushed} weights are too small for the type and became 0")
    return told
