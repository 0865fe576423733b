"""The ONNX file with its batch written in, and the notes that travel with it: against the onnx package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from explorer_agent.messages import AgentError
from explorer_agent.runtimes.tensorrt import source

from ...networks import convolutional, quantised, two_inputs


def shapes(model: bytes) -> dict[str, list[int]]:
    graph = onnx.load_model_from_string(model).graph
    weights = {each.name for each in graph.initializer}
    return {
        each.name: [dimension.dim_value for dimension in each.type.tensor_type.shape.dim]
        for each in graph.input
        if each.name not in weights
    }


@pytest.mark.parametrize("batch", [1, 7, 300])
def test_the_batch_is_written_into_every_input_and_nothing_else_changes(batch: int, tmp_path: Path) -> None:
    before = two_inputs(tmp_path / "net").read_bytes()
    after = source.with_batch(before, batch)
    assert shapes(after) == {"left": [batch, 4], "right": [batch, 4]}
    onnx.checker.check_model(onnx.load_model_from_string(after))
    fixed, still = (onnx.load_model_from_string(model) for model in (after, before))
    for model in (fixed, still):
        del model.graph.input[:]
    assert fixed == still


def test_a_quantised_network_comes_through(tmp_path: Path) -> None:
    path = quantised(convolutional(tmp_path / "net"), tmp_path / "int8")
    onnx.checker.check_model(onnx.load_model_from_string(source.with_batch(path.read_bytes(), 3)), full_check=True)


def network(path: Path, shape: list[int | str | None], *, old: bool = False) -> bytes:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    inputs = ports[:1] + ([helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 4])] if old else [])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", inputs, ports[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path.read_bytes()


def test_a_batch_that_is_written_in_already_must_be_the_one_asked_for(tmp_path: Path) -> None:
    model = network(tmp_path / "net", [4, 4])
    assert shapes(source.with_batch(model, 4)) == {"x": [4, 4]}
    with pytest.raises(AgentError, match="a batch of 2 asked for, but 4 is written into the input x") as refused:
        source.with_batch(model, 2)
    assert refused.value.kind == "infeasible"


@pytest.mark.parametrize("shape", [["batch", "frames"], ["batch", None]])
def test_a_dimension_left_open_beside_the_batch_is_refused(shape: list[int | str | None], tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="the input x leaves a dimension open beside the batch"):
        source.with_batch(network(tmp_path / "net", shape), 2)


def test_weights_that_are_inputs_too_keep_their_shape(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(source.with_batch(network(tmp_path / "net", ["batch", 4], old=True), 2))
    found = {each.name: [d.dim_value for d in each.type.tensor_type.shape.dim] for each in model.graph.input}
    assert found == {"x": [2, 4], "w": [4, 4]}


def test_notes_are_the_files_own(tmp_path: Path) -> None:
    model = onnx.load(convolutional(tmp_path / "net"))
    assert source.notes(model.SerializeToString()) == {}
    told = {source.TYPING: "strong", source.CALIBRATION: "TRT-8502\nx: 3f000000\n", "ünï": "€"}
    helper.set_model_props(model, told)
    assert source.notes(model.SerializeToString()) == told


@pytest.mark.parametrize("data", [b"\x00 this is no network", b"\xff" * 20, b"\x3a\x7f", b"\x0b"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    for act in (source.notes, lambda model: source.with_batch(model, 1)):
        with pytest.raises(AgentError, match="the source is no ONNX model"):
            act(data)
