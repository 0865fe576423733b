"""The work that is compared: a small CNN, 48 ways to quantise it for ONNX Runtime, and how long each takes to answer.

Imported by the bare loop and by Olive's sweep, each in its own environment: numpy, onnx and onnxruntime are all it
needs.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader

SHAPE = (1, 3, 48, 48)
CHANNELS = (3, 24, 32, 48, 64, 64)
CALIBRATION = 256  # samples; the default of a space file
WARM_UP, TIMED = 10, 20  # inferences; Olive's own defaults

# 2 x 2 x 2 x 2 x 3 = 48
OPTIONS: dict[str, tuple[Any, ...]] = {
    "per_channel": (False, True),
    "reduce_range": (False, True),
    "weights": ("int8", "uint8"),
    "activation_symmetric": (False, True),
    "calibration_method": ("MinMax", "Entropy", "Percentile"),
}


def variants() -> Iterator[dict[str, Any]]:
    for values in itertools.product(*OPTIONS.values()):
        yield dict(zip(OPTIONS, values, strict=True))


def as_axes(variant: dict[str, Any]) -> dict[str, str]:
    """The variant in the words of a space file."""
    return {
        "calibration_method": variant["calibration_method"].lower(),
        "weight_type": variant["weights"],
        "weight_scale": "channel" if variant["per_channel"] else "tensor",
        "weight_range": "reduced" if variant["reduce_range"] else "full",
        "activation_range": "symmetric" if variant["activation_symmetric"] else "asymmetric",
    }


def write_cnn(path: Path, channels: tuple[int, ...] = CHANNELS) -> None:
    """Write the CNN of these channels, ready to be quantised (shapes inferred), weights drawn from a fixed seed."""
    rng = np.random.default_rng(7)
    nodes, weights, last = [], [], "input"
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(channels)):
        scale = np.sqrt(2 / (9 * fan_in))
        weights.append(_tensor(rng.normal(0, scale, (fan_out, fan_in, 3, 3)), f"w{i}"))
        stride = [2, 2] if i % 2 else [1, 1]
        nodes += [
            helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], name=f"conv{i}", pads=[1] * 4, strides=stride),
            helper.make_node("Relu", [f"c{i}"], [f"r{i}"], name=f"relu{i}"),
        ]
        last = f"r{i}"
    weights.append(_tensor(rng.normal(0, 0.1, (channels[-1], 10)), "head"))
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flatten"),
        helper.make_node("MatMul", ["flat", "head"], ["output"], name="head_matmul"),
    ]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", *SHAPE[1:]])]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 10])]
    graph = helper.make_graph(nodes, "cnn", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)


def _tensor(values: NDArray[np.float64], name: str) -> TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)


def samples(count: int = CALIBRATION) -> NDArray[np.float32]:
    """Calibration inputs [count, channels, height, width]."""
    return np.random.default_rng(11).random((count, *SHAPE[1:]), dtype=np.float32)


class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Feeds the calibration samples one by one."""

    def __init__(self) -> None:
        self._rest = iter(samples())

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        sample = next(self._rest, None)
        return None if sample is None else {"input": sample[None]}


def latency_ms(path: Path) -> float:
    """Median time of one inference on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {"input": samples(1)}
    seconds = [_timed(session, feed) for _ in range(WARM_UP + TIMED)]
    return float(np.median(seconds[WARM_UP:])) * 1e3


def _timed(session: onnxruntime.InferenceSession, feed: dict[str, NDArray[np.float32]]) -> float:
    started = time.perf_counter()
    session.run(None, feed)
    return time.perf_counter() - started
