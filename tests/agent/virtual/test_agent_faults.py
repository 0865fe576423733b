"""What goes wrong on a virtual board on purpose, and the agent's own words for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from explorer.statistics import power as host_power
from explorer.statistics.measurement import Measurement
from explorer_agent.conditions import NAMES

from . import nets
from .conftest import PLAN, Board

Start = Callable[..., Board]
LOCK = ("--clocks", "lock")


def taken(board: Board, folder: Path, **plan: float) -> Measurement:
    """One measurement of a network that keeps the GPU busy."""
    reply, deployment = board.built(nets.dense(folder / "n"), precision="fp16", placement="gpu")
    return board.measured(reply["engine"], deployment, **plan)


def test_without_a_fault_there_is_no_doubt(start: Start, tmp_path: Path) -> None:
    assert not list(taken(start("agx-orin-64", *LOCK), tmp_path).flags)


def test_a_board_that_gets_too_hot_is_throttled(start: Start, tmp_path: Path) -> None:
    board, network = start("agx-orin-64", *LOCK, fan=0.9, ambient_c=71.0), nets.dense(tmp_path / "n", channels=128)
    asked = {"precision": "fp16", "placement": "gpu", "power_mode": "MAXN", "batch": 32}
    reply, deployment = board.built(network, **asked)
    found = board.measured(reply["engine"], deployment, window_s=5.0, windows_min=40, budget_s=200.0)
    assert "throttled" in found.flags
    assert "clocks-moved" in found.flags, "the GPU's clock left where it was locked"
    alarms = found.series[f"state_{NAMES.index('throttling')}"]
    assert alarms[0] == 0
    assert alarms.max() == 1
    latency = found.series["latency_s"]
    assert latency.max() > 1.5 * np.median(latency[:500])


@pytest.mark.slow
def test_a_board_that_is_hot_at_rest_is_too_warm(start: Start, tmp_path: Path) -> None:
    found = taken(start("agx-orin-64", *LOCK, ambient_c=97.0), tmp_path, cooldown_s=20.0)
    assert "too-warm" in found.flags
    assert "although nothing runs" in found.header["cooldown"]["gave_up"]


def test_over_current_events_are_counted(start: Start, tmp_path: Path) -> None:
    board = start("orin-nx-16", *LOCK, over_current_s=[[1.2, 0.3], [1.9, 0.2]])
    found = taken(board, tmp_path, window_s=0.5, windows_min=6, budget_s=4.0)
    assert "over-current" in found.flags
    counts = [found.header[state]["throttle_counts"]["oc3"] for state in ("board_before", "board_after")]
    assert counts == [0, 2]


@pytest.mark.slow
def test_sensors_that_average_lengthen_the_measurement(start: Start, tmp_path: Path) -> None:
    board = start("orin-nano", *LOCK, samples=512)
    assert board.told["meters"]["ina3221"]["lag_s"] == pytest.approx(3.4, abs=0.05)
    found = taken(board, tmp_path)
    assert found.header["meter"]["lag_means"] == "mean of 512 samples"
    spent = found.series["window_end_s"][-1] - found.series["window_start_s"][0]
    assert spent > 5 * 3.3
    metrics, doubts = host_power.energy(found, 1)
    quick, _ = host_power.energy(taken(start("orin-nano", *LOCK), tmp_path), 1)
    assert not doubts
    assert metrics["energy_mj"].value == pytest.approx(quick["energy_mj"].value, rel=0.05)


def test_a_rail_that_is_dead_is_missing_and_not_zero(start: Start, tmp_path: Path) -> None:
    found = taken(start("agx-orin-64", *LOCK, dead_rails=["VDD_CPU_CV"]), tmp_path)
    column = found.header["meter"]["rails"].index("VDD_CPU_CV")
    assert np.isnan(found.series[f"meter_{column}"]).all()
    metrics, doubts = host_power.energy(found, 1)
    assert "energy_mj" not in metrics
    assert doubts


def test_latencies_that_will_not_settle_are_unstable(start: Start, tmp_path: Path) -> None:
    assert "unstable" in taken(start("agx-orin-64", *LOCK, noise=0.5), tmp_path, relative_interval=0.002).flags


def test_latencies_that_grow_have_a_trend(start: Start, tmp_path: Path) -> None:
    found = taken(start("agx-orin-64", *LOCK, drift=0.2), tmp_path, window_s=0.5, windows_min=8, budget_s=5.0)
    medians = [np.median(each) for each in np.array_split(found.series["latency_s"], 8)]
    assert medians[-1] > 1.3 * medians[0]
    assert "drifting" in found.flags


def test_an_engine_that_does_not_fit_is_infeasible(start: Start, tmp_path: Path) -> None:
    board = start("nano", out_of_memory_mb=1.0)
    reply, _ = board.built(nets.dense(tmp_path / "n", channels=256), precision="fp16", placement="gpu")
    assert (reply["kind"], reply["text"].partition(":")[0]) == ("infeasible", "out of memory")


def test_a_mode_that_needs_a_restart_is_refused_unless_that_is_allowed(start: Start, tmp_path: Path) -> None:
    board = start("agx-orin-64", reboot_modes=["MAXN"])
    asked = {"precision": "fp16", "placement": "gpu", "power_mode": "MAXN"}
    reply, _ = board.built(nets.dense(tmp_path / "n"), **asked)
    assert reply["kind"] == "infeasible"
    assert reply["text"].startswith("mode MAXN needs a reboot of this board; allow it with")
    assert board.built(nets.dense(tmp_path / "n"), **{**asked, "power_mode": "MODE_50W"})[0]["type"] == "build"


def test_a_restart_that_is_allowed_leads_to_the_mode(start: Start, tmp_path: Path) -> None:
    fault, home = {"reboot_modes": ["MAXN"]}, tmp_path / "home"
    board = start("agx-orin-64", "--reboot", "allow", home=home, **fault)
    source = board.put(nets.dense(tmp_path / "n").read_bytes())
    asked = {"runtime": "tensorrt", "precision": "fp16", "placement": "gpu", "power_mode": "MAXN"}
    board.say("build", source=source, deployment=asked)
    assert board.process.wait(30) == 0
    again = start("agx-orin-64", "--reboot", "allow", home=home, **fault)
    assert again.told["power_mode"]["current"] == "MAXN"
    assert "was restarted for the power mode MAXN" in again.told["power_mode"]["lasting"]
    assert again.built(nets.dense(tmp_path / "n"), **asked)[0]["type"] == "build"


def test_a_board_that_restarts_takes_its_agent_with_it(start: Start, tmp_path: Path) -> None:
    board = start("agx-orin-64", home=tmp_path / "home", reboot_s=0.5)
    reply, deployment = board.built(nets.dense(tmp_path / "n"), precision="fp16", placement="gpu")
    board.say("measure", engine=reply["engine"], deployment=deployment, plan=PLAN, meter={"name": "auto"})
    assert board.process.wait(20) < 0
    assert start("agx-orin-64", home=tmp_path / "home").told["simulated"] == "agx-orin-64"
