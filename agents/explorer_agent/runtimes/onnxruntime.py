"""ONNX Runtime on the CPU. Its engine is the network as optimised for this very processor and one batch size.

build: batch fixed, every graph optimisation, the result written as ONNX.   load: that file, optimisation off, so
that nothing is compiled twice and what is measured is what was built. The optimised file holds layouts of this
processor: it goes nowhere else.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any, Callable

from explorer_agent.messages import Deployment
from explorer_agent.runtimes import arrays, onnxfile
from explorer_agent.runtimes.library import cores, threads_each, why_not_importable

_CASTS = "on a CPU this runtime only adds casts around fp32 arithmetic, which is slower and no smaller in memory"
PRECISIONS = {"fp32": "", "int8": "", "fp16": _CASTS, "bf16": _CASTS}
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
_WARNING, _ERROR = 2, 3  # ONNX Runtime's levels of severity
_ARITHMETIC = ("Conv", "FusedConv", "ConvTranspose", "MatMul", "FusedMatMul", "Gemm", "FusedGemm", "Einsum")
_ARITHMETIC_INT8 = (
    "QLinearConv",
    "QLinearMatMul",
    "QGemm",
    "ConvInteger",
    "MatMulInteger",
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
)


class OnnxRuntime:
    """The runtime as the agent sees it."""

    def available(self) -> str:
        return why_not_importable("onnxruntime", "numpy")

    def describe(self) -> dict[str, Any]:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        return {"version": onnxruntime.__version__, "precisions": PRECISIONS, "streams_max": cores()}

    def build(self, source: Path, deployment: Deployment, out: Path) -> dict[str, Any]:
        import onnxruntime

        onnxfile.require(onnxfile.op_types(source), deployment.precision)
        options = onnxruntime.SessionOptions()
        options.add_free_dimension_override_by_name("batch", deployment.batch)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.optimized_model_filepath = str(out)
        options.log_severity_level = (
            _ERROR  # its warning that the result suits only this machine is what an engine is about
        )
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        return {"layers": _layers(onnxfile.op_types(out))}

    def load(self, engine: Path, deployment: Deployment) -> _Engine:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = threads_each(deployment)
        options.inter_op_num_threads = 1
        options.log_severity_level = _WARNING
        return _Engine(
            lambda: onnxruntime.InferenceSession(str(engine), options, providers=["CPUExecutionProvider"]),
            deployment.batch,
        )


class _Engine:
    """A session a stream: inferences that share one would share its threads too, and wait for each other."""

    def __init__(self, new_session: Callable[[], Any], batch: int) -> None:
        self._new_session = new_session
        self._session = new_session()
        self._in_use = False
        self._names = [output.name for output in self._session.get_outputs()]
        self._ports = [arrays.Port(i.name, _shape(i.shape, batch), _DTYPES[i.type]) for i in self._session.get_inputs()]

    def step(self, inputs: Path | None) -> Callable[[], Any]:
        session = self._new_session() if self._in_use else self._session
        self._in_use = True
        feeds = itertools.cycle(arrays.feeds(inputs, self._ports))
        run, names = session.run, self._names
        return lambda: run(names, next(feeds))

    def outputs(self, inputs: Path) -> bytes:
        return arrays.run_all(lambda feed: self._session.run(self._names, feed), inputs, self._ports, self._names)


def _shape(shape: Any, batch: int) -> Any:
    return (batch,) + tuple(size if isinstance(size, int) else 1 for size in shape[1:])


def _layers(ops: Counter[str]) -> dict[str, int]:
    """How many of the layers that do arithmetic run in which precision."""
    counts = {"fp32": sum(ops[name] for name in _ARITHMETIC), "int8": sum(ops[name] for name in _ARITHMETIC_INT8)}
    return {precision: count for precision, count in counts.items() if count}
