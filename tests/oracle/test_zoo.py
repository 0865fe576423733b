"""The real networks: where GaitSet may go, and that the 3D-CNN never claims a DLA."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from explorer.models.build import build
from explorer.oracle import TARGETS, Graph, Target, advice, reach, refusals
from explorer.oracle.rules import PLACEMENTS, PRECISIONS
from explorer.passes import quantise
from explorer.passes.cost import cost
from tests.oracle.conftest import SHAPES, Zoo

Int8 = Callable[[str, str], Graph]
OPSETS = (17, 20)
WITH_DLA = [target for target in TARGETS.values() if target.dla_cores]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", ["gaitset_tiny", "gait2d_cnn_tiny", "gait3d_cnn_tiny", "gait3d_cnn"])
def test_macs_are_those_that_pytorch_counts(name: str, opset: int, zoo: Zoo) -> None:
    graph = Graph.of(zoo(name, opset))
    assert graph.macs == cost(build(name), torch.zeros(1, *SHAPES[name])).macs
    assert (graph.opset, graph.batch, graph.dynamic) == (opset, None, ())


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", ["gait3d_cnn_tiny", "gait3d_cnn"])
@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.module)
def test_the_3d_cnn_never_claims_a_dla(target: Target, name: str, opset: int, zoo: Zoo) -> None:
    graph = Graph.of(zoo(name, opset), final=False)
    for placement in PLACEMENTS:
        for precision in PRECISIONS:
            for batch in (1, 32):
                wish = {"precision": precision, "placement": placement, "batch": batch}
                found = {one.rule for one in refusals(target, graph, wish)}
                if placement != "gpu":
                    assert found & {"dla-nothing", "dla-none"}, wish
                else:
                    assert not {rule for rule in found if rule.startswith("dla")}


@pytest.mark.parametrize("opset", OPSETS)
def test_of_the_3d_cnn_the_convolutions_are_what_keeps_it_off(opset: int, zoo: Zoo) -> None:
    graph, target = Graph.of(zoo("gait3d_cnn", opset)), TARGETS["agx-orin-64"]
    barred = {limit.id: nodes for limit, nodes in reach(graph, 1, target).barred.items()}
    assert len(barred["dla-3d"]) == 7
    assert reach(graph, 1, target).share < 0.001


@pytest.mark.parametrize("target", WITH_DLA, ids=lambda target: target.module)
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_gaitset_may_go_to_a_dla_with_the_gpu_behind_it_only(target: Target, precision: str, zoo: Zoo) -> None:
    graph = Graph.of(zoo("gaitset_tiny", 17), final=False)
    for placement in ("dla", "gpu+dla"):
        wish = {"precision": precision, "placement": placement, "batch": 8}
        assert refusals(target, graph, wish) == ()
        (back,) = [one for one in advice(target, graph, wish) if one.rule == "dla-falls-back"]
        kinds = {node.op for node in graph.nodes if node.name in back.nodes}
        assert {"ReduceMax", "ReduceMean", "Reshape"} <= kinds
        assert not {"Conv", "LeakyRelu", "MaxPool"} & kinds
    alone = refusals(target, graph, {"precision": precision, "placement": "dla_only"})
    assert {"dla-reduction", "dla-reduces-batch", "dla-shuffle-batch"} <= {one.rule for one in alone}


def test_gaitsets_frames_fill_the_dlas_batch(zoo: Zoo) -> None:
    graph, target = Graph.of(zoo("gaitset_tiny", 17)), TARGETS["agx-orin-64"]
    within, beyond = 4096 // 6, 4096 // 6 + 1
    assert reach(graph, within, target).share > 0.9
    assert reach(graph, beyond, target).share < reach(graph, within, target).share


def test_jetpack_5_reads_what_is_exported_for_it(zoo: Zoo) -> None:
    xavier = TARGETS["agx-xavier"]
    assert xavier.parser_opset == 17
    assert refusals(xavier, Graph.of(zoo("gaitset_tiny", 17)), {"precision": "fp16"}) == ()
    (refusal,) = refusals(xavier, Graph.of(zoo("gaitset_tiny", 20)), {"precision": "fp16"})
    assert refusal.rule == "opset"
    assert "opset 20" in refusal.reason
    assert "17" in refusal.reason


@pytest.fixture(scope="module")
def int8(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Int8:
    folder = tmp_path_factory.mktemp("int8")

    def make(name: str, recipe: str) -> Graph:
        out = folder / f"{name}.{recipe}.onnx"
        if not out.exists():
            params = {"recipe": recipe, "calibration": 2, "sample_shape": list(SHAPES[name])}
            quantise.run({"onnx": zoo(name, 17)}, params, out)
        return Graph.of(out)

    return make


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("gaitset_tiny", {"uint8", "zero-point"}), ("gait3d_cnn_tiny", {"uint8", "zero-point", "quantised-bias"})],
)
def test_what_is_quantised_for_another_runtime_is_refused(name: str, wrong: set[str], int8: Int8) -> None:
    target, graph = TARGETS["agx-orin-64"], int8(name, "onnxruntime")
    assert {one.rule for one in refusals(target, graph, {"precision": "int8"})} == wrong
    assert "quantised-unasked" in {one.rule for one in refusals(target, graph, {"precision": "fp16"})}


@pytest.mark.parametrize("board", ["agx-xavier", "agx-orin-64", "orin-nano", "thor"])
@pytest.mark.parametrize("name", ["gaitset_tiny", "gait2d_cnn_tiny", "gait3d_cnn_tiny"])
def test_what_is_quantised_for_tensorrt_is_taken(name: str, board: str, int8: Int8) -> None:
    graph = int8(name, "tensorrt")
    assert graph.quantised
    assert refusals(TARGETS[board], graph, {"precision": "int8"}) == ()
    assert refusals(TARGETS[board].with_tensorrt("11.1.0"), graph, {"precision": "int8"}) == ()


def test_quantisation_changes_nothing_in_what_a_dla_can_take(zoo: Zoo, int8: Int8) -> None:
    target = TARGETS["agx-orin-64"]
    plain, quantised = Graph.of(zoo("gaitset_tiny", 17)), int8("gaitset_tiny", "tensorrt")
    assert quantised.macs == plain.macs
    assert reach(quantised, 4, target).share == reach(plain, 4, target).share
    wish = {"precision": "int8", "placement": "dla", "batch": 4}
    assert refusals(target, quantised, wish) == ()
    assert "dla-quantised" in {one.rule for one in advice(target, quantised, wish)}
