"""Building: what is refused before any work, how the builder is told, and a label that did not come true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from explorer_agent import board as machine
from explorer_agent.messages import AgentError
from explorer_agent.runtimes.tensorrt import build

from ...networks import convolutional, quantised
from . import faces
from .conftest import Board, Boards
from .faces.world import FAULTS
from .networks import calibrated, for_a_dla, for_no_dla, half, strongly_typed, with_an_output_left_out


def dense(folder: Path) -> Path:
    return convolutional(folder / "net")


def int8(folder: Path) -> Path:
    return quantised(convolutional(folder / "net"), folder / "int8")


def told(there: Board) -> tuple[Any, Any]:
    """Network and configuration of the last build."""
    return there.world.seen[-1]  # type: ignore[no-any-return]


# version, precision, placement, network, words of the refusal
REFUSED = [
    ("8.5", "fp32", "dla", dense, "a DLA computes in fp16 and int8, not in fp32"),
    ("8.5", "tf32", "dla_only", dense, "a DLA computes in fp16 and int8, not in tf32"),
    ("10.3", "bf16", "gpu+dla", dense, "a DLA computes in fp16 and int8, not in bf16"),
    ("8.5", "int8", "gpu", dense, "int8 asked for, but the network holds neither QuantizeLinear nor a calibration"),
    ("11", "int8", "gpu", dense, "int8 asked for, but the network holds no QuantizeLinear"),
    ("11", "int8", "gpu", lambda f: calibrated(f / "net"), "int8 asked for, but the network holds no QuantizeLinear"),
    ("8.5", "int8", "dla", int8, "a DLA of TensorRT 8.5.3.1 takes no QuantizeLinear"),
    ("10.3", "fp8", "gpu", dense, "fp8 asked for, but the network holds no QuantizeLinear"),
    ("8.5", "fp16", "gpu", int8, "fp16 asked for, but the network is quantised"),
    ("8.5", "fp16", "gpu", lambda f: strongly_typed(f / "net"), "strongly typed, which TensorRT 8.5.3.1 cannot"),
    ("8.5", "fp16", "dla2", dense, "so there are only gpu, dla"),
    ("8.5", "fp16", "gpu+dla", dense, "gpu, dla0, dla1 together need at least 3 streams, not 1"),
]


@pytest.mark.parametrize(("version", "precision", "placement", "network", "words"), REFUSED)
def test_what_cannot_work_is_refused_before_anything_is_built(
    version: str, precision: str, placement: str, network: Any, words: str, board: Boards, tmp_path: Path
) -> None:
    there = board(version)
    streams = 1 if "streams" in words or placement != "gpu+dla" else 3
    with pytest.raises(AgentError, match=words) as refused:
        there.build(network(tmp_path), precision=precision, placement=placement, streams=streams)
    assert refused.value.kind == "infeasible"
    assert not there.world.seen
    assert not (tmp_path / "engine").exists()


@pytest.mark.parametrize("version", faces.VERSIONS)
def test_the_builder_may_use_a_quarter_of_the_memory_and_tells_every_layer(
    version: str, board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "memory_mb", lambda: {"MemAvailable": 4000})
    there = board(version)
    part = there.build(dense(tmp_path))["parts"]["gpu"]
    network, config = told(there)
    assert config.limits == {"WORKSPACE": 1000 << 20}
    assert part["workspace_mb"] == 1000
    assert config.profiling_verbosity == there.module.ProfilingVerbosity.DETAILED
    assert config.default_device_type == there.module.DeviceType.GPU
    assert [tensor.shape for tensor in network.inputs] == [(4, 1, 16, 16)]


@pytest.mark.parametrize(
    ("version", "precision", "flags"),
    [
        ("8.5", "fp32", set()),
        ("8.5", "tf32", {"TF32"}),
        ("8.5", "fp16", {"FP16"}),
        ("8.5", "best", {"TF32", "FP16"}),  # without a scale anywhere the flag of int8 would fail
        ("10.3", "bf16", {"BF16"}),
        ("11", "fp32", set()),
        ("11", "tf32", {"TF32"}),
    ],
)
def test_flags_are_those_of_the_precision(
    version: str, precision: str, flags: set[str], board: Boards, tmp_path: Path
) -> None:
    there = board(version)
    there.build(dense(tmp_path), precision=precision)
    assert told(there)[1].flags == flags


@pytest.mark.parametrize("version", ["8.5", "10.3"])
def test_int8_by_a_calibration_gives_every_tensor_its_range(version: str, board: Boards, tmp_path: Path) -> None:
    there = board(version)
    made = there.build(calibrated(tmp_path / "net", lacking="c"), precision="int8")
    network, config = told(there)
    assert {"INT8", "FP16"} <= config.flags
    assert network.inputs[0].range == (-63.5, 63.5)
    assert made["parts"]["gpu"]["without_scale"] == ["c"]
    assert made["layers"] == {"int8": 2, "fp16": 1}, "what lacks a scale runs in fp16"


@pytest.mark.parametrize("version", faces.VERSIONS)
def test_int8_by_quantize_linear(version: str, board: Boards, tmp_path: Path) -> None:
    made = board(version).build(int8(tmp_path), precision="int8")
    assert made["layers"]["int8"] >= 2
    assert made["strongly_typed"] is (version == "11")


def test_fp8_needs_a_gpu_and_a_quantised_network(board: Boards, tmp_path: Path) -> None:
    there = board("10.3", sm=110)
    with pytest.raises(AgentError, match="fp8 asked for, but no layer runs in it"):
        there.build(int8(tmp_path), precision="fp8")  # its numbers are int8
    assert {"FP8", "FP16"} <= told(there)[1].flags


def test_a_dla_takes_what_it_can_and_the_rest_is_told_with_reasons(board: Boards, tmp_path: Path) -> None:
    there = board("8.5")
    part = there.build(dense(tmp_path), precision="fp16", placement="dla1")["parts"]["dla"]
    _, config = told(there)
    assert (config.default_device_type, config.DLA_core) == (there.module.DeviceType.DLA, 1)
    assert "GPU_FALLBACK" in config.flags
    assert part["placed"] == {"gpu": 3, "dla": 3, "unknown": 0}
    assert len(part["dla_layers"]) == 3
    assert all("Unsupported on DLA" in each["reason"] for each in part["fallbacks"])


def test_a_dla_on_which_nothing_runs_is_refused(board: Boards, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="a DLA asked for, but no layer runs on it: conv3d: Unsupported") as refused:
        board().build(for_no_dla(tmp_path / "net"), precision="fp16", placement="dla")
    assert refused.value.kind == "infeasible"
    assert not (tmp_path / "engine").exists()


def test_dla_only_is_asked_before_the_build_and_holds(board: Boards, tmp_path: Path) -> None:
    there = board()
    with pytest.raises(AgentError, match="dla_only asked for, but 3 of 6 layers cannot run on the DLA: ") as refused:
        there.build(dense(tmp_path), precision="fp16", placement="dla_only")
    assert "placement dla" in refused.value.hint
    assert not there.world.seen, "a build takes minutes"
    part = there.build(for_a_dla(tmp_path / "net"), precision="fp16", placement="dla_only")["parts"]["dla"]
    assert part["placed"] == {"gpu": 0, "dla": 2, "unknown": 0}


def test_dla_only_that_did_not_hold_is_refused_after_the_build(board: Boards, tmp_path: Path) -> None:
    there = board()
    there.module.IBuilderConfig.can_run_on_DLA = lambda self, layer: True  # a prediction, not a promise
    with pytest.raises(AgentError, match="dla_only asked for, but 3 of 6 layers"):
        there.build(dense(tmp_path), precision="fp16", placement="dla_only")
    assert there.world.seen


def test_the_gpu_and_the_dlas_share_a_plan_for_each_kind(board: Boards, tmp_path: Path) -> None:
    there = board()
    made = there.build(dense(tmp_path), precision="fp16", placement="gpu+dla", streams=3)
    assert list(made["parts"]) == ["gpu", "dla"]
    kinds = [str(config.default_device_type) for _, config in there.world.seen]
    assert kinds == ["DeviceType.GPU", "DeviceType.DLA"]
    assert "placed" not in made["parts"]["gpu"]


@pytest.mark.parametrize("version", ["8.5", "10.3"])
def test_a_label_that_did_not_come_true_is_refused(version: str, board: Boards, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="fp16 asked for, but no layer runs in it .*fp32") as refused:
        board(version, takes_flags=False).build(dense(tmp_path), precision="fp16")
    assert refused.value.kind == "infeasible"


@pytest.mark.parametrize(
    ("version", "network", "precision", "words"),
    [
        ("11", dense, "fp16", "fp16 asked for, but the network holds 6 FLOAT, and TensorRT 11.4.0.106 takes its types"),
        ("11", lambda f: half(f / "net"), "fp32", "fp32 asked for, but the network holds 1 HALF"),
        ("11", dense, "bf16", "bf16 asked for"),
        ("10.3", lambda f: strongly_typed(f / "net"), "fp32", "fp32 asked for, but the network holds 1 HALF"),
    ],
)
def test_a_strongly_typed_network_must_have_the_types_of_its_label(
    version: str, network: Any, precision: str, words: str, board: Boards, tmp_path: Path
) -> None:
    there = board(version)
    with pytest.raises(AgentError, match=words):
        there.build(network(tmp_path), precision=precision)
    assert not there.world.seen


@pytest.mark.parametrize("version", ["10.3", "11"])
def test_a_strongly_typed_network_runs_in_its_own_types(version: str, board: Boards, tmp_path: Path) -> None:
    there = board(version)
    made = there.build(strongly_typed(tmp_path / "net"), precision="fp16")
    assert (made["layers"], made["strongly_typed"]) == ({"fp16": 1}, True)
    network, config = told(there)
    assert not config.flags & {"FP16", "TF32"}
    assert bool(network.flags) is (version == "10.3"), "in 11 there is nothing to ask for"


def test_an_output_left_out_is_of_no_type(board: Boards, tmp_path: Path) -> None:
    made = board("11").build(with_an_output_left_out(tmp_path / "net"))
    assert made["layers"] == {"fp32": 1}


def test_a_parse_error_is_a_fact_about_the_network(board: Boards, tmp_path: Path) -> None:
    (tmp_path / "net").write_bytes(dense(tmp_path).read_bytes().replace(b"Relu", b"Ruly"))
    with pytest.raises(AgentError, match="parser") as refused:
        board().build(tmp_path / "net")
    assert refused.value.kind == "infeasible"


def test_a_plan_that_cannot_be_loaded_again_is_a_failure(board: Boards, tmp_path: Path) -> None:
    there = board()
    there.module.Runtime.deserialize_cuda_engine = lambda self, serialized_engine: None
    with pytest.raises(AgentError, match="TensorRT cannot load what it has just built: ") as failed:
        there.build(dense(tmp_path))
    assert failed.value.kind == "failed"


def test_the_second_build_knows_the_kernels_times_of_the_first(board: Boards, tmp_path: Path) -> None:
    there = board()
    said = [there.build(dense(tmp_path), power_mode=mode)["parts"]["gpu"]["timing_cache"] for mode in ("", "", "15W")]
    assert said == ["new", "used", "new"]


def test_every_fault_of_the_face_is_met_somewhere() -> None:
    assert set(FAULTS) == {
        "",
        *("memory", "workspace", "implementation", "loadables", "device", "silence"),  # test_agent
        *("no context", "no inference"),  # test_run
    }
    assert build.WORKSPACE_SHARE == 0.25
