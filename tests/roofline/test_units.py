"""Seconds of a layer and of an engine, by hand."""

from __future__ import annotations

import pytest

from explorer.roofline.network import Layer
from explorer.roofline.units import HAND_OVER_S, Effort, Unit, engine

CONV = Layer("conv", macs=100.0, grouped=False, channels_in=16, channels_out=20, weights=320, moved=3600)
POOL = Layer("pool", macs=0.0, grouped=True, channels_in=1, channels_out=1, weights=0, moved=500)
GPU = Unit(macs=1e6, bytes=1e6, start_s=1e-3, align=16, width=2)
DLA = Unit(macs=1e5, bytes=1e6, start_s=1e-4, align=16, width=2)


def test_a_layer_takes_as_long_as_computing_or_moving_takes() -> None:
    assert GPU.effort(CONV, 1).busy_s == pytest.approx(100 * 16 * 32 / 1e6)  # 20 channels are filled up to 32
    assert GPU.effort(POOL, 4).busy_s == pytest.approx(4 * 500 * 2 / 1e6)
    slow = Unit(macs=1e9, bytes=1e4, start_s=0, align=1, width=4)
    assert slow.effort(CONV, 2).busy_s == pytest.approx((2 * 3600 + 320) * 4 / 1e4)


def test_an_engine_on_one_unit_starts_each_layer() -> None:
    one = engine([CONV, POOL], 1, GPU)
    assert one.gpu.busy_s == pytest.approx(0.0512 + 0.001)
    assert one.gpu.computing_s == pytest.approx(0.0512)
    assert one.dla == Effort()
    assert one.seconds == pytest.approx(one.gpu.busy_s + 2e-3)
    assert one.bytes == (3600 + 320 + 500) * 2


def test_what_is_kept_off_a_dla_runs_on_the_gpu_and_is_handed_over() -> None:
    one = engine([CONV, POOL], 1, GPU, dla=DLA, off_dla={"pool"}, cuts=2)
    assert (one.gpu.busy_s, one.dla.busy_s) == (pytest.approx(0.001), pytest.approx(0.512))
    assert one.seconds == pytest.approx(0.513 + 1e-3 + 1e-4 + 2 * HAND_OVER_S)


def test_streams_hide_starts_until_a_unit_is_full() -> None:
    one = engine([POOL], 1, GPU)  # 1 ms busy, 1 ms of start
    assert one.rate(1) == pytest.approx(500)
    assert one.rate(2) == one.rate(5) == pytest.approx(1000)
    assert one.rate(5, gpu_left=0.25) == pytest.approx(250)
