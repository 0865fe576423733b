"""What a Jetson is, from its files: module, JetPack, power modes, DLA cores, heat, the marks of throttling."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fixtures import boards

from explorer_agent import board, clocks, jetson, sysfs

MODULES = {
    "nano": "p3448-0000",
    "tx2": "p3310-1000",
    "xavier-nx": "p3668-0000",
    "agx-xavier": "p2888-0004",
    "orin-nano": "p3767-0005",
    "orin-nx": "p3767-0000",
    "agx-orin-jp5": "p3701-0000",
    "agx-orin": "p3701-0005",
    "thor": "p3834-0008",
}


@pytest.fixture(params=boards.BOARDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tree(name: str, tmp_path: Path) -> boards.Tree:
    return boards.make(name, tmp_path)


def test_it_knows_what_it_is(tree: boards.Tree, name: str) -> None:
    spec = tree.spec
    found = jetson.facts(tree.root)
    assert (found["model"], found["l4t"], found["jetpack"]) == (spec.model, spec.l4t, spec.jetpack)
    assert found["module"] == MODULES[name]
    assert f"nvidia,{found['soc']}" == spec.compatible[-1]
    assert found["soc"] in jetson.SOCS


def test_the_facts_are_in_hello_and_in_the_fingerprint(tree: boards.Tree) -> None:
    before = board.describe(tree.root)
    assert jetson.facts(tree.root).items() <= before.items()
    tree.write("etc/nv_tegra_release", "# R36 (release), REVISION: 9.9, GCID: 1\n")
    after = board.describe(tree.root)
    assert after["fingerprint"] != before["fingerprint"]
    assert {key for key in before if before[key] != after[key]} == {"fingerprint", "l4t", "jetpack"}


def test_a_jetpack_nobody_has_heard_of_is_not_guessed(tree: boards.Tree) -> None:
    tree.write("etc/nv_tegra_release", "# R51 (release), REVISION: 0.0, GCID: 1\n")
    assert (jetson.facts(tree.root)["l4t"], jetson.facts(tree.root)["jetpack"]) == ("51.0.0", "")


def test_anything_else_is_no_jetson(tmp_path: Path) -> None:
    assert jetson.facts(tmp_path) == {}
    tree = boards.make("nano", tmp_path)
    tree.write("proc/device-tree/compatible", "raspberrypi,5-model-b\0brcm,bcm2712\0")
    (tmp_path / "etc/nv_tegra_release").unlink()
    assert jetson.facts(tmp_path) == {}
    assert jetson.power_modes(tmp_path / "nowhere") is None


def test_power_modes_go_by_name(tree: boards.Tree) -> None:
    found = jetson.power_modes(tree.root)
    assert found is not None
    assert found.names == tuple(tree.spec.modes)
    assert found.numbers[found.current] == 1
    assert found.current == tree.spec.modes[1]
    (tree.root / "var/lib/nvpmodel/status").unlink()
    assert jetson.power_modes(tree.root).current == ""  # type: ignore[union-attr]
    tree.write("etc/nvpmodel.conf", (tree.root / "etc/nvpmodel.conf").read_text().replace("MAX_FREQ 1", "MAX_FREQ 2"))
    assert jetson.power_modes(tree.root).sha256 != found.sha256  # type: ignore[union-attr]


def test_dla_cores_are_counted_never_guessed(tree: boards.Tree) -> None:
    assert len(jetson.dla_cores(tree.root)) == tree.spec.dla
    tree.write("dev/nvhost-ctrl-nvdla0", "")
    tree.write("dev/nvhost-nvdla0", "")
    assert len(jetson.dla_cores(tree.root)) == max(1, tree.spec.dla), "the same core by another name"


def test_its_gpus_clock_is_found(tree: boards.Tree) -> None:
    (gpu,) = (domain for domain in clocks.found(tree.root) if not domain.name.startswith("cpu"))
    assert (gpu.name, sysfs.number(gpu.low), sysfs.number(gpu.high)) == (
        Path(tree.spec.gpu).name,
        306_000_000,
        1_300_500_000,
    )


def test_the_temperature_that_counts(tree: boards.Tree) -> None:
    zones = board.zones_c(tree.root)
    hottest = board.hottest(zones)
    expected = {name: int(text) / 1000 for name, text in tree.spec.zones.items()}
    assert zones == expected
    assert hottest == (
        "tj-thermal" if "tj-thermal" in zones else max(zones.keys() - {"PMIC-Die"}, key=zones.__getitem__)
    )
    assert board.state(tree.root)["temperature_c"] == zones[hottest] < 60, "PMIC-Die is a constant 100 °C"


def test_a_sleeping_sensor_has_no_temperature(tree: boards.Tree) -> None:
    """−256 °C, EAGAIN (a pipe that somebody holds and nobody writes to), and an I/O error."""
    for zone, kind in enumerate(("cv0-thermal", "cv1-thermal", "cv2-thermal"), 7):
        tree.write(f"sys/class/thermal/thermal_zone{zone}/type", f"{kind}\n")
    folder = tree.root / "sys/class/thermal"
    (folder / "thermal_zone7/temp").write_text("-256000\n")
    os.mkfifo(folder / "thermal_zone8/temp")
    (folder / "thermal_zone9/temp").symlink_to("/proc/self/mem")
    held = os.open(folder / "thermal_zone8/temp", os.O_RDWR | os.O_NONBLOCK)
    try:
        with pytest.raises(BlockingIOError):
            os.read(held, 1)
        assert set(board.zones_c(tree.root)) == set(tree.spec.zones)
    finally:
        os.close(held)


def test_throttling_leaves_marks(tree: boards.Tree) -> None:
    assert jetson.throttling(tree.root) == []
    tree.write("sys/class/thermal/cooling_device0/cur_state", "1\n")
    assert jetson.throttling(tree.root) == ["gpu-throttle-alert"]
    counts = jetson.throttle_counts(tree.root)
    assert counts == ({} if tree.spec.driver == "iio" else {"oc1": 0, "oc2": 0, "oc3": 0})


def test_the_gpus_load(tmp_path: Path) -> None:
    tree = boards.make("orin-nx", tmp_path)
    assert jetson.gpu_load(tree.root) is None
    tree.write("sys/devices/platform/bus@0/17000000.gpu/load", "250\n")
    assert jetson.gpu_load(tree.root) == 0.25
