"""Ranges for a DLA: a scale for every tensor, in the format of TensorRT's cache, and the float network unchanged."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from explorer.errors import BadInput, JobFailed
from explorer.passes import graphs, notes, quantise, ranges
from explorer.passes.fidelity import exact
from explorer.passes.pairs import pairs_of, without
from tests.passes import data
from tests.passes.conftest import DATA, GAIT, Exported, Quantised, calibrating, shape_of

WITH_A_SUM = "tests.passes.data:Residual"


def read(text: str) -> dict[str, float]:
    """A calibration cache, by its format alone: name, colon, float32 in hexadecimal, most significant byte first."""
    header, *lines = text.splitlines()
    assert re.fullmatch(r"TRT-\d{4,6}-EntropyCalibration2", header)
    found = [re.fullmatch(r"(.+): ([0-9a-f]{8})", line) for line in lines]
    assert all(found)
    pairs = [(one[1], struct.unpack(">f", bytes.fromhex(one[2]))[0]) for one in found if one]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def scales_of(path: Path) -> dict[str, float]:
    return read(notes.read(onnx.load(path), notes.CALIBRATION) or "")


def outputs(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    session = exact(path)
    found: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: inputs})[0]
    return found


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("name", DATA)
def test_every_tensor_has_a_scale_and_the_network_is_the_float_one(
    name: str, opset: int, for_tensorrt: Quantised, network: Exported, tmp_path: Path
) -> None:
    path, told = for_tensorrt(name, opset)
    info = ranges.run({"onnx": path}, calibrating(name), tmp_path / "out.onnx")
    model = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert not [node for node in model.graph.node if "quantize" in node.op_type.lower()]
    scales = scales_of(tmp_path / "out.onnx")
    computed = graphs.computed(model)
    assert set(computed) <= set(scales)
    assert all(scale > 0 for scale in scales.values())
    assert sum(info["tensors"].values()) == len(computed)
    assert sum(info["layers"].values()) == sum(told["int8"].values())
    assert info["weights"]["restored"] == 0
    assert notes.read(model, notes.TYPING) is None
    inputs = np.random.default_rng(0).random((2, *shape_of(name)), np.float32)
    expected = outputs(network(name, opset), inputs)
    np.testing.assert_allclose(outputs(tmp_path / "out.onnx", inputs), expected, atol=1e-4 * np.abs(expected).max())


def test_scales_come_from_the_pairs_spread_and_are_measured(for_tensorrt: Quantised, tmp_path: Path) -> None:
    path, _ = for_tensorrt("gaitset_tiny", 20)
    info = ranges.run({"onnx": path}, calibrating("gaitset_tiny"), tmp_path / "out.onnx")
    scales, model = scales_of(tmp_path / "out.onnx"), onnx.load(tmp_path / "out.onnx")
    of_pairs = {pair.tensor: float(pair.scale) for pair in pairs_of(onnx.load(path)) if not pair.weight}
    assert info["tensors"]["pairs"] == len(of_pairs) == 10
    assert {name: scales[name] for name in of_pairs} == of_pairs
    moved = [(n.input[0], n.output[0]) for n in model.graph.node if n.op_type in ("Reshape", "MaxPool", "Transpose")]
    spread = [(before, after) for before, after in moved if {before, after} & set(of_pairs)]
    assert len(spread) >= 3
    assert all(scales[before] == scales[after] for before, after in spread)
    names = [name for name in graphs.computed(model) if name not in of_pairs]
    most = dict.fromkeys(names, 0.0)
    session = exact(_showing(model, names).SerializeToString())
    for sample in data.silhouettes().calibration(8):
        for name, value in zip(names, session.run(names, {"silhouettes": sample[None]}), strict=True):
            most[name] = max(most[name], float(np.abs(value).max()))
    equal = [name for name in names if scales[name] == pytest.approx(most[name] / 127, rel=1e-6)]
    assert len(equal) >= info["tensors"]["measured"] > 40


def _showing(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, graphs.FLOAT, None) for name in names)
    return model


def test_what_relu_cuts_off_is_not_held(for_tensorrt: Quantised, tmp_path: Path) -> None:
    ranges.run({"onnx": for_tensorrt("gait3d_cnn_tiny", 17)[0]}, calibrating("gait3d_cnn_tiny"), tmp_path / "out.onnx")
    scales, graph = scales_of(tmp_path / "out.onnx"), onnx.load(tmp_path / "out.onnx").graph
    relus = [node for node in graph.node if node.op_type == "Relu"]
    assert len(relus) == 6
    assert all(scales[node.input[0]] == scales[node.output[0]] for node in relus)


def test_a_tensor_that_somebody_else_reads_keeps_what_relu_cuts_off() -> None:
    def node(op: str, before: str, after: str) -> onnx.NodeProto:
        return onnx.helper.make_node(op, [before], [after], name=after)

    nodes = [node("Relu", "x", "y"), node("Neg", "x", "z"), node("Relu", "u", "v"), node("Reshape", "y", "w")]
    graph = onnx.helper.make_graph(nodes, "g", [], [onnx.helper.make_tensor_value_info("u", graphs.FLOAT, None)])
    assert ranges.spread(graph, {"w": 1.0, "v": 2.0}) == {"w": 1.0, "v": 2.0, "y": 1.0}
    assert ranges.spread(graph, {"x": 3.0}) == {"x": 3.0}


def test_weights_stored_as_integers_become_floats_again(for_tensorrt: Quantised, tmp_path: Path) -> None:
    path, _ = for_tensorrt(WITH_A_SUM, 17)
    model = onnx.load(path)
    before = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in without(model, pairs_of(model)).graph.initializer
    }
    folded = _with_integer_weights(model)
    onnx.save(model, tmp_path / "folded.onnx")
    info = ranges.run({"onnx": tmp_path / "folded.onnx"}, calibrating(WITH_A_SUM), tmp_path / "out.onnx")
    assert info["weights"] == {"kept": 0, "restored": len(folded)}
    after = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "out.onnx").graph.initializer
    }
    for integers, (source, step) in folded.items():
        assert after[integers].dtype == np.float32
        assert np.abs(after[integers] - before[source]).max() <= step / 2 * 1.001


def _with_integer_weights(model: onnx.ModelProto) -> dict[str, tuple[str, float]]:
    """Replace each QuantizeLinear of weights by its result: name → (weights, largest step)."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = {}
    for node in [one for one in model.graph.node if one.op_type == "QuantizeLinear" and one.input[0] in stored]:
        values, scale = stored[node.input[0]], stored[node.input[1]]
        axis = graphs.attribute(node, "axis", 1)
        spread = scale.reshape([-1 if one == axis else 1 for one in range(values.ndim)])
        integers = np.clip(np.rint(values / spread), -128, 127).astype(np.int8)
        model.graph.initializer.append(numpy_helper.from_array(integers, node.output[0]))
        found[node.output[0]] = (node.input[0], float(scale.max()))
        model.graph.node.remove(node)
    assert len(found) == 3
    return found


def test_a_quantised_output_keeps_its_name(for_tensorrt: Quantised) -> None:
    model = onnx.load(for_tensorrt(WITH_A_SUM, 17)[0])
    pair = next(pair for pair in pairs_of(model) if not pair.weight)
    model.graph.output.append(onnx.helper.make_tensor_value_info(pair.output, graphs.FLOAT, [None] * 4))
    plain = without(model, pairs_of(model))
    onnx.checker.check_model(plain)
    assert plain.graph.node[-1].op_type == "Identity"
    assert exact(plain.SerializeToString()).run([pair.output], {"input": np.ones((1, 1, 8, 8), np.float32)})


@pytest.mark.parametrize(("version", "word"), [([8, 5, 2], "8502"), ([8, 6, 1], "8601"), ([10, 3, 0], "100300")])
def test_first_line_names_the_version_as_tensorrt_counts(version: list[int], word: str) -> None:
    text = ranges.cache({"a: b": 0.1, "x": 1.0}, version)
    assert text == f"TRT-{word}-EntropyCalibration2\na: b: 3dcccccd\nx: 3f800000\n"
    assert read(text)["a: b"] == np.float32(0.1)


def behind_a_pair(op: str, *operands: onnx.TensorProto) -> onnx.ModelProto:
    """x, a pair with steps of a half, and one operator more: y."""
    stored = [numpy_helper.from_array(np.float32(0.5), "scale"), numpy_helper.from_array(np.int8(0), "zero"), *operands]
    nodes = [
        onnx.helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="Q"),
        onnx.helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"], name="DQ"),
        onnx.helper.make_node(op, ["d", *(one.name for one in operands)], ["y"], name="last"),
    ]
    ends = [onnx.helper.make_tensor_value_info(name, graphs.FLOAT, ["n", 4]) for name in ("x", "y")]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("op", "operand", "measured", "scale"),
    [
        ("Reshape", np.array([0, -1]), 0, 0.5),
        ("Mul", np.full(1, 2, np.float32), 1, None),
        ("Mul", np.zeros(1, np.float32), 1, 1 / 127),  # any range fits it, and a scale of 0 none
    ],
)
def test_only_what_no_pair_tells_is_measured(
    op: str, operand: NDArray[Any], measured: int, scale: float | None, tmp_path: Path
) -> None:
    onnx.save(behind_a_pair(op, numpy_helper.from_array(operand, "operand")), tmp_path / "in.onnx")
    info = ranges.run({"onnx": tmp_path / "in.onnx"}, {"calibration": 3, "seed": 5}, tmp_path / "out.onnx")
    scales = scales_of(tmp_path / "out.onnx")
    assert info["tensors"] == {"pairs": 1, "spread": 1 - measured, "measured": measured}
    assert (info["calibration"] is None) == (measured == 0)
    assert bool(info["notes"]) == (measured > 0)  # random numbers are owned up to
    assert scales["x"] == 0.5
    seen = max(np.abs(np.random.default_rng([5, i]).standard_normal((1, 4), np.float32)).max() for i in range(3))
    assert scales["y"] == pytest.approx(2 * seen / 127 if scale is None else scale)
    assert ("operand" in scales) == (op == "Mul")  # TensorRT holds it as a tensor


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    onnx.save(behind_a_pair("Div", numpy_helper.from_array(np.zeros(1, np.float32), "operand")), tmp_path / "in.onnx")
    with pytest.raises(JobFailed, match="y holds numbers that are not finite"):
        ranges.run({"onnx": tmp_path / "in.onnx"}, {"calibration": 3}, tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("precision", "params", "words"),
    [
        ("fp8", {}, r"these pairs are no ranges(.|\n)*FLOAT8E4M3FN"),
        ("int8", {"tensorrt": [8, 5]}, r"tensorrt: (.|\n)*major, minor, patch"),
        ("int8", {"tensorrt": "8.5"}, r"tensorrt: (.|\n)*major, minor, patch"),
    ],
)
def test_bad_input(precision: str, params: dict[str, Any], words: str, for_tensorrt: Quantised, tmp_path: Path) -> None:
    path, _ = for_tensorrt(WITH_A_SUM, 20, precision)
    with pytest.raises(BadInput, match=words):
        ranges.run({"onnx": path}, {**calibrating(WITH_A_SUM), **params}, tmp_path / "out.onnx")


def test_files_without_such_pairs(network: Exported, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no Q/DQ pairs"):
        ranges.run({"onnx": network(WITH_A_SUM, 17)}, {}, tmp_path / "out.onnx")
    quantise.run({"onnx": network(WITH_A_SUM, 17)}, {"recipe": "openvino", "calibration": 2}, tmp_path / "in.onnx")
    with pytest.raises(BadInput, match=r"UINT8(.|\n)*quantise by the recipe tensorrt"):
        ranges.run({"onnx": tmp_path / "in.onnx"}, {}, tmp_path / "out.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(BadInput, match="cannot read the ONNX file"):
        ranges.run({"onnx": tmp_path / "text.onnx"}, {}, tmp_path / "out.onnx")


def test_equal_files_give_equal_bytes(for_tensorrt: Quantised, tmp_path: Path) -> None:
    for name in ("one", "other"):
        ranges.run({"onnx": for_tensorrt(GAIT[2], 17)[0]}, calibrating(GAIT[2]), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
