"""Power modes as the host meets them: an imitated Jetson over ``local:``, with the real agent between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from fixtures import boards

from explorer.device import Device, check, connect
from explorer.errors import DeviceLost, Infeasible

OPTIONS = {"plugins": ["explorer_agent.testing"], "runtimes": ["fake"], "clocks": "lock"}
PLAN = {"warmup_s": 0.01, "window_s": 0.01, "windows_min": 2, "budget_s": 0.05, "idle_s": 0.0, "relative_interval": 0.9}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> boards.Tree:
    tree = boards.programs(boards.make("agx-orin", tmp_path / "board"))
    monkeypatch.setenv("EXPLORER_AGENT_ROOT", str(tree.root))
    return tree


@pytest.fixture
def device(tree: boards.Tree, tmp_path: Path) -> Iterator[Device]:
    with connect("local:", cache=tmp_path / "cache", options=OPTIONS) as device:
        yield device


def deployment(mode: str) -> dict[str, object]:
    return {"runtime": "fake", "precision": "fp32", "batch": 1, "threads": 1, "power_mode": mode}


def measured(device: Device, mode: str, tmp_path: Path) -> Mapping[str, object]:
    source = tmp_path / "net.json"
    source.write_text(json.dumps({"do": ""}))
    return device.measure(device.build(source, deployment(mode)), deployment(mode), PLAN).header


def test_by_name_before_any_work(device: Device) -> None:
    assert device.capabilities["power_modes"] == ["MAXN", "MODE_15W", "MODE_30W", "MODE_50W"]
    check(deployment("MODE_50W"), device.capabilities, name=device.name)
    with pytest.raises(Infeasible, match="offers MAXN, MODE_15W, MODE_30W, MODE_50W; did you mean MODE_50W"):
        check(deployment("50W"), device.capabilities, name=device.name)


def test_measured_in_the_mode_that_was_asked_for(device: Device, tree: boards.Tree, tmp_path: Path) -> None:
    header = measured(device, "MODE_50W", tmp_path)
    assert (header["power_mode"], header["mode_switches"]) == ("MODE_50W", 1)
    (tree.root / "imitation/restart/0").touch()
    with pytest.raises(Infeasible, match="mode MAXN needs a reboot of this board; allow it with device_options"):
        measured(device, "MAXN", tmp_path)
    assert measured(device, "MODE_50W", tmp_path)["mode_switches"] == 1, "it is there still"


@pytest.mark.slow
def test_a_restart_loses_the_board_for_a_while(tree: boards.Tree, tmp_path: Path) -> None:
    (tree.root / "imitation/restart/0").touch()
    options = {**OPTIONS, "reboot": "allow"}
    heard: list[str] = []
    with connect("local:", cache=tmp_path / "cache", options=options) as device:
        device.watch(lambda note: heard.append(str(note.get("text", ""))))
        with pytest.raises(DeviceLost, match="the board restarts for the power mode MAXN") as loss:
            measured(device, "MAXN", tmp_path)
        assert loss.value.mends_itself
    assert "the board restarts for the power mode MAXN" in heard
    with connect("local:", cache=tmp_path / "cache", options=options) as device:
        assert "stays in it; it was in MODE_15W" in device.capabilities["power_mode"]["lasting"]
        header = measured(device, "MAXN", tmp_path)
        assert (header["power_mode"], header["mode_switches"]) == ("MAXN", 0)


def test_a_machine_without_modes_says_so(tmp_path: Path) -> None:
    with (
        connect("local:", cache=tmp_path / "cache", options=OPTIONS) as device,
        pytest.raises(Infeasible, match="offers none to choose from"),
    ):
        check(deployment("15W"), device.capabilities, name=device.name)
