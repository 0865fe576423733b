"""trtexec's command line: the same conditions by other switches in every version, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from explorer_agent.messages import AgentError
from explorer_agent.runtimes.tensorrt import api, trtexec
from explorer_agent.runtimes.tensorrt.trtexec import Conditions
from explorer_agent.runtimes.tensorrt.units import DLA, GPU, Unit

from .conftest import deployment

TOOL = "/usr/src/tensorrt/bin/trtexec"
VERSIONS = [(8, 5, 2, 2), (8, 6, 2), (10, 3, 0, 30), (11, 4, 1)]
# Switches of 10 that an 11 does not know: it would end with an unknown option.
GONE = {
    *("--fp16", "--bf16", "--int8", "--fp8", "--int4", "--best", "--stronglyTyped"),
    *("--calib", "--precisionConstraints", "--layerPrecisions", "--layerOutputTypes"),
}


def names(command: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in command[1:]}


ON_GPU = Unit(GPU)


def running(version: tuple[int, ...], unit: Unit = ON_GPU, **asked: Any) -> list[str]:
    return trtexec.running(version, unit, Path("/tmp/gpu.plan"), Conditions(**asked), tool=TOOL)


def building(version: tuple[int, ...], precision: str, unit: Unit = ON_GPU, **more: Any) -> list[str]:
    asked = deployment(precision=precision)
    return trtexec.building(version, asked, unit, Path("/tmp/net.onnx"), out=Path("/tmp/plan"), tool=TOOL, **more)


@pytest.mark.parametrize(
    ("version", "graph", "stated"),
    [
        ((8, 5, 2, 2), True, {"--useCudaGraph"}),
        ((8, 6, 2), True, {"--useCudaGraph"}),
        ((10, 3, 0, 30), True, {"--useCudaGraph"}),
        ((10, 16, 2), False, set()),
        ((11, 0, 0), True, {"--includeDataTransfers", "--noSpinWait"}),
        ((11, 4, 1), False, {"--includeDataTransfers", "--noSpinWait", "--noCudaGraph"}),
    ],
)
def test_every_changed_default_is_stated(version: tuple[int, ...], graph: bool, stated: set[str]) -> None:
    all_of_them = {"--useCudaGraph", "--noCudaGraph", "--includeDataTransfers", "--noDataTransfers"}
    all_of_them |= {"--noSpinWait", "--useSpinWait"}
    assert names(running(version, graph=graph)) & all_of_them == stated
    told = trtexec.conditions(version, Conditions(graph=graph))
    assert len(told) == 5, "each condition is told, whoever brings it about"
    assert {switch for switch in told.values() if switch != "as it is"} == stated | {"--exposeDMA"}


def test_a_whole_command() -> None:
    assert running((10, 3, 0, 30), Unit(DLA, 1), streams=2, seconds=2.5, warm_up_ms=300) == [
        TOOL,
        "--loadEngine=/tmp/gpu.plan",
        "--useDLACore=1",
        "--allowGPUFallback",
        "--useCudaGraph",
        "--exposeDMA",
        "--threads",
        "--infStreams=2",
        "--warmUp=300",
        "--duration=2.5",
        "--percentile=99",
    ]
    assert building((8, 5, 2, 2), "int8", Unit(DLA, 0), calibration=Path("/tmp/cal"), workspace_mb=900) == [
        TOOL,
        "--onnx=/tmp/net.onnx",
        "--saveEngine=/tmp/plan",
        "--useDLACore=0",
        "--allowGPUFallback",
        "--noTF32",
        "--int8",
        "--fp16",
        "--calib=/tmp/cal",
        "--memPoolSize=workspace:900",
        "--profilingVerbosity=detailed",
        "--buildOnly",
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_switches_go_by_the_names_of_their_version(version: tuple[int, ...]) -> None:
    old = version < (8, 6)
    assert ("--streams" in names(running(version)), "--infStreams" in names(running(version))) == (old, not old)
    built = names(building(version, "fp32"))
    assert ("--buildOnly" in built, "--skipInference" in built) == (old, not old)


@pytest.mark.parametrize("precision", [name for name in api.PRECISIONS if name != "best"])
def test_11_is_told_no_precision(precision: str) -> None:
    command = names(building((11, 4, 1), precision))
    assert not command & GONE
    assert ("--noTF32" in command) is (precision != "tf32")


@pytest.mark.parametrize(
    ("version", "precision", "switches"),
    [
        ((8, 5, 2, 2), "fp32", {"--noTF32"}),
        ((8, 5, 2, 2), "tf32", set()),
        ((8, 5, 2, 2), "fp16", {"--noTF32", "--fp16"}),
        ((8, 6, 2), "fp8", {"--noTF32", "--fp8", "--fp16"}),
        ((10, 3, 0), "bf16", {"--noTF32", "--bf16"}),
        ((10, 3, 0), "best", {"--best"}),
    ],
)
def test_precisions_until_10(version: tuple[int, ...], precision: str, switches: set[str]) -> None:
    assert names(building(version, precision)) & (GONE | {"--noTF32"}) == switches


def test_a_strongly_typed_network_until_10_is_asked_for() -> None:
    assert names(building((10, 3, 0), "fp16", strongly_typed=True)) & GONE == {"--stronglyTyped"}
    assert not names(building((11, 0, 0), "fp16", strongly_typed=True)) & GONE


@pytest.mark.parametrize(
    ("version", "precision", "more", "words"),
    [
        ((8, 5, 2, 2), "bf16", {}, "trtexec 8.5.2.2 knows no bf16"),
        ((8, 5, 2, 2), "fp8", {}, "trtexec 8.5.2.2 knows no fp8"),
        ((8, 6, 2), "fp16", {"strongly_typed": True}, "builds no strongly typed networks"),
        ((11, 4, 1), "best", {}, "chooses no precisions"),
        ((11, 4, 1), "int8", {"calibration": Path("/tmp/cal")}, "takes no calibration"),
    ],
)
def test_what_it_has_no_switch_for_is_refused(
    version: tuple[int, ...], precision: str, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(AgentError, match=words) as refused:
        building(version, precision, **more)
    assert refused.value.kind == "infeasible"


@pytest.mark.parametrize(
    ("text", "version"),
    [("8.5.2.2", (8, 5, 2, 2)), ("10.3.0", (10, 3, 0)), ("11.4.0.106+cuda13", (11, 4, 0, 106)), ("unknown", ())],
)
def test_versions_are_numbers(text: str, version: tuple[int, ...]) -> None:
    assert trtexec.version_of(text) == version


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("v8502", (8, 5, 2)),
        ("v8601", (8, 6, 1)),
        ("v100300", (10, 3, 0)),
        ("v101602", (10, 16, 2)),
        ("v110401", (11, 4, 1)),
    ],
)
def test_its_first_line_tells_whose_it_is(banner: str, version: tuple[int, ...]) -> None:
    line = f"&&&& RUNNING TensorRT.trtexec [TensorRT {banner}] [b10] # trtexec --help\n"
    assert trtexec.version_in(line) == version
    assert trtexec.version_in("trtexec: not found") == ()


# As sampleReporting.cpp of 10.3 words it.
OUTPUT = """
[11/21/2026-12:00] [I] === Performance summary ===
[11/21/2026-12:00] [I] Throughput: 412.5 qps
[11/21/2026-12:00] [I] Latency: min = 2.1 ms, max = 3.2 ms, mean = 2.5 ms, median = 2.4 ms, percentile(99%) = 3.1 ms
[11/21/2026-12:00] [I] Enqueue Time: min = 0.1 ms, max = 0.4 ms, mean = 0.2 ms, median = 0.15 ms
[11/21/2026-12:00] [I] GPU Compute Time: min = 1.7 ms, max = 2.9 ms, mean = 2.0 ms, median = 1.9 ms
&&&& PASSED TensorRT.trtexec [TensorRT v100300] # trtexec
"""


def test_what_it_prints_is_read_and_queries_become_samples() -> None:
    assert trtexec.told(OUTPUT, batch=4) == {
        "passed": True,
        "throughput_ips": 1650.0,
        "latency_ms": 2.4,
        "compute_ms": 1.9,
        "enqueue_ms": 0.15,
    }


def test_very_small_and_very_large_figures_are_read() -> None:
    """A stream of C++ writes them with an exponent."""
    told = trtexec.told("[I] Throughput: 1.2e+06 qps\n[I] Enqueue Time: min = 0 ms, median = 5e-05 ms", batch=1)
    assert (told["throughput_ips"], told["enqueue_ms"]) == (1.2e6, 5e-5)


def test_the_first_error_is_its_complaint() -> None:
    assert trtexec.complaint("[11/21/2026] [E] Unknown option: --x \n[11/21/2026] [E] other") == "Unknown option: --x"
    assert trtexec.complaint(OUTPUT) == ""


@pytest.mark.parametrize("output", ["", "&&&& FAILED TensorRT.trtexec [TensorRT v8502] # trtexec"])
def test_what_failed_has_no_figures(output: str) -> None:
    assert trtexec.told(output, batch=1) == {"passed": False}
