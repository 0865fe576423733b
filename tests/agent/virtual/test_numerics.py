"""What a network computes in a precision, against the same arithmetic in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from explorer_agent.messages import AgentError
from explorer_agent.virtual import numerics

from ..networks import convolutional, quantised
from . import nets

Array = NDArray[np.float32]
WEIGHT = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
GIVEN = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)


def matmul(path: Path, *, calibration: str = "") -> Path:
    """input × weight → out."""
    ports = [("input", 3), ("out", 2)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in ports]
    node = helper.make_node("MatMul", ["input", "w"], ["out"])
    graph = helper.make_graph([node], "net", values[:1], values[1:], [numpy_helper.from_array(WEIGHT, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if calibration:
        entry = model.metadata_props.add()
        entry.key, entry.value = numerics.CALIBRATION, calibration
    onnx.save(model, path)
    return path


def run(path: Path, given: Array = GIVEN) -> Array:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input": given})[0])


def half(values: Array) -> Array:
    return values.astype(np.float16).astype(np.float32)


def brain(values: Array) -> Array:
    low = np.asarray(values, np.float32).view(np.uint32)
    return ((low + 0x7FFF + (low >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


@pytest.mark.parametrize(("precision", "rounded"), [("fp16", half), ("bf16", brain)])
def test_weights_and_results_are_rounded(precision: str, rounded: object, tmp_path: Path) -> None:
    words = numerics.write(matmul(tmp_path / "n"), precision, tmp_path / "out")
    assert callable(rounded)
    expected = rounded(rounded(GIVEN) @ rounded(WEIGHT))
    assert words == f"2 tensors rounded to {precision}, fp32 sums"
    np.testing.assert_allclose(run(tmp_path / "out"), expected, rtol=1e-2 if precision == "bf16" else 1e-3)
    assert np.abs(run(tmp_path / "out") - GIVEN @ WEIGHT).max() > 1e-4, "not what fp32 gives"
    assert np.array_equal(rounded(run(tmp_path / "out")), run(tmp_path / "out")), "nothing between two of its numbers"


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_fp32_is_left_alone(precision: str, tmp_path: Path) -> None:
    assert numerics.write(matmul(tmp_path / "n"), precision, tmp_path / "out") == "fp32"
    np.testing.assert_allclose(run(tmp_path / "out"), GIVEN @ WEIGHT, rtol=1e-5)


def test_a_calibration_quantises_where_it_has_a_scale(tmp_path: Path) -> None:
    calibration = "TRT-8502-EntropyCalibration2\ninput: 3cf5c28f\nout: 3d23d70a\n"  # 0.03 and 0.04
    words = numerics.write(matmul(tmp_path / "n", calibration=calibration), "int8", tmp_path / "out")
    assert words == "2 tensors quantised as the calibration says, fp32 sums"
    given = np.clip(np.round(GIVEN / np.float32(0.03)), -128, 127) * np.float32(0.03)
    scale = np.abs(WEIGHT).max(axis=0, keepdims=True) / 127
    product = given @ (np.round(WEIGHT / scale) * scale)
    expected = np.clip(np.round(product / np.float32(0.04)), -128, 127) * np.float32(0.04)
    np.testing.assert_allclose(run(tmp_path / "out"), expected, atol=0.0401)
    assert np.mean(np.abs(run(tmp_path / "out") - expected) < 1e-4) > 0.8
    assert len(np.unique(np.round(run(tmp_path / "out") / 0.04))) > 3


@pytest.mark.parametrize("line", ["input: 3cf5", "input: xyz", "input 3cf5c28f z"])
def test_a_calibration_without_a_number_is_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="has no scale in"):
        numerics.write(matmul(tmp_path / "n", calibration=f"TRT-1\n{line}\n"), "int8", tmp_path / "out")


def test_best_rounds_a_float_network_and_takes_a_quantised_one_as_it_is(tmp_path: Path) -> None:
    source = convolutional(tmp_path / "float")
    assert "rounded to fp16" in numerics.write(source, "best", tmp_path / "out")
    assert numerics.write(quantised(source, tmp_path / "q"), "best", tmp_path / "out") == "int8 as QuantizeLinear says"
    calibrated = nets.calibrated(source, tmp_path / "c")
    assert "quantised as the calibration says" in numerics.write(calibrated, "best", tmp_path / "out")


def test_a_network_of_many_layers_still_gives_its_outputs_by_name(tmp_path: Path) -> None:
    source = convolutional(tmp_path / "float", outputs=2)
    numerics.write(source, "fp16", tmp_path / "out")
    names = [[port.name for port in onnx.load(path).graph.output] for path in (source, tmp_path / "out")]
    assert names[0] == names[1] == ["embedding", "features"]
    given = np.random.default_rng(2).random((3, 1, 16, 16), dtype=np.float32)
    np.testing.assert_allclose(run(tmp_path / "out", given), run(source, given), rtol=0.02, atol=0.002)
