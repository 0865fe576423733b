"""Quantise to int8, or to fp8, by calibration: an .onnx file in, one with Q/DQ pairs out.

The ranges of activations are learnt from inputs of the training split: the smallest and the largest value seen, unless
the recipe or the user says something else. Which layers become int8, and in which form, is the recipe's: see
`explorer.passes.recipes`. A file for TensorRT is checked against its rules (`explorer.passes.explicit`) before it is
given out.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from explorer.errors import BadInput, JobFailed, Problem
from explorer.passes import Report, explicit, float8, notes
from explorer.passes.calibration import RANDOM, Calibration, Reader, calibration_of
from explorer.passes.fidelity import sqnr_db
from explorer.passes.quiet import quiet
from explorer.passes.recipes import Choice, QuantRecipe, choose, recipe_of
from explorer.passes.threads import frugal_sessions

_METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
_OLDEST_OPSET = 13  # the first with Q/DQ per channel


def run(
    inputs: Mapping[str, Path], params: Mapping[str, Any], out: Path, *, progress: Report | None = None
) -> dict[str, Any]:
    """Quantise ``inputs["onnx"]``.

    Args:
        inputs: ``onnx``.
        params: ``recipe`` (a key of `RECIPES`) and any of `SETTINGS`, which go before it; optional ``precision``: int8,
            or for TensorRT fp8, in a file that then says that it is strongly typed; ``dataset`` {name, options},
            or none: then normal random numbers stand in; optional ``calibration`` (how many inputs, default 256),
            ``sample_shape`` (for a file that leaves sizes open), ``seed`` (of random inputs), ``search``.
        out: the .onnx file to write.
        progress: told the fraction of the calibration done.

    Returns:
        ``recipe``; ``calibration`` {``samples``, ``source``}; ``int8`` (or ``fp8``) {operator: count}; ``float``
        {layer: why}; ``sqnr_db``: signal to quantisation noise of the first output, in exact Q/DQ arithmetic;
        ``notes``.

    Raises:
        BadInput: the file, the recipe or the calibration data cannot be used.
        JobFailed: the quantised file does not run, or breaks a rule of TensorRT's.
    """
    recipe = recipe_of(params)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder, frugal_sessions():
        prepared = Path(folder, "prepared.onnx")
        model = _prepare(inputs["onnx"], prepared, float8.OLDEST_OPSET if recipe.float8 else _OLDEST_OPSET)
        calibration = calibration_of(model, params)
        chosen = choose(model, recipe)
        _quantise(prepared, out, Reader(calibration, progress), recipe, [c for c in chosen if not c.why_float])
        if recipe.float8:
            _to_float8(out)
        if params["recipe"] == "tensorrt":
            _check_rules(out)
        ratio = sqnr_db(prepared, out, calibration)
    return {
        "recipe": params["recipe"],
        "calibration": {"samples": calibration.count, "source": calibration.source},
        "fp8" if recipe.float8 else "int8": dict(Counter(c.op for c in chosen if not c.why_float)),
        "float": {c.node: c.why_float for c in chosen if c.why_float},
        "sqnr_db": ratio,
        "notes": _notes(chosen, calibration, "fp8" if recipe.float8 else "int8"),
    }


def _prepare(path: Path, prepared: Path, oldest_opset: int) -> onnx.ModelProto:
    """Write to `prepared`, and return, the model with constants folded, shapes inferred and every node named."""
    try:
        source = onnx.load(path)
        with quiet():
            quant_pre_process(path, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
    except Exception as error:
        seen = f"{type(error).__name__}: {error}"[:300]
        raise BadInput(Problem("cannot read the ONNX file", file=path, seen=seen)) from error
    opset = next(entry.version for entry in source.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < oldest_opset:
        allowed, precision = f"{oldest_opset} or newer", "int8" if oldest_opset == _OLDEST_OPSET else "fp8"
        raise BadInput(
            Problem(f"this file's opset is too old for {precision}", file=path, seen=str(opset), allowed=allowed)
        )
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    onnx.save(model, prepared)
    return model


def _quantise(prepared: Path, out: Path, reader: Reader, recipe: QuantRecipe, chosen: Sequence[Choice]) -> None:
    if not chosen:  # asked for no node in particular, onnxruntime would take them all
        onnx.save(_slim(onnx.load(prepared)), out)
        return
    types = sorted({choice.op for choice in chosen})
    options = {**recipe.options, "QuantizeBias": recipe.bias, "ActivationSymmetric": recipe.symmetric}
    if not recipe.outputs:
        options["OpTypesToExcludeOutputQuantization"] = types
    if recipe.method != "minmax":  # the others hold every activation of every input of a stride
        options["CalibStridedMinMax"] = reader.stride
    try:
        with quiet():
            quantize_static(
                prepared,
                out,
                reader,
                quant_format=QuantFormat.QDQ,
                calibrate_method=_METHODS[recipe.method],
                activation_type=QuantType.QInt8 if recipe.signed else QuantType.QUInt8,
                weight_type=QuantType.QInt8 if recipe.signed_weights else QuantType.QUInt8,
                per_channel=recipe.per_channel,
                reduce_range=recipe.reduce_range,
                op_types_to_quantize=types,
                nodes_to_quantize=[choice.node for choice in chosen],
                extra_options=options,
            )
    except Exception as error:
        raise JobFailed(f"the network could not be quantised: {type(error).__name__}: {error}"[:500]) from error
    onnx.save(_slim(onnx.load(out)), out)


def _to_float8(out: Path) -> None:
    model = float8.from_int8(onnx.load(out))
    notes.write(model, notes.TYPING, "strong")
    onnx.save(model, out)


def _check_rules(out: Path) -> None:
    if rules := explicit.broken(onnx.load(out)):
        raise JobFailed(f"the quantised network is not as TensorRT takes it: {'; '.join(rules)}"[:500])


def _slim(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the operator sets that onnxruntime imports and nothing uses: other parsers stumble over them."""
    used = {node.domain for node in model.graph.node} | {""}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


def _notes(chosen: Sequence[Choice], calibration: Calibration, precision: str) -> list[str]:
    told = []
    if calibration.source == RANDOM:
        told.append(f"calibrated on {RANDOM}")
    if all(choice.why_float for choice in chosen):
        told.append(f"no layer became {precision}: the file computes in float")
    return told
