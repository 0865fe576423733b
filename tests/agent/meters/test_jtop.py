"""jtop without jetson-stats: what is made of what a client tells, by a client of ours that tells what it is given."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from explorer_agent.meters import jtop
from explorer_agent.meters.jtop import Jtop, JtopError
from explorer_agent.testing import MeterContract

Line = dict[str, Any]
MeterOf = Callable[..., Jtop]
# Stands where the Python of jetson-stats would: prints the first line of its file, and the others when it may go on.
CLIENT = """#!{python}
import json, os, sys, time
began = time.perf_counter()
print(json.dumps({{"version": "7.2.2"}}), flush=True)
for number, line in enumerate(json.load(open({lines!r}))):
    while number and not os.path.exists({lines!r} + ".go"):
        time.sleep(0.01)
    if "end" in line:
        sys.exit()
    if "rails" in line:
        line = dict({{"uptime_s": time.perf_counter() - began, "interval_s": 1.0}}, **line)
    print(json.dumps(line), flush=True)
sys.stdin.read()
"""
NX = {
    "rails": {"VDD_SOC": {"power": 1400, "volt": 5000}, "VDD_CPU_GPU_CV": {"power": 600, "volt": 5000}},
    "total": {"power": 5000, "volt": 5000, "name": "VDD_IN"},
}
AGX = {
    "rails": {"VDD_GPU_SOC": {"power": 4000, "volt": 20000}, "VDD_CPU_CV": {"power": 1000, "volt": 20000}},
    "total": {"power": 5000},
}
SUPPLY = {"ucsi-source-psy-1": {"power": 45000, "volt": 20000}}


@pytest.fixture
def meter_of(tmp_path: Path) -> Any:
    """Makes meters whose client tells these lines, all but the first when `settled` is asked."""
    made: list[Jtop] = []

    def make(*lines: Line, available: str = "") -> Jtop:
        script, told = tmp_path / f"python-{len(made)}", tmp_path / f"lines-{len(made)}.json"
        told.write_text(json.dumps(lines))
        script.write_text(CLIENT.format(python=sys.executable, lines=str(told)))
        script.chmod(0o755)
        made.append(Jtop({"python": str(script)}))
        assert made[-1].available() == available
        return made[-1]

    yield make
    for meter in made:
        meter.close()


def settled(meter: Jtop, lines: int) -> list[float]:
    """What it reads when its client has told all its lines."""
    client, deadline = meter._client, time.monotonic() + 60
    assert client is not None
    Path(client.python.replace("python-", "lines-") + ".json.go").touch()
    row: list[float] = []
    while client.told < lines:
        assert time.monotonic() < deadline
        row = list(meter.read())
    return row


class TestContract(MeterContract):
    meter = Jtop({"python": "/nonexistent/python"})


def test_the_rail_that_is_the_total_is_named(meter_of: MeterOf) -> None:
    meter = meter_of(NX)
    assert meter.rails() == ["VDD_CPU_GPU_CV", "VDD_SOC", "VDD_IN"]
    assert meter.read() == [0.6, 1.4, 5.0]
    facts = meter.facts()
    assert (facts["policy"], facts["total"]) == ("jtop_tot/1", [2])
    assert facts["means"] == "jtop's total: the rail VDD_IN"
    assert facts["lag_s"] >= facts["interval_s"] == 1.0


def test_without_such_a_rail_the_total_is_their_sum(meter_of: MeterOf) -> None:
    meter = meter_of(AGX)
    assert meter.rails() == ["VDD_CPU_CV", "VDD_GPU_SOC", "tot"]
    assert meter.read() == [1.0, 4.0, 5.0]
    assert (meter.facts()["policy"], "sum" in meter.facts()["means"]) == ("jtop_tot/1", True)


def test_what_usb_delivers_is_not_added_to_what_is_used(meter_of: MeterOf) -> None:
    """Before 7.2.2 jetson-stats adds it to the sum."""
    meter = meter_of({"rails": {**AGX["rails"], **SUPPLY}, "total": {"power": 50000}})
    facts = meter.facts()
    assert [meter.rails()[number] for number in facts["total"]] == ["VDD_CPU_CV", "VDD_GPU_SOC"]
    assert facts["policy"] == "jtop_rails/1"
    assert facts["totals"][0]["policy"] == "jtop_tot/1"
    assert "ucsi-source-psy-1" in facts["totals"][0]["doubt"]


def test_a_rail_without_a_reading_has_none_and_neither_has_the_sum(meter_of: MeterOf) -> None:
    gated = {"VDD_GPU_SOC": {"power": -2, "volt": 20000}}
    meter = meter_of(AGX, {"rails": {**AGX["rails"], **gated}, "total": {"power": 998}})
    first, second, total = settled(meter, 3)
    assert (first, math.isnan(second), math.isnan(total)) == (1.0, True, True)


def test_a_total_that_jtop_makes_of_other_rails_is_none(meter_of: MeterOf) -> None:
    """When VDD_IN answers with an error jtop leaves it out, and sums up the rails below it instead."""
    meter = meter_of(NX, {"rails": NX["rails"], "total": {"power": 2000}})
    first, second, total = settled(meter, 3)
    assert ([first, second], math.isnan(total)) == ([0.6, 1.4], True)
    meter = meter_of(AGX, {"rails": {"VDD_CPU_CV": {"power": 1000, "volt": 20000}}, "total": {"power": 1000}})
    first, second, total = settled(meter, 3)
    assert (first, math.isnan(second), math.isnan(total)) == (1.0, True, True)


def test_what_is_told_once_more_is_no_reading(meter_of: MeterOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jtop, "STALE", 0.0)
    monkeypatch.setattr(jtop, "GRACE_S", 0.3)
    meter = meter_of({"uptime_s": 7.0, **NX}, {"uptime_s": 7.0, **NX})
    assert meter.read() == [0.6, 1.4, 5.0]
    with pytest.raises(JtopError, match="nothing new for 0.3 s"):
        settled(meter, 99)


def test_a_board_without_sensors_and_a_python_that_is_not_there(meter_of: MeterOf) -> None:
    meter_of({"rails": {}, "total": {}}, available="jtop tells of no power sensor on this board")
    assert "cannot be started" in Jtop({"python": "/nonexistent/python"}).available()


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("No module named 'jtop'", "ModuleNotFoundError", "sudo pip3 install jetson-stats"),
        ("The service is not active. Please run:\nsth", "JtopException", "sudo systemctl start jtop"),
        ("I can't access it.\nPlease logout", "JtopException", "sudo usermod -aG jtop"),
        ("Mismatch version jtop service: [4.2] and client: [7.2]. Please run:\n", "JtopException", "[4.2]"),
        ("Mismatch of Python versions between library and service", "JtopException", "another Python"),
        ("Authentication with server failed", "JtopException", "install one only"),
        ("Lost connection with server", "JtopException", "went away"),
        ("[Errno 104] Connection reset by peer", "ConnectionResetError", "went away"),
        ("[Errno 111] Connection refused", "ConnectionRefusedError", "went away"),
        ("[Errno 2] No such file or directory", "FileNotFoundError", "went away"),
        ("Error connection", "JtopException", "nothing to tell"),
        ("Empty()", "Empty", "does not answer"),
        ("something new", "ValueError", "ValueError: something new"),
    ],
)
def test_what_jetson_stats_says_is_said_with_what_to_do(said: str, kind: str, told: str) -> None:
    assert told in jtop._in_words({"error": said, "kind": kind}, "/usr/bin/python3")


def test_a_client_that_fails_midway_ends_the_reading(meter_of: MeterOf) -> None:
    meter = meter_of(NX, {"error": "Lost connection with server", "kind": "JtopException"})
    with pytest.raises(JtopError, match="jtop's service went away"):
        settled(meter, 99)
    with pytest.raises(JtopError, match="ended without a word"):
        settled(meter_of(NX, {"end": True}), 99)


def test_the_command_names_the_python_it_is_installed_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jtop, "_PLACES", ())
    monkeypatch.setattr(jtop, "SOCKET", tmp_path / "jtop.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "jetson-stats is not installed" in Jtop({}).available()
    command = tmp_path / "jtop"
    for first in (f"#!{sys.executable}\n", f"#!/bin/sh\n'''exec' {sys.executable} \"$0\" \"$@\"\n"):
        command.write_text(first)
        command.chmod(0o755)
        assert jtop._interpreter() == sys.executable
    command.write_text("#!/opt/gone/bin/python3\n")
    assert jtop._interpreter() == sys.executable
