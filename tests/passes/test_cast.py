"""Networks in fp16 and bf16: types that are really the file's own, what stays fp32 and why, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from explorer.errors import BadInput, JobFailed
from explorer.passes import cast, graphs, notes
from explorer.passes.fidelity import exact
from explorer.passes.halving import HALVES, halve
from explorer.passes.rounding import rounded
from tests.passes.conftest import DATA, GAIT, Exported, Quantised, calibrating, shape_of

TYPES = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
WITH_A_SUM = "tests.passes.data:Residual"
Floats = NDArray[np.float32]


def first_output(model: Path | bytes, inputs: Floats) -> Floats:
    session = exact(model)
    found: Floats = session.run(None, {session.get_inputs()[0].name: inputs})[0]
    return found


@pytest.mark.parametrize(
    ("precision", "opset", "least_db"),
    [
        ("fp16", 17, 45),
        pytest.param("fp16", 20, 45, marks=pytest.mark.slow),
        pytest.param("fp16", 23, 45, marks=pytest.mark.slow),
        ("bf16", 23, 25),
    ],
)
@pytest.mark.parametrize("name", DATA)
def test_weights_are_stored_in_half_and_the_ends_are_fp32(
    name: str, precision: str, opset: int, least_db: float, network: Exported, tmp_path: Path
) -> None:
    source = network(name, opset)
    info = cast.run({"onnx": source}, {"precision": precision, **calibrating(name)}, tmp_path / "out.onnx")
    model, before = onnx.load(tmp_path / "out.onnx"), onnx.load(source)
    onnx.checker.check_model(model, full_check=True)
    assert notes.read(model, notes.TYPING) == "strong"
    assert (list(model.graph.input), list(model.graph.output)) == (list(before.graph.input), list(before.graph.output))
    floats = [tensor for tensor in model.graph.initializer if tensor.data_type in (*TYPES.values(), TensorProto.FLOAT)]
    assert {tensor.data_type for tensor in floats} == {TYPES[precision]}
    assert info["weights"]["half"] == sum(int(np.prod(tensor.dims)) for tensor in floats) > 0
    types = graphs.types(model)
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")]
    assert layers
    assert all(types[name] == TYPES[precision] for node in layers for name in (*node.input, *node.output))
    assert info["float"] == {}
    assert info["casts"] == 2
    assert info["sqnr_db"] > least_db


@pytest.mark.parametrize("name", GAIT)
def test_onnxruntime_runs_the_fp16_file_at_any_batch(name: str, network: Exported, tmp_path: Path) -> None:
    source, out = network(name, 17), tmp_path / "out.onnx"
    cast.run({"onnx": source}, {"precision": "fp16", **calibrating(name)}, out)
    for batch in (1, 3):
        inputs = np.random.default_rng(0).random((batch, *shape_of(name)), np.float32)
        session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
        got = session.run(None, {session.get_inputs()[0].name: inputs})[0]
        assert got.dtype == np.float32
        expected = first_output(source, inputs)
        np.testing.assert_allclose(got, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize(("precision", "opset"), [("fp16", 20), ("bf16", 23)])
@pytest.mark.parametrize("quantised", ["int8", "fp8"])
def test_pairs_stay_pairs_with_scales_of_half_precision(
    quantised: str, precision: str, opset: int, for_tensorrt: Quantised, tmp_path: Path
) -> None:
    path, _ = for_tensorrt(WITH_A_SUM, opset, quantised)
    params = {"precision": precision, **calibrating(WITH_A_SUM)}
    info = cast.run({"onnx": path}, params, tmp_path / "out.onnx")
    model = onnx.load(tmp_path / "out.onnx")
    types = graphs.types(model)
    pairs = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    assert len(pairs) == len([node for node in onnx.load(path).graph.node if node.op_type == "DequantizeLinear"]) > 0
    assert {types[node.input[1]] for node in pairs} == {types[node.output[0]] for node in pairs} == {TYPES[precision]}
    assert info["sqnr_db"] > 15


# -- what stays fp32 ------------------------------------------------------------------------------------------------


def made_of(
    nodes: list[onnx.NodeProto], stored: dict[str, NDArray[Any]], *, opset: int = 20, domain: str = ""
) -> onnx.ModelProto:
    """x [n, 4] to y, of these nodes."""
    initializers = [numpy_helper.from_array(values, name) for name, values in stored.items()]
    ends = [helper.make_tensor_value_info(name, graphs.FLOAT, ["n", 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializers)
    domains = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=domains, ir_version=8)


def node(op: str, before: str, after: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, before.split(), after.split(), name=f"the_{op}", **attributes)


def run(model: onnx.ModelProto, folder: Path, precision: str = "fp16") -> tuple[dict[str, Any], onnx.ModelProto]:
    onnx.save(model, folder / "in.onnx")
    info = cast.run({"onnx": folder / "in.onnx"}, {"precision": precision, "calibration": 4}, folder / "out.onnx")
    return info, onnx.load(folder / "out.onnx")


ONES, LARGE = np.ones(4, np.float32), np.full(4, 1e5, np.float32)
SMALL = np.full(4, 1e-5, np.float32)


@pytest.mark.parametrize(
    ("op", "stored", "words"),
    [
        ("Exp", None, "larger numbers than it gives"),
        ("CumSum", np.array(1), "a long sum"),
        ("Mul", LARGE, "w holds 1e+05; fp16 ends at 65504"),
    ],
)
def test_numerics_that_need_fp32(op: str, stored: NDArray[Any] | None, words: str, tmp_path: Path) -> None:
    steps = [
        node("Mul", "x half", "a"),
        node(op, "a w" if stored is not None else "a", "b"),
        node("Mul", "b tiny", "y"),
    ]
    steps[0].name, steps[2].name = "first", "last"
    given = {"half": ONES / 20, "tiny": SMALL * 1000} | ({"w": stored} if stored is not None else {})
    info, model = run(made_of(steps, given), tmp_path)
    assert list(info["float"]) == [f"the_{op}"]
    assert words in info["float"][f"the_{op}"]
    types = graphs.types(model)
    kept = next(one for one in model.graph.node if one.name == f"the_{op}")
    assert [types[name] for name in (kept.input[0], kept.output[0])] == [graphs.FLOAT] * 2
    assert info["casts"] == 4
    assert info["sqnr_db"] > 45


def test_tensors_that_calibration_drives_beyond_fp16(tmp_path: Path) -> None:
    steps = [node("Mul", "x many", "a"), node("Add", "a a", "b"), node("Div", "b many", "y")]
    many = np.full(4, 6e4, np.float32)
    info, _ = run(made_of(steps, {"many": many}), tmp_path)
    assert set(info["float"]) == {"the_Mul", "the_Add", "the_Div"}
    assert "on calibration inputs; fp16 ends at 65504" in info["float"]["the_Add"]
    assert info["weights"] == {"half": 0, "float": 4, "flushed": 0}
    assert info["sqnr_db"] is None  # nothing has become half
    bf16, _ = run(made_of(steps, {"many": many}), tmp_path, "bf16")
    assert bf16["float"] == {}
    assert bf16["sqnr_db"] > 35


def test_weights_that_both_precisions_read_are_stored_in_both(tmp_path: Path) -> None:
    steps = [node("Mul", "x w", "a"), node("Pow", "a w", "b"), node("Add", "b w", "y")]
    info, model = run(made_of(steps, {"w": ONES * 2}), tmp_path)
    assert {tensor.name: tensor.data_type for tensor in model.graph.initializer} == {
        "w": TensorProto.FLOAT,
        "w_fp16": TensorProto.FLOAT16,
    }
    assert info["weights"] == {"half": 4, "float": 4, "flushed": 0}


def test_operators_that_onnx_does_not_know_stay_what_they_are() -> None:
    steps = [
        node("Relu", "x", "a"),
        helper.make_node("Odd", ["a"], ["b"], name="odd", domain="mine"),
        node("Abs", "b", "y"),
    ]
    model = made_of(steps, {}, domain="mine")
    model.graph.value_info.append(helper.make_tensor_value_info("b", graphs.FLOAT, ["n", 4]))
    why = cast.why_float(model, HALVES["fp16"], {})
    assert why == {"odd": "an operator that ONNX does not define"}
    made = halve(model, HALVES["fp16"], why).model
    odd = next(one for one in made.graph.node if one.op_type == "Odd")
    assert (list(odd.input), list(odd.output)) == (["a"], ["b"])


def test_branches_see_the_tensors_they_were_written_for(tmp_path: Path) -> None:
    def branch(op: str) -> onnx.GraphProto:
        shown = helper.make_tensor_value_info(f"{op}_out", graphs.FLOAT, ["n", 4])
        return helper.make_graph([helper.make_node(op, ["a"], [f"{op}_out"])], op, [], [shown])

    choice = helper.make_node(
        "If", ["yes"], ["b"], name="the_If", then_branch=branch("Relu"), else_branch=branch("Neg")
    )
    steps = [node("Mul", "x w", "a"), choice, node("Add", "b w", "y")]
    info, model = run(made_of(steps, {"w": ONES / 3, "yes": np.array(True)}), tmp_path)
    assert info["float"] == {"the_If": "it holds a graph of its own"}
    assert graphs.types(model)["a"] == graphs.FLOAT
    assert info["sqnr_db"] > 50


def test_types_in_attributes_and_constants_follow(tmp_path: Path) -> None:
    steps = [
        helper.make_node("Constant", [], ["c"], name="c", value=numpy_helper.from_array(ONES * 3)),
        helper.make_node("Constant", [], ["f"], name="f", value_float=0.5),
        node("Shape", "x", "shape"),
        node("ConstantOfShape", "shape", "filled", value=numpy_helper.from_array(np.full(1, 0.25, np.float32))),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"], name="zeros"),
        node("Cast", "shape", "sizes", to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["sizes"], ["size"], name="size", keepdims=0),
        helper.make_node("Sum", ["x", "c", "f", "filled", "zeros", "size"], ["y"], name="sum"),
    ]
    info, model = run(made_of(steps, {}), tmp_path)
    assert info["float"] == {}
    assert graphs.types(model)["sizes_fp16"] == TensorProto.FLOAT16
    assert info["weights"]["half"] == 5
    assert info["sqnr_db"] > 55


def test_inputs_that_are_fp32_by_definition_stay_so(tmp_path: Path) -> None:
    steps = [
        node("Unsqueeze", "x axes", "a"),
        helper.make_node("Resize", ["a", "", "scales"], ["b"], name="resize", mode="nearest"),
        node("Squeeze", "b axes", "y"),
    ]
    stored = {"axes": np.array([1]), "scales": np.ones(3, np.float32)}
    info, model = run(made_of(steps, stored), tmp_path)
    assert info["float"] == {}
    assert graphs.types(model)["scales"] == graphs.FLOAT
    assert info["half"]["Resize"] == 1


def test_names_that_are_taken(tmp_path: Path) -> None:
    steps = [node("Relu", "x", "a"), node("Abs", "a", "x_fp16"), node("Neg", "x_fp16", "y")]
    _, model = run(made_of(steps, {}), tmp_path)
    assert {"x_fp16_", "x_fp16_fp16"} <= {name for one in model.graph.node for name in one.output}


def test_weights_too_small_for_the_type_are_counted(tmp_path: Path) -> None:
    weights = np.array([1e-9, 0, 1, 2], np.float32)
    info, _ = run(made_of([node("Mul", "x w", "y")], {"w": weights}), tmp_path)
    assert info["weights"]["flushed"] == 1
    assert any("1 weights are too small for the type" in note for note in info["notes"])


def test_overflow_that_calibration_did_not_see_is_caught() -> None:
    """The inputs it is checked on are its own; here the check is given hotter ones."""
    from explorer.passes.calibration import Calibration

    model = made_of([node("Mul", "x w", "a"), node("Div", "a w", "y")], {"w": np.full(4, 6e4, np.float32)})
    made = halve(model, HALVES["fp16"], {}).model
    hot = Calibration(1, "test", lambda index: {"x": np.full((1, 4), 5, np.float32)})
    with pytest.raises(JobFailed, match="not finite"):
        cast._fidelity(model, made, hot, HALVES["fp16"])


# -- the yardstick --------------------------------------------------------------------------------------------------


def test_rounding_is_what_numpy_computes_in_fp16() -> None:
    model = made_of([node("Mul", "x w", "a"), node("Add", "a x", "b"), node("Sub", "b w", "y")], {"w": ONES / 3})
    made = rounded(halve(model, HALVES["fp16"], {}).model, TensorProto.FLOAT16)
    inputs = np.random.default_rng(0).standard_normal((50, 4), np.float32)
    x, w = inputs.astype(np.float16), (ONES / 3).astype(np.float16)
    np.testing.assert_array_equal(first_output(made.SerializeToString(), inputs), (x * w + x - w).astype(np.float32))
    assert graphs.types(made)["y"] == graphs.FLOAT


# -- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "int8", None])
def test_other_precisions(precision: str | None, network: Exported, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"precision: (.|\n)*allowed: fp16, bf16"):
        cast.run({"onnx": network(WITH_A_SUM, 17)}, {"precision": precision}, tmp_path / "out.onnx")


def test_bf16_layers_need_a_new_opset(network: Exported, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no bf16 Conv in this opset(.|\n)*opset 20(.|\n)*opset 22 or newer"):
        cast.run({"onnx": network(WITH_A_SUM, 20)}, {"precision": "bf16", "calibration": 2}, tmp_path / "out.onnx")


def test_pairs_of_an_old_opset_are_not_torn(for_tensorrt: Quantised, tmp_path: Path) -> None:
    params = {"precision": "fp16", "calibration": 2}
    with pytest.raises(BadInput, match=r"pairs cannot be fp16(.|\n)*opset 17(.|\n)*opset 19 or newer"):
        cast.run({"onnx": for_tensorrt(WITH_A_SUM, 17)[0]}, params, tmp_path / "out.onnx")


def test_random_inputs_are_owned_up_to_and_equal_files_give_equal_bytes(network: Exported, tmp_path: Path) -> None:
    told: list[float] = []
    for name in ("one", "other"):
        source, params = {"onnx": network(WITH_A_SUM, 17)}, {"precision": "fp16", "calibration": 4}
        info = cast.run(source, params, tmp_path / name, progress=lambda fraction, _: told.append(fraction))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert "random numbers" in info["notes"][0]
    assert told == [0.25, 0.5, 0.75, 1.0] * 2
