"""What was built, as the engine itself and the builder's log tell: which layers run where, and in which precision.

    engine inspector    each layer of the engine: its type, the formats of what goes in and out  → precisions
    build log           [DlaLayer] and [GpuLayer], and who was sent back to the GPU              → units

A layer of the engine is often several of the network in one, and one on a DLA is a whole stretch of it:
``{ForeignNode[first...last]}``. That name alone proves nothing, since blocks of the GPU's own compiler bear it too.

Sources: facts of TensorRT 8.5 to 11 (inspector: "Format/Datatype" until 10, "Format" and "Datatype" in 11; layers are
bare names unless the engine was built with detailed verbosity); log lines from NVIDIA-AI-IOT/jetson_dla_tutorial issue
3 and NVIDIA/TensorRT issues 2318, 3143 and 3438.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Iterable, Sequence

from explorer_agent.runtimes.tensorrt.failures import Line

_PRECISIONS = (
    ("int8", re.compile(r"\bint8\b|\bU?INT8\b", re.IGNORECASE)),
    ("fp8", re.compile(r"\bfp8\b|\bE4M3\b", re.IGNORECASE)),
    ("bf16", re.compile(r"\bbf16\b|\bbfloat16\b", re.IGNORECASE)),
    ("fp16", re.compile(r"\bfp16\b|\bhalf\b|\bfloat16\b", re.IGNORECASE)),
    ("fp32", re.compile(r"\bfp32\b|\bfloat32\b|\bfloat\b", re.IGNORECASE)),
)
_TF32 = re.compile(r"tf32|_s1688|tensor16x8x8", re.IGNORECASE)
# Layers that only carry data about: they say nothing of the precision in which is computed.
_CARRIERS = re.compile(
    r"reformat|noop|constant|shuffle|copy|slice|concat|identity|cast|shape|signal|wait", re.IGNORECASE
)
_REFORMAT = re.compile(r"reformat", re.IGNORECASE)
_ON_DLA = re.compile(r"\[DlaLayer\]\s*(.+)$")
_ON_GPU = re.compile(r"\[GpuLayer\]\s*(?:[A-Z_0-9]+:\s*)?(.+)$")
_STRETCH = re.compile(r"\{ForeignNode\[(.*)\]\}")
_SENT_BACK = (
    re.compile(r"Layer '(.+?)' \(\w+\): (Unsupported on DLA.*)"),
    re.compile(r"Default DLA is enabled but layer (.+?) (is not (?:supported|running) on DLA.*)"),
    re.compile(r"Validation failed for DLA layer: (.+?)\.\s*(Switching to GPU fallback.*)"),
)
_SENT_BACK_FOR = re.compile(r"^(.*\bDLA\b.*?)\. Switching (?:to GPU for layer (.+?)|(.+?) device type to GPU)\.?$")
_REASON = re.compile(r"^(?:DLA Layer )?(.+?):? ((?:DLA|does not support|.* DLA ).*)$")
_MISSING_SCALE = re.compile(r"Missing (?:scale|dynamic range).*? (?:for|of) tensor (.+?)(?:,|$)", re.IGNORECASE)


@dataclass
class Placed:
    """Where the layers of a network went; names are the network's."""

    gpu: list[str] = field(default_factory=list)
    dla: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # folded away, or part of another
    fallbacks: dict[str, str] = field(default_factory=dict)  # who was sent back to the GPU, and why
    without_scale: list[str] = field(default_factory=list)  # tensors, where int8 was asked for

    def facts(self) -> dict[str, Any]:
        counts = {name: len(getattr(self, name)) for name in ("gpu", "dla", "unknown")}
        told = {"placed": counts, "gpu_layers": self.gpu[:200], "dla_layers": self.dla[:200]}
        reasons = [{"layer": name, "reason": why} for name, why in list(self.fallbacks.items())[:200]]
        return dict(told, fallbacks=reasons, without_scale=self.without_scale[:200])


def placed(log: Iterable[Line], layers: Sequence[str]) -> Placed:
    """Which of the network's `layers`, in their order, run on the GPU and which on a DLA, by the build's log."""
    found, lines = Placed(), [text for _, text in log]
    found.fallbacks = _fallbacks(lines, layers)
    found.without_scale = sorted({name for text in lines for name in _MISSING_SCALE.findall(text)})
    on_gpu = _named((match.group(1) for match in map(_ON_GPU.search, lines) if match), layers)
    on_dla = _named((match.group(1) for match in map(_ON_DLA.search, lines) if match), layers)
    for name in layers:
        sent_back = name in found.fallbacks or name in on_gpu
        where = found.gpu if sent_back else found.dla if name in on_dla else found.unknown
        where.append(name)
    return found


def _fallbacks(lines: Sequence[str], layers: Sequence[str]) -> dict[str, str]:
    """The layers that were sent back to the GPU, each with the first reason that was given for it."""
    reasons: dict[str, str] = {}
    sent: dict[str, str] = {}
    known = set(layers)
    for text in lines:
        reason = _REASON.match(text)
        if reason and reason.group(1) in known:
            reasons.setdefault(reason.group(1), reason.group(2).strip())
        for words in _SENT_BACK:
            sent.update((name, why.strip()) for name, why in words.findall(text))
        back = _SENT_BACK_FOR.match(text)
        if back:
            sent[back.group(2) or back.group(3)] = back.group(1)
    told = [(name, why) for names, why in sent.items() for name in sorted(_named([names], layers))]
    return {name: reasons.get(name, why) for name, why in told}


def _named(told: Iterable[str], layers: Sequence[str]) -> set[str]:
    """The layers meant by names of the log: alone, several in one, or a stretch from one to another."""
    found: set[str] = set()
    position = {name: number for number, name in enumerate(layers)}
    for name in told:
        stretch = _STRETCH.search(name)
        if stretch:
            ends = [position[end] for end in map(str.strip, stretch.group(1).split("...")) if end in position]
            found.update(layers[min(ends) : max(ends) + 1] if ends else ())
            continue
        pieces = [name, *re.split(r" \+ |, ", name.replace("PWN(", ""))]
        found.update(
            match for piece in pieces for match in (piece.strip(), piece.strip().rstrip(")")) if match in position
        )
    return found


def layers(information: str) -> dict[str, Any]:
    """{"layers": {precision: count}, "reformats": count, "dla_blocks": count} by the engine inspector's JSON.

    Only what computes is counted; a layer goes by the narrowest type among what it reads, since an int8 convolution
    may well write fp16. Empty counts when the engine does not tell its types.
    """
    try:
        told = list(json.loads(information)["Layers"])
    except (ValueError, KeyError, TypeError):
        return {"layers": {}, "reformats": 0, "dla_blocks": 0}
    known = [layer for layer in told if isinstance(layer, dict)]
    counts = Counter(_precision(layer) for layer in known if not _CARRIERS.search(_type(layer)))
    counts.pop("", None)
    reformats = sum(bool(_REFORMAT.search(layer if isinstance(layer, str) else _type(layer))) for layer in told)
    return {"layers": dict(counts), "reformats": reformats, "dla_blocks": sum(_type(each) == "DLA" for each in known)}


def _type(layer: dict[str, Any]) -> str:
    return str(layer.get("LayerType", ""))


def _precision(layer: dict[str, Any]) -> str:
    formats = [_format(port) for port in layer.get("Inputs", ()) if isinstance(port, dict)]
    formats = formats or [_format(port) for port in layer.get("Outputs", ()) if isinstance(port, dict)]
    for name, words in _PRECISIONS:
        if any(words.search(text) for text in formats):
            return "tf32" if name == "fp32" and _TF32.search(str(layer.get("TacticName", ""))) else name
    return ""


def _format(port: dict[str, Any]) -> str:
    return " ".join(str(port.get(key, "")) for key in ("Format/Datatype", "Format", "Datatype", "DataType"))
