"""int8: what each runtime's recipe puts into the file, and that real ONNX Runtime and OpenVINO compute it soundly."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from explorer.errors import BadInput
from explorer.passes import export, quantise
from explorer.passes.calibration import Calibration, Reader
from explorer.passes.recipes import RECIPES, SETTINGS
from tests.passes import data
from tests.passes.conftest import Make

NETWORKS = {"gaitset_tiny": "silhouettes", "gait3d_cnn_tiny": "flow"}
Quantised = Callable[[str, str], tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="session")
def exported(make_checkpoint: Make, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("onnx")

    def make(name: str) -> Path:
        path = folder / f"{name.rpartition(':')[2]}.onnx"
        if not path.exists():
            dataset = getattr(data, NETWORKS.get(name, "digits_like"))()
            source = {"checkpoint": make_checkpoint(name)}
            export.run(source, {"sample_shape": dataset.sample_shape}, path)
        return path

    return make


@pytest.fixture(scope="session")
def quantised(exported: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Quantised:
    folder = tmp_path_factory.mktemp("int8")
    made: dict[tuple[str, str], dict[str, Any]] = {}

    def make(name: str, recipe: str) -> tuple[Path, dict[str, Any]]:
        path = folder / f"{name}.{recipe}.onnx"
        if (name, recipe) not in made:
            dataset = {"name": f"tests.passes.data:{NETWORKS[name]}"}
            params = {"recipe": recipe, "dataset": dataset, "calibration": 12}
            made[name, recipe] = quantise.run({"onnx": exported(name)}, params, path)
        return path, made[name, recipe]

    return make


def by_onnxruntime(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: inputs})[0]
    return outputs


def by_openvino(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(list(inputs.shape))
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs: NDArray[np.float32] = compiled(inputs)[0]
    return outputs


def decibels(expected: NDArray[np.float32], got: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.square(expected).sum() / np.square(expected - got).sum()))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("recipe", "execute"), [("onnxruntime", by_onnxruntime), ("openvino", by_openvino)])
def test_runtime_computes_its_recipe_soundly(
    name: str, recipe: str, execute: Any, quantised: Quantised, exported: Callable[[str], Path]
) -> None:
    """On CPUs without VNNI too, where 8-bit weights would saturate (11 dB)."""
    path, info = quantised(name, recipe)
    inputs = np.asarray(getattr(data, NETWORKS[name])().evaluation()[:5], np.float32)
    assert decibels(by_onnxruntime(exported(name), inputs), execute(path, inputs)) > 25
    assert info["sqnr_db"] > 25
    assert info["notes"] == []
    assert info["calibration"] == {"samples": 12, "source": f"dataset tests.passes.data:{NETWORKS[name]}"}


@pytest.mark.parametrize("name", NETWORKS)
def test_file_keeps_its_names_and_its_dynamic_batch(name: str, quantised: Quantised) -> None:
    for recipe in RECIPES:
        graph = onnx.load(quantised(name, recipe)[0]).graph
        assert [v.name for v in graph.output] == ["embedding"]
        assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_3d_convolutions_are_int8_for_openvino_and_float_for_onnxruntime(quantised: Quantised) -> None:
    assert quantised("gait3d_cnn_tiny", "openvino")[1]["int8"] == {"Conv": 7, "Gemm": 1}
    info = quantised("gait3d_cnn_tiny", "onnxruntime")[1]
    assert info["int8"] == {"Gemm": 1}
    assert set(info["float"].values()) == {"this runtime executes 3-D convolutions slower in int8 than in float"}


def test_openvino_really_computes_in_int8(quantised: Quantised) -> None:
    for name in NETWORKS:
        core = openvino.Core()
        model = core.read_model(quantised(name, "openvino")[0])
        model.reshape([1, *getattr(data, NETWORKS[name])().sample_shape])
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        told = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
        kinds = [(info["layerType"].astype(str), info["runtimePrecision"].astype(str)) for info in told]
        precisions = [precision for kind, precision in kinds if kind == "Convolution"]
        assert precisions
        assert set(precisions) <= {"u8", "i8"}


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_every_kind_of_layer_survives_every_recipe(recipe: str, make_checkpoint: Make, tmp_path: Path) -> None:
    source, out = make_checkpoint("tests.models.data:Mixed"), tmp_path / "int8.onnx"
    export.run({"checkpoint": source}, {"sample_shape": [3, 8, 8]}, tmp_path / "net.onnx")
    info = quantise.run({"onnx": tmp_path / "net.onnx"}, {"recipe": recipe, "calibration": 8}, out)
    inputs = np.random.default_rng(0).standard_normal((3, 3, 8, 8), dtype=np.float32)
    expected = by_onnxruntime(tmp_path / "net.onnx", inputs)
    assert info["sqnr_db"] > 15
    assert by_openvino(out, inputs).shape == by_onnxruntime(out, inputs).shape == expected.shape
    stays_float = any(why == "this runtime has no int8 transposed convolution" for why in info["float"].values())
    assert stays_float == (recipe == "onnxruntime")


def test_batched_part_fc_stays_float(quantised: Quantised) -> None:
    for recipe in RECIPES:
        reasons = quantised("gaitset_tiny", recipe)[1]["float"]
        assert "batched products fail at run time when quantised per channel" in reasons.values()


# -- the recipe TensorRT needs --------------------------------------------------------------------------------------


def made_by(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in graph.node for name in node.output}


@pytest.fixture
def residual(exported: Callable[[str], Path], tmp_path: Path) -> onnx.GraphProto:
    out = tmp_path / "int8.onnx"
    params = {"recipe": "tensorrt", "dataset": {"name": "tests.passes.data:digits_like"}, "calibration": 16}
    quantise.run({"onnx": exported("tests.passes.data:Residual")}, params, out)
    return onnx.load(out).graph


@pytest.mark.parametrize("name", NETWORKS)
def test_tensorrt_zero_points_are_zero_and_int8(name: str, quantised: Quantised) -> None:
    graph = onnx.load(quantised(name, "tensorrt")[0]).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    pairs = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        assert stored[node.input[2]].dtype == np.int8
        assert not stored[node.input[2]].any()


@pytest.mark.parametrize("name", NETWORKS)
def test_tensorrt_weights_are_per_channel_and_biases_float(name: str, quantised: Quantised) -> None:
    graph = onnx.load(quantised(name, "tensorrt")[0]).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = made_by(graph)
    convs = [node for node in graph.node if node.op_type == "Conv"]
    for conv in convs:
        activation, weight = makers[conv.input[0]], makers[conv.input[1]]
        assert activation.op_type == weight.op_type == "DequantizeLinear"
        assert stored[activation.input[1]].ndim == 0
        pair = makers[weight.input[0]]
        assert pair.op_type == "QuantizeLinear"  # weights stay float in the file, quantised in the graph
        assert stored[weight.input[1]].shape == (stored[pair.input[0]].shape[0],)
        assert next(a.i for a in weight.attribute if a.name == "axis") == 0
        assert len(conv.input) < 3 or stored[conv.input[2]].dtype == np.float32


def test_tensorrt_keeps_relus_and_quantises_both_inputs_of_a_residual_sum(residual: onnx.GraphProto) -> None:
    makers = made_by(residual)
    assert sum(node.op_type == "Relu" for node in residual.node) == 2
    (add,) = [node for node in residual.node if node.op_type == "Add"]
    assert [makers[name].op_type for name in add.input] == ["DequantizeLinear"] * 2


def test_tensorrt_quantises_no_output(quantised: Quantised) -> None:
    for name in NETWORKS:
        graph = onnx.load(quantised(name, "tensorrt")[0]).graph
        assert made_by(graph)[graph.output[0].name].op_type not in ("QuantizeLinear", "DequantizeLinear")


def test_tensorrt_gemm_axis_is_its_output(residual: onnx.GraphProto) -> None:
    (gemm,) = [node for node in residual.node if node.op_type in ("Gemm", "MatMul")]
    axis = next(a.i for a in made_by(residual)[gemm.input[1]].attribute if a.name == "axis")
    transposed = any(a.name == "transB" and a.i for a in gemm.attribute)
    assert axis == (0 if gemm.op_type == "Gemm" and transposed else 1)


# -- a bare file, settings, and what goes wrong ---------------------------------------------------------------------


def test_bare_file_is_calibrated_on_random_numbers_and_says_so(
    exported: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = {"onnx": exported("tests.passes.data:Residual")}
    capfd.readouterr()
    infos = [
        quantise.run(source, {"recipe": "openvino", "calibration": 8, "seed": 3}, tmp_path / name)
        for name in ("one.onnx", "other.onnx")
    ]
    assert capfd.readouterr() == ("", "")
    assert infos[0]["calibration"]["source"].startswith("random numbers")
    assert "fit no real data" in infos[0]["notes"][0]
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "other.onnx").read_bytes()


def test_every_setting_changes_the_file(exported: Callable[[str], Path], tmp_path: Path) -> None:
    seen = set()
    for setting, (_, words) in SETTINGS.items():
        for word in words:
            params = {"recipe": "onnxruntime", "calibration": 6, setting: word}
            quantise.run({"onnx": exported("tests.passes.data:Residual")}, params, tmp_path / "out.onnx")
            seen.add(hashlib.sha256((tmp_path / "out.onnx").read_bytes()).hexdigest())
    defaults = len(SETTINGS)  # one word of each is what the recipe does anyway
    assert len(seen) >= sum(len(words) for _, words in SETTINGS.values()) - defaults


def test_network_too_narrow_for_int8_says_that_nothing_changed(make_checkpoint: Make, tmp_path: Path) -> None:
    shape = {"sample_shape": [12, 64, 44]}
    source = {"checkpoint": make_checkpoint("gaitset_tiny", channels=[4, 8, 12])}
    export.run(source, shape, tmp_path / "net.onnx")
    info = quantise.run({"onnx": tmp_path / "net.onnx"}, {"recipe": "onnxruntime", "calibration": 2}, tmp_path / "o")
    assert info["int8"] == {}
    assert info["sqnr_db"] is None
    assert "no layer became int8" in " ".join(info["notes"])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"recipe": "tensort"}, "did you mean 'tensorrt'"),
        ({"recipe": "tensorrt", "activation_range": "asymmetric"}, "not possible for tensorrt"),
        ({"recipe": "openvino", "calibration_method": "max"}, "allowed: minmax, entropy, percentile"),
        ({"recipe": "openvino", "calibration": -1}, "calibration is a number of inputs"),
        ({"recipe": "openvino", "dataset": {"name": "tests.passes.data:flow"}}, "do not fit the network's input"),
    ],
)
def test_bad_parameters(params: dict[str, Any], message: str, exported: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        quantise.run({"onnx": exported("tests.passes.data:Residual")}, params, tmp_path / "out.onnx")


def test_files_that_are_no_network(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(BadInput, match="cannot read the ONNX file"):
        quantise.run({"onnx": tmp_path / "text.onnx"}, {"recipe": "openvino"}, tmp_path / "out.onnx")


def test_open_sizes_must_be_said(exported: Callable[[str], Path], tmp_path: Path) -> None:
    model = onnx.load(exported("tests.passes.data:Residual"))
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, tmp_path / "open.onnx")
    params: dict[str, Any] = {"recipe": "openvino", "calibration": 2}
    with pytest.raises(BadInput, match=r"leaves sizes open(.|\n)*\[batch, 1, height, 8\]"):
        quantise.run({"onnx": tmp_path / "open.onnx"}, params, tmp_path / "out.onnx")
    params["sample_shape"] = [1, 8, 8]
    assert quantise.run({"onnx": tmp_path / "open.onnx"}, params, tmp_path / "out.onnx")["int8"]


def test_calibration_is_read_one_at_a_time_and_in_strides() -> None:
    told: list[str] = []
    made: list[int] = []

    def feed(index: int) -> dict[str, NDArray[np.float32]]:
        made.append(index)
        return {"x": np.zeros(1, np.float32)}

    reader = Reader(Calibration(6, "test", feed), lambda fraction, text: told.append(text))
    assert reader.stride == 3
    reader.set_range(2, 4)
    while reader.get_next() is not None:
        pass
    assert made == [2, 3]
    assert told[-1] == "calibrating on input 4 of 6"
