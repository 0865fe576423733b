"""What is not refused, and yet worth knowing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from explorer.oracle import TARGETS, Advice, Target, advice, refusals
from explorer.oracle.advice import ADVICE
from explorer.oracle.sources import SOURCES
from tests.oracle import networks
from tests.oracle.networks import Net

ORIN, NX, NX_8, NANO = (TARGETS[name] for name in ("agx-orin-64", "orin-nx-16", "orin-nx-8", "nano"))
NX_1141 = NX.with_jetpack("7.2.2").with_tensorrt("11.4.1")

CASES: list[tuple[str, Target, dict[str, Any], Callable[[], Net] | None]] = [
    ("dla-falls-back", ORIN, {"precision": "fp16", "placement": "dla"}, lambda: networks.fragments(3)),
    ("dla-loadables", ORIN, {"precision": "fp16", "placement": "gpu+dla"}, lambda: networks.fragments(17)),
    ("dla-streams", ORIN, {"precision": "fp16", "placement": "dla", "streams": 6}, lambda: networks.fragments(3)),
    ("dla-reformats", ORIN, {"precision": "fp16", "placement": "dla_only"}, networks.plain),
    ("dla-quantised", ORIN, {"precision": "int8", "placement": "dla"}, networks.quantised),
    ("dla-one-core", NX_8, {"precision": "int8", "placement": "gpu+dla"}, None),
    ("dla-not-listed", NX_1141, {"precision": "fp16", "placement": "dla"}, None),
    ("channels-padded", ORIN, {"precision": "int8"}, lambda: Net().conv(24)),
    ("int8-3d", ORIN, {"precision": "int8"}, networks.volume),
    ("dynamic", ORIN, {"precision": "fp16"}, lambda: Net(("batch", 16, "rows", 16)).conv()),
    ("opset-old", ORIN, {"precision": "fp16"}, lambda: Net(opset=8).conv()),
    ("names-of-tensors", NANO, {"precision": "fp16"}, None),
]


@pytest.mark.parametrize(("rule", "target", "wish", "net"), CASES, ids=[case[0] for case in CASES])
def test_advice_is_given_and_nothing_is_refused(
    rule: str, target: Target, wish: dict[str, Any], net: Callable[[], Net] | None, tmp_path: Path
) -> None:
    graph = net().graph(tmp_path) if net else None
    found = {one.rule: one for one in advice(target, graph, wish)}
    assert rule in found
    assert isinstance(found[rule], Advice)
    assert found[rule].source in SOURCES.values()
    assert "{" not in found[rule].reason
    assert refusals(target, graph, wish) == ()


def test_every_piece_of_advice_has_a_case() -> None:
    assert {rule.id for rule in ADVICE} == {case[0] for case in CASES}


def test_there_is_none_where_all_is_well(tmp_path: Path) -> None:
    graph = networks.plain().graph(tmp_path)
    assert advice(ORIN, graph, {"precision": "fp16", "placement": "dla", "streams": 4}) == ()
    assert advice(ORIN, graph, {"precision": "fp16"}) == ()
    assert advice(NANO, graph, {"precision": "int8", "placement": "cpu", "runtime": "openvino"}) == ()


def test_the_share_that_falls_back_is_told(tmp_path: Path) -> None:
    net = Net(("batch", 16, 16, 16)).conv(16, 16, (3, 3), pads=[1, 1, 1, 1]).conv(16, 16, (3, 3), strides=[9, 9])
    (back,) = advice(ORIN, net.graph(tmp_path), {"precision": "fp16", "placement": "dla"})
    assert back.nodes == ("conv_1",)
    assert "at least 1.54% of" in back.reason  # 2 x 2 of 16 x 16 + 2 x 2 outputs
