"""Measuring: known latencies come out, it stops when it should, power is sampled on the same clock."""

from __future__ import annotations

import itertools
import math
import os
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer_agent import board
from explorer_agent.measuring.lanes import Lanes
from explorer_agent.measuring.measure import Entrant
from explorer_agent.measuring.measure import measure as measure_entrants
from explorer_agent.measuring.steady import warm_up
from explorer_agent.measuring.windows import run_windows
from explorer_agent.messages import Plan
from explorer_agent.meters import Meter
from explorer_agent.testing import STEADY_W, FakeEngine, MeterContract, SteadyMeter

PLAN = Plan(warmup_s=0.02, window_s=0.02, budget_s=0.2, windows_min=3, relative_interval=1.0, idle_s=0.1)


def measure(
    load: Callable[[], Callable[[], Any]], plan: Plan, meter: Meter | None, *, tell: Callable[[float], None]
) -> tuple[dict[str, Any], dict[str, array[float]]]:
    """One engine, one stream."""
    return measure_entrants([Entrant(lambda: [load()])], plan, meter, tell=tell)


def silent(_: float) -> None:
    """Nobody listens to the progress."""


class TestSteadyMeter(MeterContract):
    meter = SteadyMeter({})


def test_a_known_latency_comes_out_and_the_windows_hold_every_inference() -> None:
    engine = FakeEngine({"latency_s": 0.001})
    header, series = measure(lambda: engine.step(None), PLAN, None, tell=silent)
    assert min(series["latency_s"]) == pytest.approx(0.001, rel=0.05)
    assert header["windows"] == len(series["window_count"]) >= 3
    assert sum(series["window_count"]) == len(series["latency_s"])
    in_windows = sum(series["window_end_s"]) - sum(series["window_start_s"])
    assert sum(series["latency_s"]) == pytest.approx(in_windows, rel=1e-6), (
        "closed loop: nothing between two inferences"
    )
    assert sum(series["window_cpu_s"]) <= in_windows * 1.2 + 0.02
    assert header["board_before"]["memory_available_mb"]


def test_watching_costs_next_to_nothing() -> None:
    windows, _ = run_windows(Lanes([int]), PLAN, silent)
    assert min(itertools.chain(*(window.latencies for window in windows))) < 2_000, "ns for an inference of nothing"


def test_an_engine_slower_than_a_window_is_measured_once_a_window() -> None:
    windows, half_width = run_windows(Lanes([lambda: time.sleep(0.05)]), PLAN, silent)
    assert [len(window.latencies) for window in windows] == [1] * len(windows)
    assert len(windows) >= 2
    assert math.isfinite(half_width)


def test_it_stops_at_the_budget_and_says_that_it_was_not_enough() -> None:
    pauses = itertools.cycle([0.0, 0.004, 0.0005])
    fractions: list[float] = []
    plan = Plan(warmup_s=0.01, window_s=0.005, budget_s=0.2, windows_min=3, relative_interval=1e-9)
    before = time.monotonic()
    header, _ = measure(lambda: lambda: time.sleep(next(pauses)), plan, None, tell=fractions.append)
    assert time.monotonic() - before < 20
    assert "unstable" in header["flags"]
    assert fractions == sorted(fractions)


def test_it_stops_early_when_the_interval_is_tight() -> None:
    plan = Plan(window_s=0.01, budget_s=30, windows_min=4, relative_interval=0.5)
    before = time.monotonic()
    windows, half_width = run_windows(Lanes([FakeEngine({"latency_s": 0.0005}).step(None)]), plan, silent)
    assert time.monotonic() - before < 20
    assert len(windows) >= 4
    assert half_width <= 0.5


def test_warm_up_goes_on_until_steady() -> None:
    latencies = itertools.chain([0.03, 0.015, 0.008], itertools.repeat(0.001))
    assert warm_up(Lanes([lambda: _spin(next(latencies))]), Plan(warmup_s=0.04))
    assert next(latencies) == 0.001, "the slow ones are behind it"


def test_warm_up_gives_up_on_what_never_settles() -> None:
    step = itertools.count(1)
    assert not warm_up(Lanes([lambda: _spin(0.0002 * 2 ** next(step))]), Plan(warmup_s=0.01))


def _spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_readings_stand_on_the_clock_of_the_windows() -> None:
    header, series = measure(lambda: FakeEngine({"latency_s": 0.001}).step(None), PLAN, SteadyMeter({}), tell=silent)
    times, joules = np.array(series["meter_time_s"]), np.array(series["meter_0"]) + np.array(series["meter_1"])
    assert times[0] <= series["idle_s"][0]
    assert times[-1] >= series["window_end_s"][-1]
    assert np.all(np.diff(times) > 0)
    assert np.polyfit(times, joules, 1)[0] == pytest.approx(STEADY_W, rel=0.01)
    assert series["idle_s"][1] - series["idle_s"][0] >= 0.1
    assert 0 <= header["sampler_cpu_s"] < 0.1


def test_a_sensor_that_fails_midway_is_told_and_the_windows_stay() -> None:
    class Broken(SteadyMeter):
        left = 3

        def read(self) -> list[float]:
            self.left -= 1
            if self.left == 0:
                raise OSError(5, "Input/output error")
            return list(super().read())

    header, series = measure(lambda: FakeEngine({}).step(None), PLAN, Broken({}), tell=silent)
    assert "Input/output error" in header["sampler_failure"]
    assert len(series["latency_s"]) > 0


def test_the_board_is_described_from_proc(tmp_path: Path) -> None:
    ours = os.sched_getaffinity(0)
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nFeatures : fp asimd\nCPU part : 0xd42\n")
    (tmp_path / "proc/device-tree/model").write_bytes(b"NVIDIA Orin NX\0")
    (tmp_path / "proc/meminfo").write_text("MemTotal:  8192000 kB\nMemAvailable: 4096000 kB\n")
    (tmp_path / "proc/stat").write_text(
        "cpu  900 0 0 0 0 0 0\n" + "".join(f"cpu{core} 100 0 50 1000 0 10 5 0 0 0\n" for core in (*ours, 4095))
    )
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("48500\n")
    facts = board.describe(tmp_path)
    assert (facts["cpu"], facts["memory_mb"]) == ("NVIDIA Orin NX 0xd42", 8000)
    now = board.state(tmp_path)
    assert (now["temperature_c"], now["memory_available_mb"], now["governors"]) == (48.5, 4000, None)
    assert now["busy_s"] == pytest.approx(len(ours) * 165 / os.sysconf("SC_CLK_TCK")), "our cores only"
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nFeatures : fp asimd sve\nCPU part : 0xd42\n")
    assert board.describe(tmp_path)["fingerprint"] != facts["fingerprint"], "other instructions, other engines"


def test_a_board_without_sensors_says_none_not_zero(tmp_path: Path) -> None:
    now = board.state(tmp_path)
    assert now["temperature_c"] is now["cpu_khz"] is now["busy_s"] is now["memory_available_mb"] is None
