"""How it was measured, read from the headers of raw measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from explorer import store
from explorer.report.method import in_one_line, method
from explorer.report.view import View, load
from explorer.result import Metric
from tests.report import studies
from tests.report.studies import record

INA = {
    "name": "ina3221",
    "quantity": "W",
    "rails": ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"],
    "total": [0],
    "policy": "board_input/1",
    "lag_s": 0.5,
    "passed_over": {},
}
STATE = {"power_mode": "15W", "clocks_free": [], "temperature_c": 41.6}


def told(folder: Path, *headers: dict[str, Any]) -> dict[str, str]:
    """`method` of a study whose trials have these headers."""
    studies.write(folder)
    with store.open_store(folder) as results:
        for number, header in enumerate(headers):
            results.append(record(number, {"accuracy": Metric(0.5)}, raw={"header": header, "series": {}}))
    return method(load(folder))


def test_meter_total_clocks_mode_and_cost(tmp_path: Path) -> None:
    meter, state = {"cpu_s": 0.03, "readings": 150, "hz": 50.0}, {"cpu_s": 0.006, "readings": 3, "hz": 1.0}
    sampling = {"meter": meter, "state": state}
    after = {**STATE, "temperature_c": 46.2}
    header = {"meter": INA, "board_before": STATE, "board_after": after, "sampling": sampling}
    found = told(tmp_path / "x", header, header)
    assert found["power"] == "ina3221: VDD_IN (total policy board_input/1), which lags 0.5 s"
    assert found["power mode"] == "15W"
    assert found["clocks"] == "locked"
    assert found["temperature"] == "42 to 46 °C"
    assert found["cost of looking"] == "1.2 % of one core, in a process of its own"
    assert "meters passed over" not in found
    line = in_one_line(load(tmp_path / "x"))
    assert line.startswith("how it was measured: power: ina3221: VDD_IN")
    assert "clocks: locked" in line


def test_what_differs_between_trials_is_told_for_each(tmp_path: Path) -> None:
    free = {**STATE, "clocks_free": ["cpu0", "gpu"], "power_mode": "MAXN"}
    found = told(tmp_path / "x", {"meter": INA, "board_before": STATE}, {"meter": INA, "board_before": free})
    assert found["power mode"] == "15W; or MAXN"
    assert found["clocks"] == "locked; or free to move: cpu0, gpu"


def test_meters_that_were_passed_over_are_told_with_the_reason(tmp_path: Path) -> None:
    meter = {"name": "declared", "estimated": True, "idle_w": 10.0, "busy_core_w": 8.0}
    passed = {"ina3221": "no such sensor here", "jtop": "its service does not run"}
    found = told(tmp_path / "x", {"meter": {**meter, "passed_over": passed}})
    assert found["power"].startswith("modelled, not measured: 10.0 W idle and 8.0 W")
    assert found["meters passed over"] == "ina3221: no such sensor here; jtop: its service does not run"


@pytest.mark.parametrize("content", [b"", b"not gzip", None])
def test_a_raw_file_that_is_gone_or_broken_costs_only_what_it_would_have_told(
    tmp_path: Path, content: bytes | None
) -> None:
    told(tmp_path / "x", {"meter": INA, "board_before": STATE})
    raw = tmp_path / "x" / "raw" / "0000.json.gz"
    if content is None:
        raw.unlink()
    else:
        raw.write_bytes(content)
    assert set(method(load(tmp_path / "x"))) <= {"device", "each candidate", "runs differ"}
    assert in_one_line(load(tmp_path / "x")) == ""


def test_what_runs_differ_by_is_told_with_its_source(view: View) -> None:
    said = method(view)["runs differ"]
    assert said.startswith("throughput, energy: assumed: ")
    assert "nothing has been measured twice" in said
