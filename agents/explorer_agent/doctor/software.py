"""What networks can run on here: runtimes, CUDA, TensorRT, DLA cores."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Iterator

from explorer_agent import jetson, sysfs
from explorer_agent.doctor.look import BAD, NOTE, OK, WARN, Finding, Look, answer_of, finding

TENSORRT_S = 60
# In a process of its own: without a GPU some versions end in a crash. The first line is kept whatever becomes of the
# second.
_ASK_TENSORRT = """
import json, tensorrt
print(json.dumps({"version": tensorrt.__version__}), flush=True)
cores = tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.ERROR)).num_DLA_cores
print(json.dumps({"version": tensorrt.__version__, "dla": cores}), flush=True)
"""


def runtimes(look: Look) -> Iterator[Finding]:
    found = look.capabilities["runtimes"]
    for name, facts in found.items():
        if facts["available"]:
            precisions = [precision for precision, why_not in facts["precisions"].items() if not why_not]
            yield finding("runtime", OK, f"{name} {facts['version'].partition('-')[0]}: {', '.join(precisions)}")
            if facts.get("simulated_only"):
                advice = "on a real board of this kind a network can run in onnxruntime, on the processor"
                yield finding("runtime", NOTE, f"simulated only: {facts['simulated_only']}", advice)
        else:
            why_not = facts["why_not"]
            yield finding("runtime", NOTE, why_not if why_not.startswith(name) else f"{name}: {why_not}")
    if not any(facts["available"] for facts in found.values()):
        advice = f"{look.python} -m pip install onnxruntime"
        yield finding("runtime", BAD, "there is none, so no network can run here", advice)


def nvidia(look: Look) -> Iterator[Finding]:
    """CUDA, TensorRT and the DLA cores; one line where there is no NVIDIA GPU, none where all of it is imagined."""
    if look.simulated:
        return
    if not look.jetson and not (look.root / "proc/driver/nvidia/version").exists():
        yield finding("gpu", NOTE, "no NVIDIA GPU (no Jetson, no NVIDIA driver): CUDA and TensorRT not looked for")
        return
    cuda = cuda_version(look.root)
    missing = "sudo apt install nvidia-jetpack" if look.jetson else "install it from developer.nvidia.com"
    if cuda:
        yield finding("cuda", OK, f"{cuda}, below /usr/local/cuda")
    else:
        yield finding("cuda", NOTE, "not found below /usr/local/cuda", missing)
    tensorrt = ask_tensorrt(look.python)
    yield _tensorrt(tensorrt, trtexec(look.root), missing)
    if look.jetson:
        yield _dla(jetson.dla_cores(look.root), tensorrt)


def cuda_version(root: Path) -> str:
    """As its own file tells: version.json since CUDA 11.1, version.txt before; empty where there is none."""
    told = [sysfs.text(root / f"usr/local/cuda/version.{end}") or "" for end in ("json", "txt")]
    found = re.search(r'"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"([\d.]+)"', told[0]) or re.search(r"([\d.]+)", told[1])
    return found.group(1) if found else ""


def ask_tensorrt(python: str) -> dict[str, Any]:
    """{"version", "dla"} as TensorRT itself tells; what it does not tell is not there, "why_not" is in words."""
    status, told = answer_of([python, "-I", "-c", _ASK_TENSORRT], within_s=TENSORRT_S)
    found: dict[str, Any] = {}
    for line in told.splitlines():
        found = json.loads(line) if line.startswith('{"version"') else found
    return found if status == 0 else dict(found, why_not=told.splitlines()[-1] if told else f"it ended with {status}")


def trtexec(root: Path) -> str:
    """Where TensorRT's command line is, by its usual places; empty when it is in none."""
    places = ("usr/src/tensorrt/bin/trtexec", "usr/bin/trtexec", "usr/local/bin/trtexec")
    return next((f"/{place}" for place in places if (root / place).exists()), "")


def _tensorrt(found: dict[str, Any], tool: str, missing: str) -> Finding:
    tool = f"trtexec is {tool}" if tool else "no trtexec"
    if "version" not in found:
        return finding("tensorrt", NOTE, f"not usable by this Python ({found['why_not']}); {tool}", missing)
    if "why_not" in found:
        advice = "nvidia-smi or, on a Jetson, a restart shows whether the GPU is there"
        return finding(
            "tensorrt", WARN, f"{found['version']}, but it finds no GPU ({found['why_not']}); {tool}", advice
        )
    return finding("tensorrt", OK, f"{found['version']}, NVIDIA's compiler for its GPU and DLA; {tool}")


def _dla(nodes: tuple[str, ...], tensorrt: dict[str, Any]) -> Finding:
    """How many, and who says so; the board's name says nothing: of one family some have two, some none."""
    cores = tensorrt.get("dla", len(nodes))
    if cores != len(nodes):
        found = f"TensorRT counts {cores} DLA cores, the kernel has {len(nodes)} devices for them"
        return finding("dla", WARN, found, "after an update of JetPack restart the board")
    told = f"{cores} cores of NVIDIA's deep learning accelerator" if cores else "none on this board"
    who = "TensorRT and the kernel's devices" if "dla" in tensorrt else "the kernel's devices, TensorRT could not say"
    return finding("dla", OK if cores else NOTE, f"{told} (counted by {who})")
