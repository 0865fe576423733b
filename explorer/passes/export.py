"""Write a network as ONNX and check the file against the network: a checkpoint in, an .onnx file out.

Everything but the batch is static; the batch is axis 0 and called "batch". Frames and sizes are those of the dataset's
samples, so that a compiler may plan for them. Opset 18 and later come from PyTorch's graph exporter; 17 and earlier,
which the parsers of TensorRT 8.5 need (JetPack 5), from its older TorchScript exporter.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from explorer.errors import BadInput, JobFailed, Problem
from explorer.models import checkpoint
from explorer.models.protocols import tensor_names
from explorer.passes import Report
from explorer.passes.cost import cost
from explorer.passes.data import sample_shape, search_folder
from explorer.passes.quiet import quiet

DEFAULT_OPSET = 20
OLDEST_OPSET, NEWEST_OPSET = 13, 23  # 13: the first with per-channel quantisation
_OLDEST_OF_GRAPH_EXPORTER = 18

# Batches the file is checked at: one, and one that nothing in the graph can have been specialised to.
_CHECKED_BATCHES = (1, 3)

# Error of the file's outputs, relative to their largest value, above which it is not the same network.
_TOLERANCE = 1e-3


def run(
    inputs: Mapping[str, Path], params: Mapping[str, Any], out: Path, *, progress: Report | None = None
) -> dict[str, Any]:
    """Export ``inputs["checkpoint"]``.

    Args:
        inputs: ``checkpoint``.
        params: ``sample_shape`` or ``dataset``; optional ``opset`` (13 … 23, default 20) and ``search``.
        out: the .onnx file to write; equal networks give equal bytes.
        progress: told when it is done.

    Returns:
        ``params`` (weights in the file), ``macs`` (per sample), ``opset``, ``inputs``, ``outputs`` (names), and
        ``max_abs_error``: the largest difference between ONNX Runtime and PyTorch on random inputs.

    Raises:
        BadInput: the opset is out of range, or the network cannot be exported.
        JobFailed: the file does not compute what the network computes.
    """
    opset = _checked_opset(params.get("opset") or DEFAULT_OPSET)
    module, _ = checkpoint.load(inputs["checkpoint"], search=search_folder(params))
    shape = sample_shape(params)
    model = export(module, shape, opset=opset)
    onnx.save(model, out)
    info = {
        "params": sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.data_type == _FLOAT),
        "macs": cost(module, torch.zeros(1, *shape)).macs,
        "opset": opset,
        "inputs": [value.name for value in model.graph.input],
        "outputs": [value.name for value in model.graph.output],
        "max_abs_error": check(out, module, shape),
    }
    if progress is not None:
        progress(1.0, f"largest difference to PyTorch {info['max_abs_error']:.1e}")
    return info


_FLOAT = int(onnx.TensorProto.FLOAT)


def export(module: nn.Module, shape: tuple[int, ...], *, opset: int = DEFAULT_OPSET) -> onnx.ModelProto:
    """The network as an ONNX model with a dynamic batch; `shape` is that of one sample.

    Raises:
        BadInput: PyTorch cannot export the network.
    """
    module = module.eval()
    example = torch.rand(
        2, *shape, generator=torch.Generator().manual_seed(0)
    )  # a batch of 1 would be taken for constant
    input_name, output_name = tensor_names(module)
    exporter = _by_graph if opset >= _OLDEST_OF_GRAPH_EXPORTER else _by_torchscript
    try:
        with quiet():
            model = exporter(module, example, input_name, output_name, opset)
    except Exception as error:
        cause = error.__cause__ or error  # the exporter's own words are advice on reporting bugs
        seen = f"{type(cause).__name__}: {cause}"[:300]
        hint = "its forward must be traceable: no branches on values, no Python numbers taken from tensors"
        raise BadInput(Problem("this network cannot be exported to ONNX", seen=seen, hint=hint)) from error
    return _clean(model)


def check(path: Path, module: nn.Module, shape: tuple[int, ...]) -> float:
    """Largest difference between the file in ONNX Runtime and the network in PyTorch.

    Raises:
        JobFailed: they do not compute the same, or the file refuses one of the batches.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random, worst = torch.Generator().manual_seed(1), 0.0
    for batch in _CHECKED_BATCHES:
        sample = torch.rand(batch, *shape, generator=random)
        with torch.no_grad():
            expected = _first(module(sample))
        got = session.run(None, {session.get_inputs()[0].name: sample.numpy()})[0]
        error = float(np.abs(got - expected.numpy()).max()) if got.shape == tuple(expected.shape) else float("inf")
        if not error <= _TOLERANCE * float(expected.abs().max()) + 1e-6:
            raise JobFailed(f"the ONNX file differs from the network by {error:.2g} at batch {batch}")
        worst = max(worst, error)
    return worst


def _by_graph(module: nn.Module, example: Tensor, into: str, out: str, opset: int) -> onnx.ModelProto:
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(
        module,
        (example,),
        dynamo=True,
        external_data=False,
        input_names=[into],
        output_names=[out],
        dynamic_shapes=({0: batch},),
        opset_version=opset,
        verbose=False,
    )
    assert program is not None  # with dynamo=True it is always returned
    model: onnx.ModelProto = program.model_proto
    return model


def _by_torchscript(module: nn.Module, example: Tensor, into: str, out: str, opset: int) -> onnx.ModelProto:
    buffer = io.BytesIO()
    torch.onnx.export(
        module,
        (example,),
        buffer,  # type: ignore[arg-type]  # this exporter takes files too
        dynamo=False,
        input_names=[into],
        output_names=[out],
        dynamic_axes={into: {0: "batch"}, out: {0: "batch"}},
        opset_version=opset,
    )
    return onnx.load_from_string(buffer.getvalue())


def _clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what depends on where the export ran (stack traces with paths): equal networks, equal bytes."""
    for message in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del message.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
    return model


def _checked_opset(opset: Any) -> int:
    if not isinstance(opset, int) or not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        allowed = f"{OLDEST_OPSET} … {NEWEST_OPSET}"
        raise BadInput(Problem("this opset cannot be written", path="opset", seen=repr(opset), allowed=allowed))
    return opset


def _first(outputs: Any) -> Tensor:
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    first: Tensor = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
    return first
