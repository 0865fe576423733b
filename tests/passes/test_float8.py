"""fp8 for TensorRT: pairs of E4M3 with scales of the whole range, and what stays in float."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from explorer.errors import BadInput
from explorer.passes import float8, notes, quantise
from explorer.passes.explicit import broken
from explorer.passes.pairs import FP8, pairs_of
from tests.passes.conftest import GAIT, Exported, Quantised

WITH_A_SUM = "tests.passes.data:Residual"


@pytest.mark.parametrize("name", [*GAIT, WITH_A_SUM])
def test_pairs_are_fp8_and_the_network_survives(name: str, for_tensorrt: Quantised) -> None:
    path, info = for_tensorrt(name, 20, "fp8")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    pairs = pairs_of(model)
    assert {pair.type for pair in pairs} == {FP8}
    assert all(pair.centred and (pair.weight or pair.scale.size == 1) for pair in pairs)
    assert broken(model) == ()
    assert sum(info["fp8"].values()) >= 2
    assert "int8" not in info
    assert info["sqnr_db"] > 18
    assert notes.read(model, notes.TYPING) == "strong"


@pytest.mark.parametrize("name", GAIT)
def test_scales_reach_the_largest_number_of_the_type(name: str, for_tensorrt: Quantised) -> None:
    """Per channel: the largest weight becomes ±448, so that nothing saturates and little falls below the smallest."""
    model = onnx.load(for_tensorrt(name, 20, "fp8")[0])
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = [pair for pair in pairs_of(model) if pair.weight]
    assert weights
    for pair in weights:
        values = np.moveaxis(stored[pair.tensor], pair.axis, 0)
        assert pair.scale.shape == (len(values),)
        scaled = values.reshape(len(values), -1) / pair.scale[:, None]
        np.testing.assert_allclose(np.abs(scaled).max(axis=1), 448, rtol=0.01)
        back = np.clip(scaled, -448, 448).astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
        assert np.abs(back - scaled)[np.abs(scaled) > 2**-6].max() <= 16 + 448 * 0.01  # half a step at the top


def test_activations_have_the_range_of_int8(for_tensorrt: Quantised) -> None:
    eight, float8_ = (
        {pair.tensor: pair for pair in pairs_of(onnx.load(for_tensorrt("gait3d_cnn_tiny", 20, precision)[0]))}
        for precision in ("int8", "fp8")
    )
    assert set(float8_) < set(eight)
    for name, pair in float8_.items():
        np.testing.assert_allclose(pair.scale * 448, eight[name].scale * 127, rtol=1e-6)


def test_what_has_no_fp8_stays_float_with_the_reason(for_tensorrt: Quantised) -> None:
    reasons = for_tensorrt("gaitset_tiny", 20, "fp8")[1]["float"]
    assert "fp8 convolutions need 16 channels on both sides: 1 to 8" in reasons.values()
    assert for_tensorrt("tests.models.data:Mixed", 20, "fp8")[1]["fp8"].keys() == {"Gemm"}


@pytest.mark.parametrize(
    ("op", "shape", "groups", "words"),
    [
        ("Conv", (32, 16, 3, 3), 1, ""),
        ("Conv", (32, 16, 3, 3, 3), 1, ""),
        ("Gemm", (10, 7), 1, ""),
        ("MatMul", (10, 7), 1, ""),
        ("Conv", (32, 16, 7, 7), 1, "at most 32 weights: 49"),
        ("Conv", (36, 16, 3, 3), 1, "alike modulo 16"),
        ("Conv", (16, 2, 3, 3), 1, "16 channels on both sides: 2 to 16"),
        ("Conv", (32, 1, 3, 3), 32, "in groups"),
        ("ConvTranspose", (32, 32, 2, 2), 1, "no fp8 transposed"),
    ],
)
def test_layers_that_have_fp8(op: str, shape: tuple[int, ...], groups: int, words: str) -> None:
    found = float8.why_not(op, shape, groups)
    assert words in found
    assert bool(found) == bool(words)


@pytest.mark.parametrize(
    ("opset", "params", "words"),
    [
        (17, {"recipe": "tensorrt", "precision": "fp8"}, r"opset is too old for fp8(.|\n)*19 or newer"),
        (20, {"recipe": "openvino", "precision": "fp8"}, r"openvino has no such precision(.|\n)*allowed: int8"),
        (20, {"recipe": "tensorrt", "precision": "fp4"}, r"precision: (.|\n)*allowed: int8, fp8"),
    ],
)
def test_where_there_is_no_fp8(
    opset: int, params: dict[str, str], words: str, network: Exported, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=words):
        quantise.run({"onnx": network(WITH_A_SUM, opset)}, params, tmp_path / "out.onnx")
