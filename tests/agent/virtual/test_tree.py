"""A virtual board's files, found by the agent's own readers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from explorer_agent import board as board_room
from explorer_agent import clocks, jetson, rails
from explorer_agent.messages import AgentError
from explorer_agent.virtual import tree
from explorer_agent.virtual.boards import BOARDS

ALL = pytest.mark.parametrize("name", list(BOARDS))


@ALL
def test_the_agent_finds_the_board(name: str, tmp_path: Path) -> None:
    board, root = BOARDS[name], tree.plant(tmp_path / "root", name)
    facts, modes = jetson.facts(root), jetson.power_modes(root)
    assert (facts["module"], facts["soc"], facts["l4t"]) == (board.module, board.soc, board.l4t)
    assert facts["jetpack"]
    assert facts["model"].endswith("(virtual)")
    assert modes is not None
    assert (list(modes.numbers), modes.current) == (list(board.modes), board.default_mode)
    assert jetson.dla_cores(root) == board.units[1:]
    assert jetson.alarms(root)
    assert not jetson.throttling(root)
    assert (clocks.loose(root) or [])[-1] == jetson.gpus(root)[0].name, "free to move, until they are locked"


@ALL
def test_at_rest_the_rails_draw_the_idle_watts(name: str, tmp_path: Path) -> None:
    board, root = BOARDS[name], tree.plant(tmp_path / "root", name)
    found = rails.rails(root)
    total = rails.totals(found)[0]
    watts = total.watts({rail.name: rail.watts() for rail in found})
    assert {rail.name for rail in found} == {rail.name for rail in board.rails}
    assert watts == pytest.approx(board.modes[board.default_mode].idle_w, abs=0.6)
    zones = board_room.zones_c(root)
    assert 25 < zones[board_room.hottest(zones)] < 60


def test_what_it_is_is_told_as_simulated(tmp_path: Path) -> None:
    root = tree.plant(tmp_path / "root", "thor")
    facts = board_room.describe(root)
    assert (facts["simulated"], facts["machine"], facts["cores"]) == ("thor", "aarch64", 14)
    assert facts["fingerprint"] != board_room.describe(tree.plant(tmp_path / "other", "nano"))["fingerprint"]
    assert "simulated" not in board_room.describe(Path("/"))


def nvpmodel(root: Path, number: int, answer: str = "") -> str:
    words = [str(root / "usr/sbin/nvpmodel"), "-m", str(number)]
    return subprocess.run(words, input=answer, capture_output=True, text=True, timeout=20, check=False).stdout


@ALL
def test_nvpmodel_sets_the_mode_and_undoes_a_lock(name: str, tmp_path: Path) -> None:
    board, root = BOARDS[name], tree.plant(tmp_path / "root", name)
    gpu = jetson.gpus(root)[0]
    for mode_name, mode in board.modes.items():
        (gpu / "min_freq").write_text((gpu / "max_freq").read_text())
        nvpmodel(root, mode.number)
        modes = jetson.power_modes(root)
        assert modes is not None
        assert modes.current == mode_name
        assert int((gpu / "max_freq").read_text()) == int(board.gpu_hz(mode))
        assert int((gpu / "min_freq").read_text()) < int(board.gpu_hz(mode))
    assert "Invalid power model" in nvpmodel(root, 77)


def test_nvpmodel_asks_before_it_restarts_the_board(tmp_path: Path) -> None:
    root = tree.plant(tmp_path / "root", "agx-orin-64", faults={"reboot_modes": ["MAXN"]})
    boot = (root / "proc/sys/kernel/random/boot_id").read_text()
    assert "Reboot required" in nvpmodel(root, 0)
    assert "pmode:0002" in (root / "var/lib/nvpmodel/status").read_text()
    nvpmodel(root, 0, "YES\n")
    assert "pmode:0000" in (root / "var/lib/nvpmodel/status").read_text()
    assert (root / "proc/sys/kernel/random/boot_id").read_text() != boot


def test_dead_rails_do_not_answer(tmp_path: Path) -> None:
    root = tree.plant(tmp_path / "orin", "orin-nano", faults={"dead_rails": ["VDD_SOC"]})
    assert {rail.name: rail.watts() is None for rail in rails.rails(root)}["VDD_SOC"]
    root = tree.plant(tmp_path / "nano", "nano", faults={"dead_rails": ["POM_5V_IN"]})
    assert not rails.totals(rails.rails(root)), "JetPack 4 shows no file of it at all"


def test_a_board_stays_as_it_was_left_and_another_replaces_it(tmp_path: Path) -> None:
    root = tree.settle(tmp_path / "root", "agx-orin-64")
    nvpmodel(root, 1)
    tree.settle(root, "agx-orin-64")
    assert "pmode:0001" in (root / "var/lib/nvpmodel/status").read_text()
    for change in ({"seed": 1}, {"faults": {"fan": 0.5}}):
        tree.settle(root, "agx-orin-64", **change)  # type: ignore[arg-type]
        assert "pmode:0002" in (root / "var/lib/nvpmodel/status").read_text()
        nvpmodel(root, 1)
    tree.settle(root, "nano")
    assert json.loads((root / "imitation.json").read_text())["simulated"] == "nano"
    assert not (root / "sys/class/hwmon").exists()


def test_nothing_is_planted_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="unknown virtual board 'agx'"):
        tree.plant(tmp_path / "root", "agx")
    with pytest.raises(AgentError, match="unknown fault"):
        tree.plant(tmp_path / "root", "nano", faults={"moth": 1})
    assert not (tmp_path / "root").exists()
