"""Where layers went, by the build's log; in which precision they run, by the engine's inspector."""

from __future__ import annotations

import json
from typing import Any

import pytest

from explorer_agent.runtimes.tensorrt import inspect
from explorer_agent.runtimes.tensorrt.failures import INFO, WARNING

LAYERS = ["conv1", "relu1", "conv2", "pool", "flatten", "fc"]


def log(*lines: str) -> list[tuple[int, str]]:
    return [(INFO, line) for line in lines]


@pytest.mark.parametrize(
    ("lines", "dla", "gpu"),
    [
        (["[DlaLayer] {ForeignNode[conv1...pool]}", "[GpuLayer] SHUFFLE: flatten", "[GpuLayer] fc"], 4, 2),
        (["[DlaLayer] {ForeignNode[conv1]}", "[DlaLayer] {ForeignNode[conv2...pool]}", "[GpuLayer] relu1"], 3, 1),
        (["[DlaLayer] conv1 + relu1", "[GpuLayer] CONVOLUTION: conv2 + pool"], 2, 2),
        (["[GpuLayer] POINTWISE: PWN(relu1)", "[GpuLayer] fc"], 0, 2),
        (["[DlaLayer] {ForeignNode[nobody...else]}"], 0, 0),
        ([], 0, 0),
    ],
)
def test_the_log_tells_who_runs_where(lines: list[str], dla: int, gpu: int) -> None:
    placed = inspect.placed(log(*lines), LAYERS)
    assert (len(placed.dla), len(placed.gpu)) == (dla, gpu)
    assert sorted(placed.dla + placed.gpu + placed.unknown) == sorted(LAYERS), "each once"


def test_a_block_of_the_gpus_own_compiler_is_not_taken_for_a_dla() -> None:
    placed = inspect.placed(log("[GpuLayer] MYELIN: {ForeignNode[conv1...pool]}"), LAYERS)
    assert (placed.dla, placed.gpu) == ([], LAYERS[:4])


@pytest.mark.parametrize(
    ("line", "layer", "reason"),
    [
        ("Layer 'fc' (FULLY_CONNECTED): Unsupported on DLA. Switching this layer's device type to GPU.", "fc", "Unsup"),
        ("Default DLA is enabled but layer fc is not supported on DLA, falling back to GPU.", "fc", "is not supported"),
        ("Validation failed for DLA layer: pool. Switching to GPU fallback.", "pool", "Switching to GPU"),
        ("DLA supports only 16 subgraphs per DLA core. Switching to GPU for layer conv2", "conv2", "DLA supports only"),
        ("Missing scale for DLA. Switching flatten device type to GPU.", "flatten", "Missing scale for DLA"),
    ],
)
def test_who_was_sent_back_has_a_reason(line: str, layer: str, reason: str) -> None:
    placed = inspect.placed([(WARNING, line)], LAYERS)
    assert list(placed.fallbacks) == [layer]
    assert placed.fallbacks[layer].startswith(reason)
    assert placed.gpu == [layer]
    assert placed.facts()["fallbacks"] == [{"layer": layer, "reason": placed.fallbacks[layer]}]


def test_a_reason_given_before_is_the_reason() -> None:
    lines = ["fc: DLA requires a batch of at most 4096", "Layer 'fc' (X): Unsupported on DLA. Switching it to GPU."]
    assert inspect.placed(log(*lines), LAYERS).fallbacks == {"fc": "DLA requires a batch of at most 4096"}


def test_tensors_without_a_scale_are_told() -> None:
    line = "Missing scale and zero-point for tensor conv1_out, expect fall back to non-int8 implementation"
    assert inspect.placed(log(line, line), LAYERS).without_scale == ["conv1_out"]


def test_facts_are_json_and_short() -> None:
    names = [f"l{number}" for number in range(500)]
    facts = inspect.placed(log(*(f"[GpuLayer] {name}" for name in names)), names).facts()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["placed"], len(facts["gpu_layers"])) == ({"gpu": 500, "dla": 0, "unknown": 0}, 200)


def layer(kind: str, *formats: str, key: str = "Format/Datatype", tactic: str = "") -> dict[str, Any]:
    ports = [{"Name": "x", "Dimensions": [1], key: each} for each in formats]
    return {"Name": "n", "LayerType": kind, "Inputs": ports, "Outputs": ports[:1], "TacticName": tactic}


def told(*layers: Any) -> dict[str, Any]:
    return inspect.layers(json.dumps({"Layers": list(layers), "Bindings": []}))


@pytest.mark.parametrize(
    ("entry", "precision"),
    [
        (layer("CaskConvolution", "Row major linear FP32"), "fp32"),
        (layer("CaskConvolution", "Row major linear FP32", tactic="sm80_xmma_fprop_tf32tf32_f32"), "tf32"),
        (layer("CaskConvolution", "Channel major FP16 format where channel % 8 == 0"), "fp16"),
        (layer("CaskConvolution", "Thirty-two wide channel vectorized row major Int8 format"), "int8"),
        (layer("CaskConvolution", "Row major linear FP16", "Row major linear Int8"), "int8"),
        (layer("MatrixMultiply", "Row major linear BFloat16"), "bf16"),
        (layer("MatrixMultiply", "Row major linear FP8"), "fp8"),
        (layer("CaskConvolution", "Half", key="Datatype"), "fp16"),
        (layer("DLA", "Thirty-two wide channel vectorized row major Int8 format"), "int8"),
    ],
)
def test_a_layer_goes_by_the_narrowest_type_it_reads(entry: dict[str, Any], precision: str) -> None:
    assert told(entry)["layers"] == {precision: 1}


def test_what_only_carries_data_does_not_count() -> None:
    carriers = [layer(kind, "FP32") for kind in ("Reformat", "NoOp", "Constant", "Shuffle", "Slice", "Cast", "signal")]
    found = told(*carriers, layer("CaskConvolution", "FP16"), layer("DLA", "FP16"))
    assert found == {"layers": {"fp16": 2}, "reformats": 1, "dla_blocks": 1}


@pytest.mark.parametrize("information", ["", "none", "[]", "{}", '{"Layers": null}', '{"Layers": ["conv1", "fc"]}'])
def test_an_engine_that_tells_no_types_gives_no_counts(information: str) -> None:
    found = inspect.layers(information)
    assert (found["layers"], found["dla_blocks"]) == ({}, 0)


def test_bare_names_still_tell_of_reformats() -> None:
    assert told("Reformatting CopyNode for Input Tensor 0", "conv1")["reformats"] == 1
