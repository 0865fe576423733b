"""Which stages a candidate's network needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from explorer.artifacts import Artifacts, sha256_of
from explorer.compression import Compression
from explorer.config import load
from explorer.oracle import TARGETS
from explorer.pipeline import Stage
from explorer.space import Candidate
from explorer.study import open_dataset

ONNX = """\
study: s
model: {onnx: EXAMPLES/own_onnx/small.onnx}
space: {precision: [fp32, int8], batch: [1, 2]}
runtime: onnxruntime
objectives: {throughput_ips: max}
"""
MODULE = """\
study: s
model: {name: "digits:build", width: 8}
dataset: {name: "digits:digits", calibration: 64}
space: {prune_ratio: [0, 0.5], precision: [fp32, int8], runtime: [onnxruntime, openvino], batch: [1, 2]}
finetune: {iterations: 10}
objectives: {accuracy: max}
"""


def stages(compression: Compression, **params: object) -> list[str]:
    """The chain's names, from its source; a blob shows as "blob"."""
    return chain(compression.of(Candidate(params)))  # type: ignore[arg-type]


def chain(at: Stage | str) -> list[str]:
    names = []
    while isinstance(at, Stage):
        names.append(at.name)
        at = next(iter(at.inputs.values()), "")
    return [*(["blob"] if at else []), *reversed(names)]


Make = Callable[..., Compression]


@pytest.fixture
def compression(make: Make) -> Compression:
    return make()


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path, root: Path) -> Make:
    space = tmp_path / "space.yaml"
    mine = f"digits_of_{tmp_path.name}"  # a name of its own: Python imports one module of a name
    space.write_text(request.param.replace("EXAMPLES", str(root / "examples")).replace("digits:", f"{mine}:"))
    (tmp_path / f"{mine}.py").write_text((root / "examples" / "own_model" / "digits.py").read_text())
    experiment = load(space)
    return partial(Compression, experiment, open_dataset(experiment), artifacts=Artifacts(tmp_path / "cache"))


@pytest.mark.parametrize("make", [ONNX], indirect=True)
def test_a_file_is_quantised_or_used_as_it_is(compression: Compression, root: Path) -> None:
    fixed = {"runtime": "onnxruntime", "batch": 1}
    assert compression.of(Candidate({"precision": "fp32", **fixed})) == sha256_of(root / "examples/own_onnx/small.onnx")
    assert stages(compression, precision="int8", **fixed) == ["blob", "quantise"]


@pytest.mark.parametrize("make", [MODULE], indirect=True)
def test_a_network_without_weights_is_trained_then_cut_then_quantised(compression: Compression) -> None:
    assert stages(compression, prune_ratio=0, precision="fp32", runtime="openvino") == ["train", "export"]
    whole = ["train", "prune", "finetune", "export", "quantise"]
    assert stages(compression, prune_ratio=0.5, precision="int8", runtime="openvino") == whole


@pytest.mark.parametrize("make", [MODULE], indirect=True)
def test_what_does_not_concern_the_network_does_not_change_it(compression: Compression) -> None:
    def network(**params: object) -> object:
        return compression.of(Candidate({"prune_ratio": 0.5, "precision": "int8", **params}))  # type: ignore[arg-type]

    assert network(runtime="openvino", batch=1) == network(runtime="openvino", batch=2)
    assert network(runtime="openvino", batch=1) != network(runtime="onnxruntime", batch=1)


@pytest.mark.parametrize("make", [MODULE], indirect=True)
def test_a_board_is_given_no_newer_onnx_than_its_parser_reads(make: Make) -> None:
    def opset(board: str, jetpack: str, runtime: str, *, dense: bool = False) -> object:
        compression = make(target=TARGETS[board].with_jetpack(jetpack))
        candidate = Candidate({"prune_ratio": 0.5, "precision": "fp16", "runtime": runtime})
        network = compression.dense(candidate) if dense else compression.of(candidate)
        assert isinstance(network, Stage)
        return network.params["opset"]

    assert [opset("agx-orin-64", jetpack, "tensorrt") for jetpack in ("5.1.1", "6.0", "6.2.2")] == [17, 17, 20]
    assert opset("agx-orin-64", "5.1.1", "tensorrt", dense=True) == 17
    assert opset("agx-orin-64", "5.1.1", "onnxruntime") == 20


@pytest.mark.parametrize("make", [MODULE], indirect=True)
@pytest.mark.parametrize(
    ("release", "precision", "placement", "last"),
    [
        ("10.3.0", "fp16", "gpu", ["export"]),
        ("10.3.0", "int8", "gpu", ["export", "quantise"]),
        ("10.3.0", "int8", "dla", ["export", "quantise", "ranges"]),
        ("10.3.0", "int8", "gpu+dla", ["export", "quantise", "ranges"]),
        ("8.5.2", "fp16", "dla", ["export"]),
        ("11.4.1", "int8", "dla", ["export", "quantise"]),
        ("11.4.1", "fp32", "gpu", ["export"]),
        ("11.4.1", "fp16", "gpu", ["export", "cast"]),
        ("11.4.1", "bf16", "gpu", ["export", "cast"]),
        ("11.4.1", "fp8", "gpu", ["export", "quantise"]),
    ],
)
def test_tensorrt_gets_each_precision_as_its_release_takes_it(
    make: Make, release: str, precision: str, placement: str, last: list[str]
) -> None:
    compression = make(target=TARGETS["agx-orin-64"].with_tensorrt(release))
    wish = {"prune_ratio": 0, "runtime": "tensorrt", "precision": precision, "placement": placement}
    assert stages(compression, **wish) == ["train", *last]
    network = compression.of(Candidate(wish))  # type: ignore[arg-type]
    assert isinstance(network, Stage)
    assert network.params.get("precision", precision) == precision


@pytest.mark.parametrize("make", [MODULE], indirect=True)
@pytest.mark.parametrize(
    ("release", "precision", "last"),
    [
        ("10.3.0", "fp16", ["export", "preview"]),
        ("10.3.0", "int8", ["export", "quantise", "preview", "ranges"]),
        ("11.4.1", "int8", ["export", "quantise", "preview"]),
        ("11.4.1", "fp16", ["export", "cast", "preview"]),
    ],
)
def test_a_preview_sees_a_network_as_small_as_it_gets_and_changes_none_of_the_others(
    make: Make, release: str, precision: str, last: list[str]
) -> None:
    compression = make(target=TARGETS["agx-orin-64"].with_tensorrt(release))
    candidate = Candidate({"prune_ratio": 0, "runtime": "tensorrt", "precision": precision, "placement": "dla"})
    assert chain(compression.of(candidate, previewed=True)) == ["train", *last]
    assert chain(compression.of(candidate)) == ["train", *(name for name in last if name != "preview")]


@pytest.mark.parametrize("make", [ONNX], indirect=True)
def test_without_data_there_is_nothing_to_preview(compression: Compression) -> None:
    candidate = Candidate({"precision": "int8", "runtime": "onnxruntime", "batch": 1})
    assert chain(compression.of(candidate, previewed=True)) == ["blob", "quantise"]


@pytest.mark.parametrize("make", [MODULE], indirect=True)
@pytest.mark.parametrize(
    ("runtime", "precision", "placement", "multiple"),
    [
        ("tensorrt", "fp16", "gpu", 8),
        ("tensorrt", "fp16", "dla", 16),
        ("tensorrt", "int8", "gpu", 32),
        ("tensorrt", "int8", "gpu+dla", 32),
        ("onnxruntime", "int8", "cpu", 8),
    ],
)
def test_channels_are_cut_to_what_the_unit_takes(
    make: Make, runtime: str, precision: str, placement: str, multiple: int
) -> None:
    def pruned(round_to: int | str) -> object:
        fixed = {"runtime": runtime, "precision": precision, "placement": placement, "prune_ratio": 0.5}
        return make(target=TARGETS["agx-orin-64"]).of(Candidate(fixed, {"round_to": round_to}))

    assert pruned("unit") == pruned(multiple)
    assert pruned("unit") != pruned(4)
