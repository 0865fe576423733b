"""The measuring room on a virtual board: the real measurement, on a clock of its own."""

from __future__ import annotations

import time
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer_agent.measuring.measure import Entrant, measure
from explorer_agent.messages import Deployment, Plan
from explorer_agent.virtual import tree
from explorer_agent.virtual.meter import VirtualIna3221
from explorer_agent.virtual.runtime import Virtual
from explorer_agent.virtual.world import World

from . import nets

QUIET = {"noise": 0.0, "spikes": 0.0, "noise_w": 0.0}


def taken(
    folder: Path, deployment: Deployment, *others: Deployment, faults: dict[str, Any] | None = None, **plan: Any
) -> tuple[dict[str, Any], dict[str, array[float]], Virtual]:
    root = folder / "board"
    if not root.exists():
        tree.plant(root, "agx-orin-64", faults=QUIET if faults is None else faults)
    runtime, entrants = Virtual(World.below(root)), []
    for number, each in enumerate((deployment, *others)):
        engine = folder / f"engine{number}"
        runtime.build(nets.dense(folder / "n", channels=128), each, engine)

        loaded: list[Any] = []

        def load(engine: Path = engine, each: Deployment = each, loaded: list[Any] = loaded) -> list[Any]:
            loaded.append(runtime.load(engine, each))
            return [loaded[0].step(None) for _ in range(each.streams)]

        entrants.append(Entrant(load, each, str(number), lambda loaded=loaded: loaded[0].facts()))
    told = Plan(**{"cooldown_s": 0.0, **plan})
    meter = VirtualIna3221({}, root=root)
    header, series = measure(entrants, told, meter, tell=lambda _: None, bench=runtime.bench())
    return header, series, runtime


def asked(placement: str = "gpu", **more: Any) -> Deployment:
    return Deployment("tensorrt", "fp16", 8, placement=placement, **more)


def test_latency_is_the_schedules_and_joules_are_the_models(tmp_path: Path) -> None:
    header, series, runtime = taken(tmp_path, asked())
    lane = runtime.load(tmp_path / "engine0", asked()).schedule.lanes[0]
    assert np.median(series["latency_s"]) == pytest.approx(lane.seconds, rel=1e-3)
    times, watts = np.array(series["meter_time_s"]), sum(np.array(series[f"meter_{n}"]) for n in range(4))
    inside = (times > series["window_start_s"][0] + 0.1) & (times < series["window_end_s"][-1])
    expected = 7.5 + sum(lane.joules.values()) / lane.seconds
    assert np.mean(watts[inside]) == pytest.approx(expected, abs=0.5), "but for the sensors' steps"
    assert header["simulation"]["board"] == "agx-orin-64"


def test_streams_are_served_each_by_its_unit(tmp_path: Path) -> None:
    _, series, runtime = taken(tmp_path, asked("gpu+dla", streams=3))
    lanes = runtime.load(tmp_path / "engine0", asked("gpu+dla", streams=3)).schedule.lanes
    rates = {round(lane.seconds, 7): 1 / lane.seconds for lane in lanes}
    found = np.array(series["latency_s"])
    counts = [np.sum(np.isclose(found, seconds, rtol=1e-3)) for seconds in rates]
    assert sum(counts) == len(found)
    gpu, dla = lanes[0].seconds, lanes[1].seconds
    assert counts[0] / counts[1] == pytest.approx(dla / gpu / 2, rel=0.05), "one GPU, two DLAs"


def test_windows_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    _, series, _ = taken(tmp_path, asked(), window_s=0.2, windows_min=5)
    starts, ends = np.array(series["window_start_s"]), np.array(series["window_end_s"])
    assert len(starts) >= 5
    np.testing.assert_allclose(starts[1:], ends[:-1], atol=1e-6)
    assert np.all(ends - starts < 0.25)


def test_no_real_time_is_waited(tmp_path: Path) -> None:
    began = time.monotonic()
    _, series, _ = taken(tmp_path, asked(), window_s=5.0, windows_min=12, budget_s=60.0, idle_s=20.0)
    assert series["meter_time_s"][-1] - series["meter_time_s"][0] > 100
    assert time.monotonic() - began < 10


def test_engines_take_turns(tmp_path: Path) -> None:
    header, series, _ = taken(tmp_path, asked(), asked("dla"), rounds=6, budget_s=0.0)
    assert len(header["entrants"]) == 2
    assert len(series["block_start_s"]) >= 12


def test_subjects_arrive_on_the_boards_clock(tmp_path: Path) -> None:
    began = time.monotonic()
    _, series, runtime = taken(tmp_path, asked(), rate_hz=25.0, deadline_ms=100.0)
    lane = runtime.load(tmp_path / "engine0", asked()).schedule.lanes[0]
    most = 8 / lane.seconds / 25
    tried = np.array(series["arrival_subjects"])
    assert len(tried) >= 3
    assert tried.min() < most < 1.3 * tried.max(), "around what the engine can do"
    assert sum(series["arrival_seconds"]) > 3
    assert time.monotonic() - began < 20


def test_the_board_rests_when_all_is_over(tmp_path: Path) -> None:
    header, _, _ = taken(tmp_path, asked())
    assert header["board_after"]["temperature_c"] > header["board_before"]["temperature_c"]
    assert int((tmp_path / "board/sys/class/devfreq/17000000.gpu/cur_freq").read_text()) == 0


def test_a_second_look_has_other_noise(tmp_path: Path) -> None:
    first, second = (taken(tmp_path, asked(), faults={})[1]["latency_s"] for _ in range(2))
    assert list(first[:50]) != list(second[:50])


def test_units_together_are_slower_than_each_alone_as_the_schedule_says(tmp_path: Path) -> None:
    header, _, runtime = taken(tmp_path, asked("gpu+dla", streams=3))
    found = runtime.load(tmp_path / "engine0", asked("gpu+dla", streams=3)).schedule
    assert set(header["sharing"]) == {"gpu", "dla0", "dla1"}
    for unit, told in header["sharing"].items():
        assert told["slowdown"] == pytest.approx(found.slowdown[unit], rel=0.01)
        assert told["slowdown"] == pytest.approx(told["together_ms"] / told["alone_ms"])
    assert max(found.slowdown.values()) > 1.02
    assert taken(tmp_path, asked("gpu", streams=2))[0]["sharing"] == {}
