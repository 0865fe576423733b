"""Energy against known truth: every board, every shape of power, every filter; intervals that contain it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fixtures import boards, waveforms
from fixtures.metered import BATCH, SHAPES, Scene, Taken, edited, told_by, watch, worst
from fixtures.waveforms import Drawn, Sensor, Supply

from explorer.statistics import Measurement, derive
from explorer.statistics.power import energy
from explorer_agent.meters.ina3221 import Ina3221

scipy_signal = pytest.importorskip("scipy.signal")
TAU_S = 3.0


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    return watch(boards.make("orin-nx", tmp_path_factory.mktemp("plain")))


@pytest.mark.parametrize("board", boards.BOARDS)
def test_energy_is_the_integral_of_power_on_every_board(board: str, tmp_path: Path) -> None:
    """Total, net and every rail, whatever the shape; also where a chip tells of a filter that it does not have."""
    tree = boards.make(board, tmp_path)
    for shape in SHAPES:
        taken = watch(tree, shape)
        assert worst(taken.errors()) < 0.01, (shape, taken.errors())
        assert taken.flags() == set()


@pytest.mark.parametrize(
    "shape", [shape if shape == "stepped" else pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES]
)
@pytest.mark.parametrize("board", boards.BOARDS)
def test_a_low_pass_filter_is_undone_on_every_board(board: str, shape: str, tmp_path: Path) -> None:
    """First order, 3 s: as declared for the board, since no chip tells of it."""
    taken = watch(
        boards.make(board, tmp_path),
        shape,
        lambda supply: waveforms.first_order(supply, TAU_S),
        wanted={"lag_s": TAU_S},
        slow=2.0,
    )
    assert worst(taken.errors()) < 0.03, taken.errors()
    assert taken.flags() == set()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mean", [waveforms.held_mean, waveforms.moving_mean])
def test_the_mean_of_512_samples_is_undone(mean: Callable[[Supply, float], Sensor], shape: str, tmp_path: Path) -> None:
    """An Orin Nano as it is delivered: the chip tells of 512 samples, 3.4 s."""
    tree = boards.make("orin-nano", tmp_path)
    taken = watch(tree, shape, lambda supply: mean(supply, told_by(tree)), slow=2.0)
    assert worst(taken.errors()) < 0.03, taken.errors()
    assert taken.flags() == set()


@pytest.mark.parametrize("board", ["nano", "agx-orin", "thor"])
def test_a_filter_that_nobody_told_of_is_seen(board: str, tmp_path: Path) -> None:
    taken = watch(boards.make(board, tmp_path), "stepped", lambda supply: waveforms.first_order(supply, TAU_S))
    assert worst(taken.errors()) > 0.03, "a wrong number"
    assert taken.flags() == {"power-lags"}, "and marked as such"


def test_the_step_of_a_sensor_is_in_the_interval(tmp_path: Path) -> None:
    """AGX Orin tells 20 mA apart, 0.4 W at 20 V: readings that never move are not known better than that."""
    tree = boards.make("agx-orin", tmp_path)
    for shift in (0.0, 0.05, 0.13, 0.19):
        supply = Supply([(0.0, 4.0 + shift)])
        drawn, meter = Drawn(tree), Ina3221({}, root=tree.root)
        scene = Scene()
        drawn.set("VDD_GPU_SOC", 0.4 * round(supply.at(0.0) / 0.4))
        readings = [list(meter.read())] * len(times := scene.times(0.05))
        drawn.close()
        metrics, _, _ = derive(scene.measurement(meter, times, readings), BATCH)
        others = sum(readings[0][1:])
        low, high = metrics["power_w"].low, metrics["power_w"].high
        assert low is not None
        assert high is not None
        assert low <= supply.at(0.0) + others <= high
        assert high - low < 0.8


def noisy(plain: Taken, seed: int, memory: float) -> Measurement:
    """Readings with noise that remembers, and 3 W × an inference's noise: watts of 10 on the average."""
    rng = np.random.default_rng(seed)
    count = len(plain.measurement.series["meter_time_s"])
    noise = scipy_signal.lfilter([math.sqrt(1 - memory**2)], [1, -memory], rng.standard_normal(count + 500))[500:]
    return edited(plain, meter_0=10.0 + 1.0 * noise, idle_s=[1.0, 1.0], idle_after_s=[7.0, 7.0]).measurement


@pytest.mark.parametrize("memory", [0.0, 0.6])
def test_the_interval_contains_the_truth_as_often_as_it_says(plain: Taken, memory: float) -> None:
    """Of 300 trials of a true 95 % interval, 99 % lie between 91.7 % and 98.3 %; four seconds hold few that differ."""
    found = [energy(noisy(plain, seed, memory), BATCH)[0]["power_w"] for seed in range(300)]
    inside = sum(m.low is not None and m.high is not None and m.low <= 10.0 <= m.high for m in found)
    assert 0.90 <= inside / len(found) <= 0.985
