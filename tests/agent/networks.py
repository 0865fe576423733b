"""Small real networks for the runtimes, written with onnx alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

SHAPE = (1, 16, 16)


def convolutional(path: Path, *, channels: int = 8, outputs: int = 1) -> Path:
    """conv → relu → conv → pool → linear, with a dynamic batch; `outputs` 2 also gives the pooled features."""
    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((rng.standard_normal(shape) * 0.2).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["input", "w1"], ["a"], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], pads=[1] * 4),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["features"]),
        helper.make_node("Gemm", ["features", "w3"], ["embedding"], transB=1),
    ]
    weights = [weight("w1", channels, 1, 3, 3), weight("w2", channels, channels, 3, 3), weight("w3", 10, channels)]
    ends = [("embedding", 10), ("features", channels)][:outputs]
    graph = helper.make_graph(
        nodes,
        "convolutional",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", *SHAPE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name, width in ends],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def two_inputs(path: Path) -> Path:
    """left + right, each [batch, 4]."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("left", "right", "sum")]
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    nodes = [helper.make_node("Add", ["left", "right"], ["s"]), helper.make_node("MatMul", ["s", "w"], ["sum"])]
    graph = helper.make_graph(nodes, "sum", ports[:2], ports[2:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self._batches = iter([{"input": samples(8)}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


def quantised(source: Path, path: Path) -> Path:
    """`source` with int8 weights and uint8 activations, as QuantizeLinear and DequantizeLinear."""
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(source, path, _Calibration(), quant_format=QuantFormat.QDQ, per_channel=True, **types)
    return path


def samples(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).random((count, *SHAPE), dtype=np.float32)
