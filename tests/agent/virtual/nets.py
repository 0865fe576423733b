"""Small ONNX networks of every kind that a placement treats differently."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def _save(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]], shape: tuple[int, ...],
          out: tuple[object, ...]) -> Path:  # fmt: skip
    rng = np.random.default_rng(0)
    tensors = [
        numpy_helper.from_array((rng.standard_normal(size) * 0.1).astype(np.float32), name)
        for name, size in weights.items()
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, list(out))],
        tensors,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def dense(path: Path, *, channels: int = 64, size: int = 64) -> Path:
    """Two convolutions that a DLA can run, with what is fused to them, and a pooling."""
    nodes = [
        helper.make_node("Conv", ["input", "w1"], ["a"], name="one", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="two", pads=[1] * 4),
        helper.make_node("Add", ["c", "b"], ["d"], name="add"),
        helper.make_node("MaxPool", ["d"], ["out"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    weights = {"w1": (channels, channels, 3, 3), "w2": (channels, channels, 3, 3)}
    half = size // 2
    return _save(path, nodes, weights, (channels, size, size), ("batch", channels, half, half))


def mixed(path: Path, *, changes: int = 1, channels: int = 32, size: int = 32) -> Path:
    """Convolutions with an Erf, which no DLA knows, behind all but the last: so many changes to the GPU and back."""
    nodes, last = [], "input"
    for number in range(changes):
        nodes.append(helper.make_node("Conv", [last, f"w{number}"], [f"c{number}"], name=f"conv{number}", pads=[1] * 4))
        nodes.append(helper.make_node("Erf", [f"c{number}"], [f"e{number}"], name=f"erf{number}"))
        last = f"e{number}"
    nodes.append(helper.make_node("Conv", [last, f"w{changes}"], ["out"], name=f"conv{changes}", pads=[1] * 4))
    weights = {f"w{number}": (channels, channels, 3, 3) for number in range(changes + 1)}
    return _save(path, nodes, weights, (channels, size, size), ("batch", channels, size, size))


def volume(path: Path) -> Path:
    """A convolution in three dimensions."""
    nodes = [helper.make_node("Conv", ["input", "w"], ["out"], name="conv3d", pads=[1] * 6)]
    return _save(path, nodes, {"w": (8, 4, 3, 3, 3)}, (4, 8, 16, 16), ("batch", 8, 8, 16, 16))


def calibrated(source: Path, path: Path, *, batch: int = 2) -> Path:
    """`source` with the scales of its tensors, as seen on random inputs, as a calibration cache of TensorRT's."""
    model = onnx.load(source)
    inferred = onnx.shape_inference.infer_shapes(model)
    outputs = {value.name for value in model.graph.output}
    model.graph.output.extend(value for value in inferred.graph.value_info if value.name not in outputs)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    given = np.random.default_rng(1).random((batch, *port.shape[1:]), dtype=np.float32)
    names = [output.name for output in session.get_outputs()]
    tensors = {port.name: given, **dict(zip(names, session.run(names, {port.name: given}), strict=True))}
    scales = {name: float(np.abs(values).max()) / 127 for name, values in tensors.items()}
    lines = [f"{name}: {struct.pack('>f', scale).hex()}" for name, scale in scales.items()]
    written = onnx.load(source)
    entry = written.metadata_props.add()
    entry.key, entry.value = "explorer.calibration", "\n".join(["TRT-8502-EntropyCalibration2", *lines, ""])
    onnx.save(written, path)
    return path


def pointwise(path: Path) -> Path:
    """Nothing that a DLA knows."""
    nodes = [helper.make_node("Erf", ["input"], ["out"], name="erf")]
    return _save(path, nodes, {}, (4, 8, 8), ("batch", 4, 8, 8))
