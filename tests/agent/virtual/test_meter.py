"""The agent's own reader of a Jetson's sensors, over a virtual board's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer_agent.virtual import tree
from explorer_agent.virtual.boards import BOARDS
from explorer_agent.virtual.meter import VirtualIna3221, meter


@pytest.mark.parametrize("name", list(BOARDS))
def test_it_reads_every_rail_and_says_that_none_was_read(name: str, tmp_path: Path) -> None:
    found = VirtualIna3221({}, root=tree.plant(tmp_path / "root", name))
    facts = found.facts()
    assert found.available() == ""
    assert set(found.rails()) == {rail.name for rail in BOARDS[name].rails}
    assert facts["simulated"] is True
    assert facts["means"].startswith("simulated: ")
    assert "the board is virtual" in facts["doubt"]
    assert facts["total"]


def test_the_lag_is_what_the_chip_says(tmp_path: Path) -> None:
    root = tree.plant(tmp_path / "root", "orin-nano", faults={"samples": 16})
    facts = VirtualIna3221({}, root=root).facts()
    assert (facts["lag_s"], facts["lag_means"]) == (pytest.approx(16 * 6.6e-3), "mean of 16 samples")


def test_another_policy_may_be_asked_for(tmp_path: Path) -> None:
    root = tree.plant(tmp_path / "root", "agx-orin-64")
    found = VirtualIna3221({"policy": "sum_without_vddq/1"}, root=root)
    assert (found.available(), found.facts()["policy"]) == ("", "sum_without_vddq/1")
    assert "these rails allow" in VirtualIna3221({"policy": "module_input/1"}, root=root).available()


def test_hello_says_what_it_is() -> None:
    assert str(getattr(meter, "what", "")).startswith("simulated: ")
