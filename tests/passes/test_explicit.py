"""TensorRT's rules for Q/DQ pairs: what the recipe writes keeps them, and a file that breaks one is caught."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, numpy_helper

from explorer.errors import BadInput
from explorer.passes import graphs
from explorer.passes.explicit import broken, channel_axis
from explorer.passes.pairs import INT8, pairs_of
from tests.passes.conftest import DATA, GAIT, Quantised

WITH_A_SUM = "tests.passes.data:Residual"
WITH_A_TRANSPOSED = "tests.models.data:Mixed"
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def pairs_before(model: ModelProto, op: str) -> list[NodeProto]:
    """The DequantizeLinear before inputs of the first `op`."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    node = next(node for node in model.graph.node if node.op_type == op)
    return [made_by[name] for name in node.input if name in made_by and made_by[name].op_type == "DequantizeLinear"]


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("name", DATA)
def test_what_the_recipe_writes_keeps_every_rule(name: str, opset: int, for_tensorrt: Quantised) -> None:
    path, info = for_tensorrt(name, opset)
    model = onnx.load(path)
    assert broken(model, newest_opset=opset) == ()
    assert graphs.opset(model) == opset
    onnx.checker.check_model(model, full_check=True)
    assert sum(info["int8"].values()) >= 3
    assert info["sqnr_db"] > 18


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("name", DATA)
def test_numbers_read_without_the_checker(name: str, opset: int, for_tensorrt: Quantised) -> None:
    """The same rules once more, from the nodes themselves."""
    graph = onnx.load(for_tensorrt(name, opset)[0]).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    layers = [node for node in graph.node if node.op_type in LAYERS and node.input[0] in made_by]
    quantised = [node for node in layers if made_by[node.input[0]].op_type == "DequantizeLinear"]
    assert len(quantised) >= 3
    for node in quantised:
        activation, weight = (made_by[source] for source in node.input[:2])
        assert all(
            stored[pair.input[2]].dtype == np.int8 and not stored[pair.input[2]].any() for pair in (activation, weight)
        )
        assert stored[activation.input[1]].size == 1
        values, scales = stored[made_by[weight.input[0]].input[0]], stored[weight.input[1]]
        axis = graphs.attribute(weight, "axis", 1)
        others = tuple(one for one in range(values.ndim) if one != axis)
        assert axis % values.ndim == channel_axis(node) % values.ndim
        np.testing.assert_allclose(scales, np.abs(values).max(axis=others) / 127, rtol=0.01)
        assert len(node.input) < 3 or stored[node.input[2]].dtype == np.float32


def test_channels_of_a_transposed_convolution_are_its_second_axis(for_tensorrt: Quantised) -> None:
    path, info = for_tensorrt(WITH_A_TRANSPOSED, 17)
    assert info["int8"]["ConvTranspose"] == 1
    (weight,) = [pair for pair in pairs_of(onnx.load(path)) if pair.tensor.startswith("up.")]
    assert (weight.scale.size, weight.axis) == (8, 1)


def set_axis(node: NodeProto, axis: int) -> None:
    kept = [one for one in node.attribute if one.name != "axis"]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute("axis", axis)])


def store(model: ModelProto, name: str, values: object) -> None:
    tensor = next(one for one in model.graph.initializer if one.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values), name))


def shifted_zero_point(model: ModelProto) -> None:
    store(model, pairs_before(model, "Conv")[0].input[2], np.int8(3))


def unsigned(model: ModelProto) -> None:
    store(model, pairs_before(model, "Conv")[0].input[2], np.uint8(0))


def no_scale(model: ModelProto) -> None:
    store(model, pairs_before(model, "Conv")[0].input[1], np.float32(0))


def scale_per_row_of_an_activation(model: ModelProto) -> None:
    pair = pairs_before(model, "Conv")[0]
    store(model, pair.input[1], np.ones(8, np.float32))


def wrong_axis(model: ModelProto) -> None:
    set_axis(pairs_before(model, "Conv")[1], 1)


def bare_input(model: ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    node.input[0] = model.graph.input[0].name


def bare_weights(model: ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    node.input[1] = next(one.tensor for one in pairs_of(model) if one.output == node.input[1])


def quantised_bias(model: ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Conv" and len(node.input) > 2)
    scale = numpy_helper.from_array(np.float32(0.01), "bias_scale")
    numbers = numpy_helper.from_array(np.zeros(16, np.int8), "bias_numbers")
    model.graph.initializer.extend([scale, numbers])
    pair = onnx.helper.make_node("DequantizeLinear", ["bias_numbers", "bias_scale"], ["bias_output"], name="bias_DQ")
    model.graph.node.insert(0, pair)
    node.input[2] = "bias_output"


def half_a_sum(model: ModelProto) -> None:
    (node,) = [node for node in model.graph.node if node.op_type == "Add"]
    node.input[0] = next(one.tensor for one in pairs_of(model) if one.output == node.input[0])


def bare_sum(model: ModelProto) -> None:
    (node,) = [node for node in model.graph.node if node.op_type == "Add"]
    for index, name in enumerate(node.input):
        node.input[index] = next(one.tensor for one in pairs_of(model) if one.output == name)


def quantised_output(model: ModelProto) -> None:
    pair = pairs_before(model, "Conv")[0]
    model.graph.output.append(onnx.helper.make_tensor_value_info(pair.output[0], graphs.FLOAT, None))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shifted_zero_point, "a zero point that is not 0"),
        (unsigned, "UINT8, where int8 or fp8 is asked for"),
        (no_scale, "a scale that is no number above 0"),
        (scale_per_row_of_an_activation, "an activation with 8 scales"),
        (wrong_axis, "scales along axis 1 of its weights, where its channels are axis 0"),
        (bare_input, "only its weights are quantised"),
        (bare_weights, "only its input is quantised"),
        (quantised_bias, "a bias that is quantised"),
        (half_a_sum, "without pairs before both"),
        (bare_sum, "without pairs before both"),
        (quantised_output, "an output of the network that is quantised"),
    ],
)
def test_a_broken_rule_is_named(spoil: Callable[[ModelProto], None], words: str, for_tensorrt: Quantised) -> None:
    model = onnx.load(for_tensorrt(WITH_A_SUM, 17)[0])
    spoil(model)
    (found,) = broken(model)
    assert words in found


def test_opsets_have_two_ends(for_tensorrt: Quantised) -> None:
    model = onnx.load(for_tensorrt(WITH_A_SUM, 20)[0])
    assert broken(model, newest_opset=17) == ("opset 20 is newer than the parser reads: 17",)
    model.opset_import[0].version = 12
    assert broken(model) == ("opset 12 has no such pairs: 13 is the first",)


def test_pairs_that_cannot_be_read(for_tensorrt: Quantised) -> None:
    model = onnx.load(for_tensorrt(WITH_A_SUM, 17)[0])
    dequantise = pairs_before(model, "Conv")[0]
    dequantise.input[0] = model.graph.input[0].name
    with pytest.raises(BadInput, match="stands alone"):
        pairs_of(model)


@pytest.mark.parametrize("name", GAIT)
def test_gait_networks_are_int8_throughout(name: str, for_tensorrt: Quantised) -> None:
    path, info = for_tensorrt(name, 17)
    assert info["int8"]["Conv"] == {"gaitset_tiny": 10, "gait2d_cnn_tiny": 4, "gait3d_cnn_tiny": 7}[name]
    assert {pair.type for pair in pairs_of(onnx.load(path))} == {INT8}
