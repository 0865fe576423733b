"""Seconds of layers on units, from figures chosen so that the answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from explorer_agent.virtual import roofline
from explorer_agent.virtual.boards import AGX_ORIN_64, BOARDS, NANO
from explorer_agent.virtual.layers import Layer

MAXN = AGX_ORIN_64.modes["MAXN"]
UNITS = {name: roofline.unit(AGX_ORIN_64, MAXN, name) for name in AGX_ORIN_64.units}
HEAVY = Layer("heavy", "Conv", macs=10**10, reads=1, writes=1, weights=1, channels_in=64, channels_out=64,
              rows=1 << 20, quantised=True)  # fmt: skip
WIDE = replace(HEAVY, name="wide", macs=10**6, reads=10**8, writes=10**8)
STRANGE = replace(HEAVY, name="strange", op="Erf", macs=10**6, not_on_dla="Erf is none of the DLA's layers")


def test_a_layer_that_computes_takes_its_macs_over_the_rate() -> None:
    found = roofline.cost(HEAVY, UNITS["gpu"], "int8")
    assert found.compute_s == pytest.approx(10**10 / (85.5e12 / 2 * 0.75), rel=1e-3)
    assert found.seconds == pytest.approx(found.compute_s + found.start_s, rel=1e-3)
    assert roofline.cost(HEAVY, UNITS["gpu"], "fp16").compute_s == pytest.approx(2 * found.compute_s)


def test_a_layer_that_moves_takes_its_bytes_over_the_bandwidth() -> None:
    found = roofline.cost(WIDE, UNITS["gpu"], "int8")
    assert found.memory_s == pytest.approx(2e8 / (204.8e9 * 0.75), rel=1e-3)
    assert found.seconds == pytest.approx(found.memory_s, rel=0.01)


@pytest.mark.parametrize(("channels", "times"), [(64, 1.0), (65, (96 / 65) ** 2), (33, (64 / 33) ** 2)])
def test_channels_are_filled_up_to_what_a_dla_reads_at_once(channels: int, times: float) -> None:
    layer = replace(HEAVY, channels_in=channels, channels_out=channels)
    found, full = roofline.cost(layer, UNITS["dla0"], "int8"), roofline.cost(HEAVY, UNITS["dla0"], "int8")
    assert found.compute_s / full.compute_s == pytest.approx(times)
    assert found.useful == pytest.approx(1 / times)


def test_few_tiles_leave_multiprocessors_idle() -> None:
    few = replace(HEAVY, rows=64, channels_out=64)
    assert (
        roofline.cost(few, UNITS["gpu"], "int8").compute_s > 20 * roofline.cost(HEAVY, UNITS["gpu"], "int8").compute_s
    )
    many = roofline.cost(few, UNITS["gpu"], "int8", at_once=4)
    assert many.compute_s < roofline.cost(few, UNITS["gpu"], "int8").compute_s


def test_a_fallback_costs_two_copies_and_is_told() -> None:
    plain = roofline.placed([HEAVY, HEAVY], UNITS, "dla0", "int8")
    broken = roofline.placed([HEAVY, STRANGE, HEAVY], UNITS, "dla0", "int8")
    copies = [stretch.layers.count(roofline.REFORMAT) for stretch in broken.stretches]
    assert (sum(copies), [one.layer for one in broken.fallbacks]) == (4, ["strange"])
    assert [stretch.unit for stretch in broken.stretches] == ["gpu", "dla0", "gpu", "dla0", "gpu"]
    assert broken.seconds > plain.seconds
    assert broken.macs_share() == {"gpu": 0.0, "dla0": 1.0}


def test_a_dla_holds_sixteen_loadables() -> None:
    run = roofline.placed([HEAVY, STRANGE] * 20, UNITS, "dla0", "int8")
    beyond = [one for one in run.fallbacks if "loadable 17" in one.reason]
    assert len(beyond) == 4


@pytest.mark.parametrize(
    ("asked", "quantised", "found"),
    [
        ("int8", True, "int8"),
        ("int8", False, "fp16"),
        ("best", False, "fp16"),
        ("best", True, "int8"),
        ("fp32", 1, "fp32"),
    ],
)
def test_what_is_not_quantised_runs_in_fp16(asked: str, quantised: bool, found: str) -> None:
    assert roofline.precision_of(replace(HEAVY, quantised=quantised), asked, UNITS["gpu"]) == found


def test_units_at_work_together_share_the_memory() -> None:
    runs = [roofline.placed([WIDE], UNITS, name, "int8") for name in ("gpu", "dla0", "dla1")]
    rates = [1 / run.seconds for run in runs]
    slower = roofline.shared(runs, rates, MAXN)
    assert roofline.shared(runs[:1], rates[:1], MAXN) == 1.0, "the GPU alone does not fill it"
    assert 1.1 < slower < 3
    moved = sum(run.bytes / run.slowed(slower).seconds for run in runs)
    assert moved == pytest.approx(204.8e9 * roofline.ALL_OF_MEMORY, rel=0.05)


def test_every_board_has_its_units() -> None:
    for board in BOARDS.values():
        for mode in board.modes.values():
            for name in board.units:
                assert roofline.unit(board, mode, name).macs_per_s > 0
    assert NANO.units == ("gpu",)
