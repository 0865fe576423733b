"""Which of the meters that a board tells of can be used, and which one might be mended."""

from __future__ import annotations

from typing import Any

import pytest

from explorer.device.meters import better, why_unusable

NO_SERVICE = {"available": False, "mendable": True, "why_not": "its service does not run"}
NO_SENSOR = {"available": False, "mendable": False, "why_not": "no sensor"}
THERE = {"available": True, "why_not": ""}
ON_GPU = {**THERE, "units": ["gpu"]}
DECLARED = {"available": False, "why_not": "idle_w not declared"}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({}, ""),
        ({"name": "rapl"}, ""),
        ({"name": "jtop"}, "the meter 'jtop' cannot be used: its service does not run"),
        ({"name": "crystal"}, "unknown meter 'crystal'; known: auto, jtop, rapl, declared"),
        ({"name": "declared", "idle_w": 1}, "the meter 'declared' needs busy_core_w, in watts"),
        ({"name": "declared", "idle_w": 1, "busy_core_w": 1}, ""),
    ],
)
def test_a_meter_that_cannot_be_used_is_refused_in_words(wanted: dict[str, Any], told: str) -> None:
    assert why_unusable(wanted, {"jtop": NO_SERVICE, "rapl": THERE, "declared": DECLARED}) == told


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"ina3221": NO_SENSOR, "jtop": NO_SERVICE, "declared": DECLARED}, "jtop: its service does not run"),
        ({"ina3221": THERE, "jtop": NO_SERVICE}, ""),
        ({"nvml": ON_GPU, "rapl": NO_SERVICE, "declared": DECLARED}, "rapl: its service does not run"),
        ({"ina3221": NO_SENSOR, "declared": DECLARED}, ""),
    ],
)
def test_only_what_would_be_taken_if_it_were_mended_is_told(known: dict[str, Any], told: str) -> None:
    assert better({}, known) == told
    assert better({"name": "declared"}, known) == ""
