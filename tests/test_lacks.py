"""What a board does in a lesser form only: said in words, and nothing of a board that is as it should be."""

from __future__ import annotations

from typing import Any

import pytest

from explorer.lacks import Axes, axes_of, lacks

AXES: Axes = {"runtime": ["tensorrt"], "precision": ["fp16", "int8"], "placement": ["gpu", "dla"]}
LOCKED = {"state": "locked", "why": "", "asked": "lock", "free": []}
METERS = {"ina3221": {"available": True, "why_not": ""}, "jtop": {"available": True, "why_not": ""}}
DEAD = {"available": False, "why_not": "not here"}


def orin(*, tensorrt: str = "10.3.0", typed: bool = False, **other: Any) -> dict[str, Any]:
    """An Orin NX that lacks nothing, but for what is told."""
    runtime = {"available": True, "version": tensorrt, "dla_cores": 2, "strongly_typed_only": typed}
    whole = {"module": "p3767-0000", "soc": "tegra234", "l4t": "36.4.0", "clocks": LOCKED, "meters": METERS}
    return {**whole, "runtimes": {"tensorrt": runtime}, **other}


def test_of_a_whole_board_nothing_is_said() -> None:
    assert lacks(orin(), AXES) == ()


def test_of_an_older_agent_that_tells_little_nothing_is_said() -> None:
    assert lacks({}, {}) == ()
    assert (
        lacks({"clocks": None, "meters": None, "runtimes": None, "l4t": "36.4.0"}, {"runtime": ["onnxruntime"]}) == ()
    )


@pytest.mark.parametrize(
    ("clocks", "words"),
    [
        ({"state": "left", "why": "nobody asked", "asked": "leave", "free": ["cpu0"]}, "{clocks: lock} asks for it"),
        ({"state": "left", "why": "nobody asked"}, "clocks are not locked: figures vary more"),
        ({"state": "not permitted", "why": "sudo", "asked": "lock", "free": ["cpu0"]}, "that was asked for (sudo)"),
        ({"state": "partly", "why": "not locked: gpu", "asked": "lock", "free": ["gpu"]}, "locked only in part"),
        ({"state": "left", "why": "nobody asked", "asked": "leave", "free": []}, ""),  # by hand, before
    ],
)
def test_clocks_that_are_free(clocks: dict[str, Any], words: str) -> None:
    told = lacks(orin(clocks=clocks), AXES)
    assert len(told) == bool(words)
    assert words in " ".join(told)


def test_the_clocks_of_a_machine_that_is_no_jetson_are_its_own_unless_asked_for() -> None:
    free = {"state": "left", "why": "nobody asked", "asked": "leave", "free": ["cpu0"]}
    assert lacks({"clocks": free}, {}) == ()
    assert len(lacks({"clocks": {**free, "asked": "lock", "why": "no knob"}}, {})) == 1


@pytest.mark.parametrize(
    ("meters", "words"),
    [
        ({**METERS, "jtop": DEAD}, "jtop cannot be used (not here): power is read by ina3221, which does without"),
        ({"ina3221": DEAD, "jtop": DEAD, "declared": DEAD}, "power (ina3221: not here; jtop: not here): energy is an"),
    ],
)
def test_meters(meters: dict[str, Any], words: str) -> None:
    (told,) = lacks(orin(meters=meters), AXES)
    assert words in told


def test_a_meter_that_is_asked_for_by_name_stands_in_for_none() -> None:
    assert lacks(orin(meters={**METERS, "jtop": DEAD}), AXES, options={"meter": {"name": "declared"}}) == ()


def test_values_that_never_run_are_told_once_with_rule_and_source() -> None:
    several = {**AXES, "placement": ["gpu", "dla", "gpu+dla"]}
    nano = orin(module="p3767-0005", runtimes={"tensorrt": {"available": True, "version": "10.3.0", "dla_cores": 0}})
    (told,) = lacks(nano, several)
    assert told.startswith(
        "never run here, and left out of the search: placement dla, placement gpu+dla: orin-nano has"
    )
    assert "[dla-none; https://" in told
    assert lacks(nano, {**several, "runtime": ["onnxruntime"]}) == (), "the DLA is TensorRT's matter"


def test_tensorrt_11_and_one_that_is_too_old() -> None:
    typed, never = lacks(orin(tensorrt="11.4.1", typed=True, jetpack="7.2.2"), {**AXES, "precision": ["fp16", "best"]})
    assert "TensorRT 11.4.1 computes in the types of the network alone" in typed
    assert "precision best: TensorRT 11.4.1 has no flags of precision" in never
    old = lacks(orin(tensorrt="8.2.1"), AXES)
    assert any("[names-of-tensors; https://" in one and "cannot be used on a real board" in one for one in old)


def test_axes_as_a_study_keeps_them() -> None:
    kept = {"fixed": {"runtime": "tensorrt", "batch": 1}, "space": {"precision": ["fp32", "fp16"]}}
    assert axes_of(kept) == {"runtime": ("tensorrt",), "batch": (1,), "precision": ["fp32", "fp16"]}
    assert axes_of({}) == {}
