"""Which unit serves which stream, and how fast when all are at work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from explorer_agent.messages import AgentError, Deployment
from explorer_agent.virtual.boards import AGX_ORIN_64, NANO
from explorer_agent.virtual.layers import Layer
from explorer_agent.virtual.schedule import LEAST, check, schedule, throttled, units_of

from . import published

MAXN = AGX_ORIN_64.modes["MAXN"]
RESNET = published.resnet50(4)
CONV = Layer("conv", "Conv", macs=10**9, reads=10**6, writes=10**6, channels_in=64, channels_out=64, rows=10**5)
STRANGE = replace(CONV, name="strange", not_on_dla="no reason")


def asked(placement: str, precision: str = "int8", streams: int = 1) -> Deployment:
    return Deployment("tensorrt", precision, 4, streams=streams, placement=placement)


@pytest.mark.parametrize(
    ("placement", "units"),
    [
        ("gpu", ("gpu",)),
        ("dla", ("dla0",)),
        ("dla_only", ("dla0",)),
        ("dla1", ("dla1",)),
        ("dla_only1", ("dla1",)),
        ("gpu+dla", ("gpu", "dla0", "dla1")),
    ],
)
def test_placements_in_units(placement: str, units: tuple[str, ...]) -> None:
    assert units_of(placement, AGX_ORIN_64) == units


@pytest.mark.parametrize("placement", ["dla", "dla_only", "gpu+dla", "cpu"])
def test_what_a_board_has_not_is_infeasible(placement: str) -> None:
    with pytest.raises(AgentError, match="nano offers gpu"):
        units_of(placement, NANO)


def test_streams_fill_the_gaps_and_no_more() -> None:
    one, two, eight = (schedule(RESNET, asked("gpu", streams=many), AGX_ORIN_64, MAXN) for many in (1, 2, 8))
    rates = [sum(1 / lane.seconds for lane in found.lanes) for found in (one, two, eight)]
    assert rates[0] <= rates[1] <= rates[2] < 1.5 * rates[0]
    assert [len(found.lanes) for found in (one, two, eight)] == [1, 2, 8]


def test_units_at_work_together_disturb_each_other() -> None:
    together = schedule(RESNET, asked("gpu+dla", streams=3), AGX_ORIN_64, MAXN)
    alone = {name: schedule(RESNET, asked(name), AGX_ORIN_64, MAXN).lanes[0].seconds for name in ("gpu", "dla")}
    lanes = {lane.unit: lane.seconds for lane in together.lanes}
    assert set(lanes) == {"gpu", "dla0", "dla1"}
    assert lanes["gpu"] >= alone["gpu"]
    assert lanes["dla0"] == lanes["dla1"] >= alone["dla"]
    assert together.slowdown["gpu"] == pytest.approx(lanes["gpu"] / alone["gpu"])
    assert 1 / lanes["gpu"] + 2 / lanes["dla0"] > 1 / alone["gpu"]


@pytest.mark.parametrize(
    ("layers", "deployment", "words"),
    [
        ([CONV], asked("dla", "fp32"), "fp16 and int8, not in fp32"),
        ([CONV], asked("gpu", "fp8"), "cannot run fp8"),
        ([STRANGE], asked("dla"), "0.0% of this network's MACs"),
        ([CONV, STRANGE], asked("dla_only"), "1 layers need the GPU: strange"),
        ([CONV, replace(CONV, dimensions=3)], asked("dla"), "convolves in 3 dimensions"),
    ],
)
def test_what_tensorrt_would_not_build_is_refused(layers: list[Layer], deployment: Deployment, words: str) -> None:
    with pytest.raises(AgentError, match=words):
        check(layers, deployment, AGX_ORIN_64)


def test_a_little_on_the_dla_is_enough() -> None:
    mostly = [CONV, replace(STRANGE, macs=int(10**9 / LEAST * 0.9))]
    check(mostly, asked("dla"), AGX_ORIN_64)
    with pytest.raises(AgentError, match="no DLA engine"):
        check([CONV, replace(STRANGE, macs=int(10**9 / LEAST * 1.1))], asked("dla"), AGX_ORIN_64)


def test_fewer_streams_than_units_are_refused() -> None:
    with pytest.raises(AgentError, match="needs 3 streams or more, not 2"):
        schedule(RESNET, asked("gpu+dla", streams=2), AGX_ORIN_64, MAXN)


def test_clocks_held_back_are_slower_and_draw_less() -> None:
    found = schedule(RESNET, asked("gpu"), AGX_ORIN_64, MAXN)
    (slow,), (fast,) = throttled(found, 0.5).lanes, found.lanes
    assert slow.seconds == pytest.approx(2 * fast.seconds)
    assert slow.joules["gpu"] / slow.seconds < 0.5 * fast.joules["gpu"] / fast.seconds
