"""What a board can do in a lesser form only, in sentences: said while a study runs, and in every report on it.

    hello ─► clocks, meters, TensorRT ┐
    axes ──► the oracle, of the board ┴─► sentences        nothing is said of what is as it should be

A study goes on all the same: this changes no candidate and no figure. What is not told by an older agent is not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from explorer.oracle import Target, advice, refusals

Axes = Mapping[str, Iterable[Any]]


def lacks(capabilities: Mapping[str, Any], axes: Axes, *, options: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """What is degraded on a board.

    Args:
        capabilities: as it said them in its hello.
        axes: every axis with the values that candidates may have on it, a fixed one with its only value.
        options: what the device was told; a meter that is asked for by its name lacks nothing, or ends the study.
    """
    by_name = _mapping((options or {}).get("meter")).get("name", "auto") != "auto"
    found = [*_clocks(capabilities), *(() if by_name else _power(capabilities))]
    if "tensorrt" in axes.get("runtime", ()):
        found += [*_tensorrt(capabilities), *_never(Target.of_capabilities(capabilities), axes)]
    return tuple(found)


def axes_of(identity: Mapping[str, Any]) -> Axes:
    """The axes of an experiment, from what ``study.json`` keeps of it."""
    return {**{name: (value,) for name, value in identity.get("fixed", {}).items()}, **identity.get("space", {})}


def _clocks(capabilities: Mapping[str, Any]) -> Iterator[str]:
    """Clocks that are free: those that were to be locked, and a Jetson's in any case, which move most."""
    told = _mapping(capabilities.get("clocks"))
    state, asked = told.get("state", "locked"), told.get("asked") == "lock" or told.get("state") != "left"
    if state == "locked" or told.get("free") == [] or not (asked or capabilities.get("l4t")):
        return
    how = "locked only in part" if state == "partly" else "not locked"
    why = f", though that was asked for ({told.get('why') or state})" if asked else ""
    advice = "" if asked else "; device_options: {clocks: lock} asks for it"
    yield f"clocks are {how}{why}: figures vary more, and are marked clocks-not-locked{advice}"


def _power(capabilities: Mapping[str, Any]) -> Iterator[str]:
    """Of a Jetson: whether any meter reads its power, and which one does in place of jtop."""
    meters = _mapping(capabilities.get("meters"))
    if not meters or not capabilities.get("l4t"):
        return
    why_not = {name: str(facts.get("why_not", "")) for name, facts in meters.items() if not facts.get("available")}
    taken = next((name for name in meters if name not in why_not), "")
    if not taken:
        told = "; ".join(f"{name}: {why}" for name, why in why_not.items() if name != "declared")
        yield (
            f"nothing measures power ({told}): energy is an estimate where idle_w and busy_core_w are declared "
            "(meter:), and missing where they are not"
        )
    elif "jtop" in why_not:
        yield f"jtop cannot be used ({why_not['jtop']}): power is read by {taken}, which does without"


def _tensorrt(capabilities: Mapping[str, Any]) -> Iterator[str]:
    told = _mapping(_mapping(capabilities.get("runtimes")).get("tensorrt"))
    release = str(told.get("version", ""))
    if told.get("strongly_typed_only"):
        yield (
            f"TensorRT {release} computes in the types of the network alone: fp16 and bf16 are written into it by "
            "casts, int8 and fp8 by QuantizeLinear, and layers choose no other precision"
        )
    known = advice(Target.of_capabilities(capabilities), None, {"precision": "fp16"})
    yield from (str(one) for one in known if one.rule == "names-of-tensors")


def _never(target: Target, axes: Axes) -> Iterator[str]:
    """Values of an axis that the board can never run, whatever the network, each reason once."""
    whole: dict[str, list[str]] = {}
    for axis in ("precision", "placement"):
        for value in axes.get(axis, ()):
            for refusal in refusals(target, None, {"precision": "fp16", axis: value}):
                whole.setdefault(str(refusal), []).append(f"{axis} {value}")
    for reason, values in whole.items():
        yield f"never run here, and left out of the search: {', '.join(values)}: {reason}"


def _mapping(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}
