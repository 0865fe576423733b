"""Rails of every Jetson: found, named and added up as its documents say; no reading is never a number."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fixtures import boards

from explorer_agent import rails


@pytest.fixture(params=boards.BOARDS)
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> boards.Tree:
    return boards.make(request.param, tmp_path)


def readings(tree: boards.Tree) -> dict[str, float | None]:
    return {rail.name: rail.watts() for rail in rails.rails(tree.root)}


def known(tree: boards.Tree) -> dict[str, float]:
    channels = [channel for chip in tree.spec.rails.values() for channel in chip if channel[0] != "NC"]
    watts = {name: millivolts * milliamps / 1e6 for name, millivolts, milliamps in channels}
    return watts | ({"VIN": tree.spec.input_w} if tree.spec.input_w is not None else {})


def test_every_rail_is_found_by_name_with_its_watts(tree: boards.Tree) -> None:
    assert readings(tree) == pytest.approx(known(tree))


def test_the_total_is_a_named_policy(tree: boards.Tree) -> None:
    first, *_ = rails.totals(rails.rails(tree.root))
    assert first.policy == tree.spec.total
    assert first.watts(readings(tree)) == pytest.approx(tree.spec.total_w)


def test_another_boot_numbers_the_sensors_differently(tree: boards.Tree) -> None:
    if tree.spec.driver == "iio":
        pytest.skip("JetPack 4 has no hwmon for its rails")
    before = [(rail.name, rail.chip, rail.watts()) for rail in rails.rails(tree.root)]
    tree.renumber()
    assert [(rail.name, rail.chip, rail.watts()) for rail in rails.rails(tree.root)] == before


@pytest.mark.parametrize("fault", ["gate", "fail", "silence"])
def test_no_reading_is_no_number_and_leaves_no_total(tree: boards.Tree, fault: str) -> None:
    total, *_ = rails.totals(rails.rails(tree.root))
    name = next(name for name in total.rails if name != "VIN") if total.rails != ("VIN",) else "VDD_GPU"
    channel = tree.rail(name)
    getattr(channel, fault)()
    held = os.open(channel.volts, os.O_RDWR) if fault == "silence" else None
    try:
        now = readings(tree)
    finally:
        if held is not None:
            os.close(held)
    assert now[name] is None
    assert {rail: watts for rail, watts in now.items() if rail != name} == pytest.approx(
        {rail: watts for rail, watts in known(tree).items() if rail != name}
    )
    assert (total.watts(now) is None) == (name in total.rails)


def test_a_channel_that_was_switched_off_has_no_reading(tmp_path: Path) -> None:
    tree = boards.make("orin-nx", tmp_path)
    channel = tree.rail("VDD_SOC")
    (channel.volts.parent / "in3_enable").write_text("0\n")
    assert readings(tree)["VDD_SOC"] is None


def test_no_current_at_a_voltage_is_a_reading(tmp_path: Path) -> None:
    assert readings(boards.make("agx-xavier", tmp_path))["CV"] == 0.0, "an idle DLA: below the sensor's smallest step"


def test_a_channel_without_a_label_is_known_by_its_place(tmp_path: Path) -> None:
    tree = boards.make("orin-nx", tmp_path)
    (tree.rail("VDD_IN").volts.parent / "in1_label").unlink()
    found = rails.rails(tree.root)
    assert [rail.name for rail in found] == ["1-0040 channel 1", "VDD_CPU_GPU_CV", "VDD_SOC"]
    assert rails.totals(found) == [], "what nobody has described adds up to nothing"


def test_the_input_sensor_of_thor_may_lack_its_label(tmp_path: Path) -> None:
    tree = boards.make("thor", tmp_path)
    next(tree.root.glob("sys/devices/i2c/2-0044/hwmon/*/in1_label")).unlink()
    assert readings(tree)["VIN"] == 31.25


def test_agx_orin_has_a_second_opinion_on_its_total(tmp_path: Path) -> None:
    tree = boards.make("agx-orin", tmp_path)
    first, second = rails.totals(rails.rails(tree.root))
    assert "counted twice" in first.doubt
    assert second.policy == "sum_without_vddq/1"
    assert second.watts(readings(tree)) == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("orin-nano", 3.38), ("orin-nx", 0.106), ("agx-orin", 0.007), ("nano", None), ("agx-xavier", None)],
)
def test_how_far_a_reading_lags(tmp_path: Path, name: str, seconds: float | None) -> None:
    for lag in rails.lags(boards.make(name, tmp_path).root):
        assert lag.seconds == (pytest.approx(seconds, rel=0.01) if seconds else None)


def test_a_machine_without_sensors_has_no_rails(tmp_path: Path) -> None:
    assert rails.rails(tmp_path) == rails.lags(tmp_path) == rails.totals([]) == []
