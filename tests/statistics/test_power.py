"""Energy against known truth: every board, every shape of power, every fault; never a wrong number.

The meter reads a fake board's files at simulated times, so that half a minute on nine boards takes no half a minute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import boards, waveforms
from fixtures.waveforms import Drawn, Sensor, Supply

from explorer.statistics import Measurement, derive
from explorer.statistics.power import rail_watts
from explorer.statistics.readings import total_rails
from explorer_agent.meters.ina3221 import Ina3221

WINDOW_S, LATENCY_S, BATCH = 0.25, 0.005, 2
SHAPES = ("constant", "stepped", "ramping")
TAU_S = 3.0
DOUBTS = {"power-lags", "rail-missing", "few-power-readings", "no-idle-baseline", "meter-failed", "no-meter"}


@dataclass
class Scene:
    """When what happens: idle, load, warm-up, windows, idle; for a sensor that lags as the meter says."""

    lag_s: float = 0.0
    settle_s: float = 0.0
    warmup_s: float = 0.5
    windows_s: float = 4.0
    slow: float = 1.0  # readings at so many times the meter's period
    start: float = field(init=False)
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.windows_s = max(self.windows_s, math.ceil(5.1 * self.lag_s / WINDOW_S) * WINDOW_S)
        self.start = 2.4 + max(self.warmup_s, self.settle_s)
        self.end = self.start + self.windows_s

    def supply(self, shape: str, idle_w: float) -> Supply:
        """Twice to three times `idle_w` while something runs."""
        work = {
            "constant": [(2.0, 2.0), (self.end, 2.0)],
            "stepped": [(2.0, 2.0), (self._at(0.4), 2.0), (self._at(0.4), 3.0), (self._at(0.7), 3.0)]
            + [(self._at(0.7), 2.5), (self.end, 2.5)],
            "ramping": [(2.0, 2.0), (self.start, 2.0), (self.end, 3.0)],
        }[shape]
        return Supply([(2.0, idle_w), *((t, factor * idle_w) for t, factor in work), (self.end, idle_w)])

    def _at(self, share: float) -> float:
        return self.start + share * self.windows_s

    def times(self, period_s: float) -> list[float]:
        """Of the readings: evenly but for what a busy machine does to a timer."""
        period_s *= self.slow
        due = np.arange(0.0, self.end + self.settle_s + 2.2, period_s)
        return list(due + np.random.default_rng(5).uniform(0, period_s / 4, len(due)))

    def measurement(self, meter: Ina3221, times: list[float], readings: list[list[float]]) -> Measurement:
        edges = np.arange(self.start, self.end + WINDOW_S / 2, WINDOW_S)
        count = np.full(len(edges) - 1, WINDOW_S / LATENCY_S)
        after = self.end + self.settle_s
        series = {
            "latency_s": np.full(int(count.sum()), LATENCY_S),
            **{"window_start_s": edges[:-1], "window_end_s": edges[1:], "window_count": count},
            **{"window_cpu_s": count * LATENCY_S, "idle_s": [0.1, 1.9], "idle_after_s": [after, after + 2.0]},
            **{"meter_time_s": times, **{f"meter_{n}": rail for n, rail in enumerate(np.array(readings).T)}},
        }
        told = {"name": meter.name, "quantity": meter.quantity, "rails": list(meter.rails())}
        header = {"meter": {**meter.facts(), **told}, "estimated": False, "flags": [], "load_s": 0.3, "first_s": 0.1}
        return Measurement(header, {name: np.asarray(data, np.float64) for name, data in series.items()})


@dataclass(frozen=True)
class Taken:
    """A measurement, and what was true of it."""

    measurement: Measurement
    supplies: Mapping[str, Supply]
    scene: Scene

    def truth(self) -> dict[str, float]:
        """Watts, mJ a sample, and that without the idle board's, of the rails that the policy names."""
        names = [self.measurement.meter["rails"][number] for number in total_rails(self.measurement)]
        joules = sum(self.supplies[name].joules(self.scene.start, self.scene.end) for name in names)
        idle = sum(self.supplies[name].at(0.0) for name in names) * self.scene.windows_s
        samples = self.scene.windows_s / LATENCY_S * BATCH
        return {
            "power_w": joules / self.scene.windows_s,
            "energy_mj": joules / samples * 1e3,
            "energy_net_mj": (joules - idle) / samples * 1e3,
        }

    def errors(self) -> dict[str, float]:
        """Relative errors of the metrics and of every rail."""
        metrics, _, _ = derive(self.measurement, BATCH)
        found = {name: metrics[name].value / known - 1 for name, known in self.truth().items()}
        for name, watts in rail_watts(self.measurement).items():
            known = self.supplies[name].joules(self.scene.start, self.scene.end) / self.scene.windows_s
            found[name] = watts / known - 1 if watts is not None else math.nan
        return found

    def flags(self) -> set[str]:
        return set(derive(self.measurement, BATCH)[2]) & DOUBTS


def watch(
    tree: boards.Tree,
    shape: str = "constant",
    sensor: Callable[[Supply], Sensor] = waveforms.instant,
    *,
    wanted: Mapping[str, Any] | None = None,
    then: Callable[[float], None] = lambda seconds: None,
    **scene: float,
) -> Taken:
    """Measure `tree` while its rails draw `shape`, each of other watts, as `sensor` shows it; `then` can break it."""
    drawn, meter = Drawn(tree), Ina3221(wanted or {}, root=tree.root)
    facts = meter.facts()
    scenery = Scene(lag_s=facts.get("lag_s", 0.0), settle_s=facts.get("settle_s", 0.0), **scene)
    supplies = {name: scenery.supply(shape, 2.0 + number) for number, name in enumerate(drawn.rails)}
    sensors = {name: sensor(supply) for name, supply in supplies.items()}
    readings = []
    for seconds in (times := scenery.times(meter.period_s)):
        for name in drawn.rails:
            drawn.set(name, sensors[name](seconds))
        then(seconds)
        readings.append(list(meter.read()))
    drawn.close()
    return Taken(scenery.measurement(meter, times, readings), supplies, scenery)


def worst(errors: Mapping[str, float]) -> float:
    return max(map(abs, errors.values()))


def told_by(tree: boards.Tree) -> float:
    """Seconds that the board's sensors smooth over, as they tell."""
    return float(Ina3221({}, root=tree.root).facts().get("lag_s", 0.0))


@pytest.mark.parametrize("board", boards.BOARDS)
def test_energy_is_the_integral_of_power_on_every_board(board: str, tmp_path: Path) -> None:
    """Total, net and every rail, whatever the shape; also where a chip tells of a filter that it does not have."""
    tree = boards.make(board, tmp_path)
    for shape in SHAPES:
        taken = watch(tree, shape)
        assert worst(taken.errors()) < 0.01, (shape, taken.errors())
        assert taken.flags() == set()


@pytest.mark.parametrize("board", boards.BOARDS)
def test_a_low_pass_filter_is_undone_on_every_board(board: str, tmp_path: Path) -> None:
    """First order, 3 s: as declared for the board, since no chip tells of it."""
    taken = watch(
        boards.make(board, tmp_path),
        "stepped",
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
