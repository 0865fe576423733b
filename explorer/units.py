"""Which units of a board run a network, as its build told: what a label of placement is worth; and what they cost
each other.

build ──► parts: names of layers on the GPU and on a DLA, who fell back ─┐
the ONNX file ──► multiply-accumulates of each layer ────────────────────┴─► shares of both
measurement ──► each unit alone, and all together ─────────────────────────► slow-downs
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from explorer.oracle import Graph

FALLBACKS = 20  # that a record names
_TOLD = ("alone_ms", "together_ms", "slowdown")


def units_of(parts: Mapping[str, Any], graph: Graph, sharing: object = None) -> dict[str, Any]:
    """What of `graph` runs where; empty for a network that no DLA was asked to run.

    Args:
        parts: of the build's answer: for "dla" ``gpu_layers``, ``dla_layers`` and ``fallbacks``; its ``share`` where
            the board has counted better than names tell.
        graph: the file that was built.
        sharing: of the measurement's header: {unit: {"alone_ms", "together_ms", "slowdown"}}, where several units work
            together.

    Returns:
        {"layers": {unit: share}, "macs": {unit: share}, "fallbacks": [{"layer", "reason"}], "fell_back": count}, all
        of the part for the DLA; and "sharing", as it was given, if it was. Layers that were folded into others count
        nowhere.
    """
    part = parts.get("dla")
    if not isinstance(part, Mapping):
        return {}
    names = {unit: _texts(part.get(f"{unit}_layers")) for unit in ("gpu", "dla")}
    told = part.get("share")
    share = told if isinstance(told, Mapping) else {}
    listed = part.get("fallbacks")
    reasons = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    return {
        "layers": _shares(share.get("layers"), {unit: len(among) for unit, among in names.items()}),
        "macs": _shares(share.get("macs"), {unit: graph.share(frozenset(among)) for unit, among in names.items()}),
        "fallbacks": [{key: str(one.get(key, ""))[:200] for key in ("layer", "reason")} for one in reasons[:FALLBACKS]],
        "fell_back": len(reasons),
        **_sharing(sharing),
    }


def _shares(told: Any, counted: Mapping[str, float]) -> dict[str, float]:
    """Of units, as told, or else as counted; what is nowhere is left out."""
    counts = {str(unit): n for unit, n in told.items() if _is_share(n)} if isinstance(told, Mapping) else dict(counted)
    whole = sum(counts.values())
    return {unit: round(count / whole, 4) for unit, count in sorted(counts.items()) if count > 0} if whole else {}


def _sharing(told: object) -> dict[str, Any]:
    """What units cost each other, as far as it is numbers."""
    if not isinstance(told, Mapping) or not all(isinstance(its, Mapping) for its in told.values()):
        return {}
    found = {str(unit): {name: its[name] for name in _TOLD if _is_share(its.get(name))} for unit, its in told.items()}
    return {"sharing": found} if found and all(len(its) == len(_TOLD) for its in found.values()) else {}


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _texts(names: Any) -> list[str]:
    return [str(name) for name in names] if isinstance(names, list) else []
