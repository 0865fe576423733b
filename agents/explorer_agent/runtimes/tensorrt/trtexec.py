"""The command line of trtexec, NVIDIA's own runner, as a cross-check: an engine of ours under the conditions of ours.

    what our figures mean          until 10          from 11, whose defaults are the other way round
    copies are made and counted    (as it is)        --includeDataTransfers
    whoever waits sleeps           (as it is)        --noSpinWait
    CUDA graphs are launched       --useCudaGraph    (as it is)
    one batch at a time            --exposeDMA       --exposeDMA: else the copies of one are made while another computes
    a thread for each stream       --threads         --threads

What is "as it is" has no switch that would say so; `conditions` tells it in words. Its inputs are random numbers. With
a DLA it launches no CUDA graph, whatever it is told. Before 8.6 one switch had another name. A throughput is told in
queries a second: batches, not samples.

Sources: NVIDIA/TensorRT samples/common/sampleOptions.cpp before 8.6, of 8.6 and of 10, and sampleInference.cpp of 8.5
to 11 (``mDepth(1 + inference.overlap)``); TensorRT 11.4.1 documentation, "Migrating trtexec Usage from TensorRT 10.x to
11.x".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Tuple

from explorer_agent.runtimes.tensorrt.units import DLA, Unit

Version = Tuple[int, ...]
RENAMED = (8, 6)  # --streams until then
FLIPPED = (11,)  # defaults are the other way round
WARM_UP_MS, SECONDS = 500, 5.0
_FIGURES = re.compile(r"\[I\] (Latency|GPU Compute Time|Enqueue Time): .*?median = ([\d.]+(?:e-?\d+)?) ms")
_THROUGHPUT = re.compile(r"Throughput: ([\d.]+(?:e\+?\d+)?) qps")
_BANNER = re.compile(r"\[TensorRT v(\d{4,7})\]")
_ERROR = re.compile(r"\[E\] (.+)")


@dataclass(frozen=True)
class Conditions:
    """Under which an engine is run; those of `run`, unless told otherwise."""

    graph: bool = True  # False where ours could not be captured, and on a DLA
    streams: int = 1
    seconds: float = SECONDS
    warm_up_ms: int = WARM_UP_MS


def version_of(text: str) -> Version:
    """(8, 5, 3, 1) for "8.5.3.1"; what follows the numbers does not count."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def version_in(output: str) -> Version:
    """(8, 5, 3), (10, 3, 0) for what its first line calls v8503, v100300; empty where it says nothing of the kind."""
    found = _BANNER.search(output)
    if not found:
        return ()
    number = int(found.group(1))
    major = 10_000 if number >= 100_000 else 1000
    return (number // major, number % major // 100, number % 100)


def conditions(version: Version, asked: Conditions) -> dict[str, str]:
    """Each condition, and the switch that brings it about; "as it is" where that is trtexec's own default."""
    default = "as it is"
    flipped = version >= FLIPPED
    graph = {(True, True): default, (True, False): "--noCudaGraph", (False, True): "--useCudaGraph"}
    several = {"a thread for each stream": "--threads"} if asked.streams > 1 else {}
    return {
        "copies are made and counted": "--includeDataTransfers" if flipped else default,
        "whoever waits sleeps": "--noSpinWait" if flipped else default,
        "CUDA graphs" if asked.graph else "no CUDA graphs": graph.get((flipped, asked.graph), default),
        "one batch at a time in a stream": "--exposeDMA",
        **several,
        "inputs are random numbers": default,
    }


def running(version: Version, unit: Unit, plan: Path, asked: Conditions, *, tool: str) -> list[str]:
    """The command that runs the plan `plan` on `unit`.

    Args:
        version: of TensorRT, as in (10, 3, 0).
        unit: where; the plan was built for it.
        plan: what TensorRT serialised, not the engine's zip.
        asked: the conditions of the figures that are to be checked.
        tool: trtexec's own path.
    """
    streams = "--infStreams" if version >= RENAMED else "--streams"
    command = [tool, f"--loadEngine={plan}", *_on(unit)]
    command += [switch for switch in conditions(version, asked).values() if switch.startswith("--")]
    command += [f"{streams}={asked.streams}", f"--warmUp={asked.warm_up_ms}", f"--duration={asked.seconds:g}"]
    return [*command, "--percentile=99"]


def _on(unit: Unit) -> list[str]:
    """A plan for a DLA wants its core to be named when it is run too."""
    return [f"--useDLACore={unit.core}", "--allowGPUFallback"] if unit.kind == DLA else []


def dotted(version: Version) -> str:
    """A version as people write it: 8.5.3."""
    return ".".join(map(str, version))


def told(output: str, batch: int) -> dict[str, Any]:
    """What trtexec printed: {"passed", "throughput_ips", "latency_ms", "compute_ms", "enqueue_ms"}, medians, as far as
    they are there. Latency is that of one batch, its copies included.
    """
    found: dict[str, Any] = {"passed": "&&&& PASSED" in output}
    throughput = _THROUGHPUT.search(output)
    if throughput:
        found["throughput_ips"] = float(throughput.group(1)) * batch
    names = {"Latency": "latency_ms", "GPU Compute Time": "compute_ms", "Enqueue Time": "enqueue_ms"}
    found.update((names[name], float(median)) for name, median in _FIGURES.findall(output))
    return found


def complaint(output: str) -> str:
    """The first of its errors; empty when it names none."""
    found = _ERROR.search(output)
    return found.group(1).strip()[:1000] if found else ""
