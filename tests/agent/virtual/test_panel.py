"""Numbers turned in the board's files, as the agent's own readers then find them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer_agent import board as board_room
from explorer_agent import jetson, rails
from explorer_agent.virtual import tree
from explorer_agent.virtual.boards import AGX_ORIN_64, BOARDS
from explorer_agent.virtual.panel import Panel

MAXN = AGX_ORIN_64.modes["MAXN"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree.plant(tmp_path / "root", "agx-orin-64")


@pytest.fixture
def panel(root: Path) -> Iterator[Panel]:
    found = Panel(root, AGX_ORIN_64)
    yield found
    found.close()


def test_watts_are_read_back_in_the_sensors_steps(root: Path, panel: Panel) -> None:
    panel.watts([12.34, 5.0, 3.3, 1.0])
    found = {rail.name: (rail.watts(), rail.step_w()) for rail in rails.rails(root)}
    for name, watts in zip(("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"), (12.34, 5.0, 3.3), strict=True):
        read, step = found[name]
        assert step == pytest.approx(0.4 if name != "VIN_SYS_5V0" else 0.1)
        assert read == pytest.approx(watts, abs=step / 2 + 0.01)


def test_a_shorter_number_leaves_nothing_of_a_longer_one(root: Path, panel: Panel) -> None:
    for watts in (20.0, 0.0, 7.9):
        panel.watts([watts, 1.0, 1.0, 1.0])
        assert {rail.name: rail.watts() for rail in rails.rails(root)}["VDD_GPU_SOC"] == pytest.approx(watts, abs=0.21)


def test_a_rail_without_a_reading_is_left_alone(root: Path, panel: Panel) -> None:
    panel.watts([10.0] * 4)
    panel.watts([math.nan] * 4)
    assert {rail.name: rail.watts() for rail in rails.rails(root)}["VDD_GPU_SOC"] == pytest.approx(10.0)


def test_thors_input_is_told_in_microwatts(tmp_path: Path) -> None:
    root, thor = tree.plant(tmp_path / "thor", "thor"), BOARDS["thor"]
    panel = Panel(root, thor)
    panel.watts([0.0] * (len(thor.rails) - 1) + [31.25])
    panel.close()
    assert {rail.name: rail.watts() for rail in rails.rails(root)}["VIN"] == pytest.approx(31.25)


def test_heat_events_and_units(root: Path, panel: Panel) -> None:
    panel.heat(99.25, throttled=True)
    panel.events({1: 0, 2: 3, 3: 14})
    panel.units(MAXN, clocks=0.5, busy=["gpu", "dla"])
    assert board_room.zones_c(root)["tj-thermal"] == pytest.approx(99.25)
    assert jetson.throttling(root) == ["tj-throttle-alert"]
    assert jetson.throttle_counts(root) == {"oc1": 0, "oc2": 3, "oc3": 14}
    limit = int((jetson.gpus(root)[0] / "max_freq").read_text())
    assert (jetson.gpu_hz(root), jetson.gpu_load(root)) == (int(limit * 0.5), 0.99)
    assert (jetson.emc_hz(root), jetson.dla_hz(root)) == (3_200_000_000, 1_600_000_000)
    assert [path.read_text().strip() for path in root.rglob("runtime_status")] == ["active"] * 2
    panel.units(MAXN, clocks=1.0, busy=[])
    assert (jetson.gpu_hz(root), jetson.gpu_load(root)) == (0, 0.0)
    assert [path.read_text().strip() for path in root.rglob("runtime_status")] == ["suspended"] * 2
