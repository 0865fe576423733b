"""RAPL on trees of /sys/class/powercap with known counters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from explorer_agent.meters import Choice
from explorer_agent.meters.rapl import Rapl
from explorer_agent.testing import MeterContract

RANGE_UJ = 1_000_000


def zone(root: Path, folder: str, name: str, counter: int = 900_000) -> Path:
    """A zone as powercap shows it; they lie flat in one folder, however they belong together."""
    place = root / "sys/class/powercap" / folder
    place.mkdir(parents=True)
    for file, text in {"name": name, "max_energy_range_uj": RANGE_UJ, "energy_uj": counter}.items():
        (place / file).write_text(f"{text}\n")
    return place


def laptop(root: Path) -> Path:
    """Two packages, one with memory; a core and a graphics counter inside; the whole machine."""
    zone(root, "intel-rapl:0", "package-0")
    zone(root, "intel-rapl:0:0", "core")
    zone(root, "intel-rapl:0:1", "uncore")
    zone(root, "intel-rapl:0:2", "dram")
    zone(root, "intel-rapl:1", "package-1")
    zone(root, "intel-rapl:2", "psys")
    zone(root, "intel-rapl-mmio:0", "package-0")
    return root


class TestRaplHere(MeterContract):
    meter = Rapl({})


def test_a_counter_that_wraps_around_goes_on_counting(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl:0:0", "core")
    meter = Rapl({}, root=tmp_path)
    assert meter.available() == ""
    assert meter.rails() == ["package-0"]
    joules = []
    for counter in (950_000, 50_000, 60_000):
        (package / "energy_uj").write_text(f"{counter}\n")
        joules += meter.read()
    assert joules == pytest.approx([0.05, 0.150001, 0.160001])


def test_nothing_is_counted_twice(tmp_path: Path) -> None:
    meter = Rapl({}, root=laptop(tmp_path))
    assert meter.available() == ""
    rails, facts = list(meter.rails()), meter.facts()
    assert rails == ["package-0", "package-0 dram", "package-1", "psys"]
    assert [rails[number] for number in facts["total"]] == ["package-0", "package-0 dram", "package-1"]
    assert facts["policy"] == "package_dram/1"
    (other,) = facts["totals"]
    assert ([rails[number] for number in other["rails"]], other["policy"]) == (["psys"], "psys/1")
    assert "maker" in other["doubt"]
    assert facts["lag_s"] == pytest.approx(0.001)


def test_packages_alone_are_another_policy(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0")
    meter = Rapl({}, root=tmp_path)
    meter.available()
    assert (meter.facts()["policy"], "totals" in meter.facts()) == ("package/1", False)
    assert "memory, board" in meter.facts()["means"]


def test_it_says_why_not(tmp_path: Path) -> None:
    assert "no package counter" in Rapl({}, root=tmp_path).available()
    (zone(tmp_path, "intel-rapl:0", "package-0") / "max_energy_range_uj").unlink()
    assert "max_energy_range_uj" in Rapl({}, root=tmp_path).available()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_who_may_not_read_hears_how_to(tmp_path: Path) -> None:
    (zone(tmp_path, "intel-rapl:0", "package-0") / "energy_uj").chmod(0)
    assert "sudo chmod a+r" in Rapl({}, root=tmp_path).available()


def test_what_a_measurement_is_told_is_that_of_the_meter_that_was_asked(tmp_path: Path) -> None:
    """A meter is ready to be read by the very question whether it is available: a fresh one has no counters."""
    meter = Rapl({}, root=laptop(tmp_path))
    meter.available()
    assert len(Choice(meter, {}).facts()["rails"]) == len(meter.read()) == 4
