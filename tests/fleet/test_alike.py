"""What makes two boards different, in words."""

from __future__ import annotations

from typing import Any

import pytest

from explorer.fleet.alike import differences

ORIN: dict[str, Any] = {
    "machine": "aarch64",
    "cpu": "NVIDIA Jetson AGX Orin",
    "cores": 12,
    "memory_mb": 62_800,
    "l4t": "36.4.3",
    "fingerprint": "aa",
    "runtimes": {
        "onnxruntime": {"available": True, "version": "1.20"},
        "openvino": {"available": False, "why_not": "not installed", "version": ""},
    },
    "meters": {"rails": {"available": True}, "declared": {"available": False}},
    "power_modes": ["MAXN", "15W"],
    "plugins": {"mine": {"sha256": "0123456789"}},
}


def test_equal_boards_do_not_differ_and_a_little_memory_is_nothing() -> None:
    assert differences(ORIN, ORIN | {"memory_mb": 62_500}, ["onnxruntime"]) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cores": 8, "fingerprint": "bb"}, ["cores: 8, not 12"]),
        ({"memory_mb": 30_000}, ["memory: 30000 MB, not 62800 MB"]),
        ({"l4t": "35.4.1", "fingerprint": "bb"}, ["Jetson Linux (L4T): 35.4.1, not 36.4.3"]),
        ({"power_modes": []}, ["power modes: none, not MAXN, 15W"]),
        ({"fingerprint": "bb"}, ["fingerprint (instruction sets and the like): bb, not aa"]),
        ({"meters": {"rails": {"available": False}}}, ["meters: none, not rails"]),
        ({"runtimes": {"onnxruntime": {"available": True, "version": "1.19"}}}, ["onnxruntime: 1.19, not 1.20"]),
        ({"runtimes": {"onnxruntime": {"available": False}}}, ["onnxruntime: not available, not 1.20"]),
        ({"plugins": {"mine": {"sha256": "9876543210"}}}, ["plug-in mine: code 98765432, not 01234567"]),
    ],
)
def test_each_difference_names_the_fact_and_both_values(changed: dict[str, Any], told: list[str]) -> None:
    assert differences(ORIN, ORIN | changed, ["onnxruntime"]) == told


def test_what_one_of_the_two_does_not_tell_is_no_difference() -> None:
    old = {name: ORIN[name] for name in ("machine", "cpu", "cores", "fingerprint")}
    assert differences(old, ORIN, ["onnxruntime"]) == []
    assert differences(ORIN, old, ["onnxruntime"]) == []


def test_the_mode_that_a_board_is_in_counts_where_the_study_does_not_set_it() -> None:
    known, board = ({**ORIN, "power_mode": {"current": mode}} for mode in ("MAXN", "15W"))
    (told,) = differences(known, board, [])
    assert told.startswith("power mode: 15W, not MAXN")
    assert differences(known, board, [], sets_mode=True) == []
    assert differences(ORIN, board, []) == [], "an older agent did not tell"


def test_the_version_of_a_runtime_that_nobody_uses_does_not_matter() -> None:
    assert differences(ORIN, ORIN | {"runtimes": {"openvino": {"available": True, "version": "2026"}}}, []) == []
