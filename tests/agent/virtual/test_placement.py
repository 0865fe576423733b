"""What a build tells of where layers run: the words of a real board's build, and shares that add up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from explorer_agent.virtual import placement, roofline
from explorer_agent.virtual.boards import AGX_ORIN_64
from explorer_agent.virtual.layers import Layer

UNITS = {name: roofline.unit(AGX_ORIN_64, AGX_ORIN_64.modes["MAXN"], name) for name in AGX_ORIN_64.units}
CONV = Layer("conv", "Conv", macs=3000, reads=10, writes=10, channels_in=64, channels_out=64, rows=100)
LARGE = replace(CONV, name="large", macs=9000, not_on_dla="too large")


def test_a_plan_for_the_gpu_tells_its_precisions() -> None:
    runs = {"gpu": roofline.placed([CONV, LARGE], UNITS, "gpu", "fp16")}
    shares = {"layers": {"gpu": 1.0}, "macs": {"gpu": 1.0}}
    assert placement.parts(runs) == {"gpu": {"layers": {"fp16": 2}, "reformats": 0, "dla_blocks": 0, "share": shares}}


def test_a_plan_for_a_dla_tells_where_and_why() -> None:
    runs = {name: roofline.placed([CONV, LARGE, CONV], UNITS, name, "fp16") for name in ("dla0", "dla1")}
    parts = placement.parts(runs)
    assert list(parts) == ["dla"], "one plan serves both cores"
    part = parts["dla"]
    assert (part["placed"], part["dla_blocks"]) == ({"gpu": 1, "dla": 2, "unknown": 0}, 2)
    assert part["fallbacks"] == [{"layer": "large", "reason": "too large"}]
    assert part["share"]["macs"] == pytest.approx({"gpu": 0.6, "dla": 0.4})
    assert sum(part["share"]["layers"].values()) == pytest.approx(1.0)


def test_names_are_told_up_to_a_limit() -> None:
    many = [replace(LARGE, name=f"layer{number}") for number in range(300)]
    part = placement.parts({"dla0": roofline.placed([CONV, *many], UNITS, "dla0", "fp16")})["dla"]
    assert (len(part["gpu_layers"]), len(part["fallbacks"]), part["placed"]["gpu"]) == (200, 200, 300)
