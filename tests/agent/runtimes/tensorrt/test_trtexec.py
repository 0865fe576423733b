"""trtexec's command line: the same conditions by other switches in every version, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from explorer_agent.runtimes.tensorrt import trtexec
from explorer_agent.runtimes.tensorrt.trtexec import Conditions
from explorer_agent.runtimes.tensorrt.units import DLA, GPU, Unit

TOOL = "/usr/src/tensorrt/bin/trtexec"
VERSIONS = [(8, 5, 2, 2), (8, 6, 2), (10, 3, 0, 30), (11, 4, 1)]


def names(command: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in command[1:]}


ON_GPU = Unit(GPU)


def running(version: tuple[int, ...], unit: Unit = ON_GPU, **asked: Any) -> list[str]:
    return trtexec.running(version, unit, Path("/tmp/gpu.plan"), Conditions(**asked), tool=TOOL)


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


@pytest.mark.parametrize("version", VERSIONS)
def test_switches_go_by_the_names_of_their_version(version: tuple[int, ...]) -> None:
    old = version < (8, 6)
    assert ("--streams" in names(running(version)), "--infStreams" in names(running(version))) == (old, not old)


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
