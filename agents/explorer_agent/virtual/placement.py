"""What a build tells of where a network runs, in the words of a real board's build.

{"gpu": {"layers": {precision: count}, "reformats": n, "dla_blocks": 0, "share": …},
 "dla": {… , "placed": {"gpu": n, "dla": n, "unknown": 0}, "gpu_layers": […], "dla_layers": […],
         "fallbacks": [{"layer", "reason"}], "without_scale": [], "share": {"layers": {unit: share}, "macs": {…}}}}

Layers are counted as they are fused. One plan for a DLA serves every core.
"""

from __future__ import annotations

from typing import Any, Mapping

from explorer_agent.virtual.roofline import REFORMAT, Run

MOST = 200  # names that are told


def parts(runs: Mapping[str, Run]) -> dict[str, Any]:
    """By kind of unit, of the `runs` by unit."""
    found: dict[str, Any] = {}
    for name, run in runs.items():
        found.setdefault("gpu" if name == "gpu" else "dla", _part(run))
    return found


def _part(run: Run) -> dict[str, Any]:
    where = {kind: _layers(run, kind) for kind in ("gpu", "dla")}
    reformats = sum(stretch.layers.count(REFORMAT) for stretch in run.stretches)
    blocks = sum(stretch.unit != "gpu" for stretch in run.stretches)
    told: dict[str, Any] = {"layers": dict(run.precisions), "reformats": reformats, "dla_blocks": blocks}
    told["share"] = {"layers": _shares({kind: len(names) for kind, names in where.items()}), "macs": _macs(run)}
    if run.unit == "gpu":
        return told
    return {
        **told,
        "placed": {"gpu": len(where["gpu"]), "dla": len(where["dla"]), "unknown": 0},
        "gpu_layers": where["gpu"][:MOST],
        "dla_layers": where["dla"][:MOST],
        "fallbacks": [{"layer": each.layer, "reason": each.reason} for each in run.fallbacks[:MOST]],
        "without_scale": [],
    }


def _layers(run: Run, kind: str) -> list[str]:
    stretches = [stretch for stretch in run.stretches if (stretch.unit == "gpu") == (kind == "gpu")]
    return [name for stretch in stretches for name in stretch.layers if name != REFORMAT]


def _macs(run: Run) -> dict[str, float]:
    share = run.macs_share()
    return _shares({"gpu": share.get("gpu", 0.0), "dla": sum(its for unit, its in share.items() if unit != "gpu")})


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    whole = sum(counts.values()) or 1
    return {name: count / whole for name, count in counts.items() if count}
