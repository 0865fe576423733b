"""OpenVINO on the CPU. Its engine is the exported blob of the network compiled for one batch size and one precision.

Real bf16 and int8 where the processor has them. A hint of f16 silently becomes bf16 or fp32 on a CPU, so it is refused.
"""

from __future__ import annotations

import io
import itertools
from collections import Counter
from pathlib import Path
from typing import Any, Callable

from explorer_agent.messages import INFEASIBLE, AgentError, Deployment
from explorer_agent.runtimes import arrays, onnxfile
from explorer_agent.runtimes.library import cores, threads_each, why_not_importable

_NAMES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "i8": "int8", "u8": "int8"}
_ARITHMETIC = ("Convolution", "Deconvolution", "FullyConnected", "MatMul", "Gemm")


class OpenVino:
    """The runtime as the agent sees it."""

    def __init__(self) -> None:
        self._core: Any = None

    def available(self) -> str:
        return why_not_importable("openvino", "numpy")

    def describe(self) -> dict[str, Any]:
        import openvino

        has = self._ready().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precisions = {
            "fp32": "",
            "bf16": "" if "BF16" in has else "this processor has no bf16 arithmetic",
            "int8": "" if "INT8" in has else "this processor has no int8 arithmetic",
            "fp16": "" if "FP16" in has else "on this processor the f16 hint silently becomes another precision",
        }
        return {"version": openvino.get_version(), "precisions": precisions, "streams_max": cores()}

    def build(self, source: Path, deployment: Deployment, out: Path) -> dict[str, Any]:
        import openvino

        onnxfile.require(onnxfile.op_types(source), deployment.precision)
        model = self._ready().read_model(str(source))
        model.reshape({port: _batched(port.partial_shape, deployment.batch) for port in model.inputs})
        compiled = self._core.compile_model(
            model, "CPU", dict(_config(deployment), INFERENCE_PRECISION_HINT=_hint(deployment, openvino))
        )
        layers = _layers(compiled)
        if deployment.precision not in layers:
            reason = f"{deployment.precision} asked for, but no layer runs in it ({layers})"
            raise AgentError(INFEASIBLE, reason)
        blob = io.BytesIO()
        compiled.export_model(blob)
        out.write_bytes(blob.getvalue())
        return {"layers": layers}

    def load(self, engine: Path, deployment: Deployment) -> _Engine:
        import openvino

        config = dict(_config(deployment), INFERENCE_PRECISION_HINT=_hint(deployment, openvino))
        return _Engine(self._ready().import_model(engine.read_bytes(), "CPU", config), openvino)

    def _ready(self) -> Any:
        """The core with its CPU plug-in loaded: made once, and inherited by every job."""
        if self._core is None:
            import openvino

            self._core = openvino.Core()
        return self._core


class _Engine:
    def __init__(self, compiled: Any, openvino: Any) -> None:
        self._openvino = openvino
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._in_use = False
        self._names = [output.get_any_name() for output in compiled.outputs]
        self._ports = [
            arrays.Port(i.get_any_name(), tuple(i.shape), i.element_type.to_dtype().name) for i in compiled.inputs
        ]

    def step(self, inputs: Path | None) -> Callable[[], Any]:
        feeds = itertools.cycle([self._tensors(feed) for feed in arrays.feeds(inputs, self._ports)])
        request = self._compiled.create_infer_request() if self._in_use else self._request
        self._in_use = True
        if len(self._ports) > 1:
            return lambda: request.infer(next(feeds), share_outputs=True)

        def run() -> None:  # a tenth of the overhead of infer(), which wraps what comes out
            request.set_input_tensor(next(feeds)[0])
            request.start_async()
            request.wait()

        return run

    def _tensors(self, feed: arrays.Arrays) -> Any:
        return {
            number: self._openvino.Tensor(feed[port.name], shared_memory=True)
            for number, port in enumerate(self._ports)
        }

    def outputs(self, inputs: Path) -> bytes:
        def run(feed: arrays.Arrays) -> Any:
            results = self._request.infer(self._tensors(feed), share_outputs=True)
            return [results[number] for number in range(len(self._names))]

        return arrays.run_all(run, inputs, self._ports, self._names)


def _config(deployment: Deployment) -> dict[str, Any]:
    """One network for all streams, each with its own request; the threads are told for all streams together."""
    streams, threads = deployment.streams, threads_each(deployment)
    hint = "LATENCY" if streams == 1 else "THROUGHPUT"
    config: dict[str, Any] = {"PERFORMANCE_HINT": hint, "NUM_STREAMS": str(streams)}
    return dict(config, INFERENCE_NUM_THREADS=threads * streams) if threads else config


def _hint(deployment: Deployment, openvino: Any) -> Any:
    """What is not quantised runs in this precision; of an int8 network that is the rest, kept in fp32."""
    types = {
        "fp32": openvino.Type.f32,
        "int8": openvino.Type.f32,
        "bf16": openvino.Type.bf16,
        "fp16": openvino.Type.f16,
    }
    return types[deployment.precision]


def _batched(shape: Any, batch: int) -> Any:
    return [batch] + [dimension.get_length() for dimension in list(shape)[1:]]


def _layers(compiled: Any) -> dict[str, int]:
    """How many of the layers that do arithmetic run in which precision, as the compiled network itself tells."""
    counts: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        if "layerType" in info and info["layerType"].astype(str) in _ARITHMETIC:
            precision = info["runtimePrecision"].astype(str)
            counts[_NAMES.get(precision, precision)] += 1
    return dict(counts)
