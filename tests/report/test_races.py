"""All readings of a trial told together: a lucky first reading does not win."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from explorer.report.remarks import about_the_front
from explorer.report.table import as_table
from explorer.report.text import as_csv, as_json, as_markdown
from explorer.report.view import View, load
from explorer.result import Metric, Record
from tests.report import studies

RACES = [studies.race(n, {0: 0.0, 1: 0.06 + 0.001 * n}) for n in range(1, 5)]


def trial(number: int, latency_ms: float, accuracy: float) -> Record:
    latency = Metric(latency_ms, latency_ms * 0.97, latency_ms * 1.03)
    return studies.record(number, {"latency_ms": latency, "accuracy": Metric(accuracy)})


def judged(folder: Path, *, raced: bool) -> View:
    """Trial 1 was lucky: it came out faster than trial 0, and is slower in every race."""
    trials = [trial(0, 1.00, 0.9), trial(1, 0.98, 0.9), trial(2, 0.5, 0.7)]
    objectives = {"accuracy": "max", "latency_ms": "min"}
    return load(studies.write(folder, trials, objectives=objectives, races=RACES if raced else ()))


def test_before_the_races_the_lucky_one_is_on_the_front_and_it_is_told_how_surely(tmp_path: Path) -> None:
    view = judged(tmp_path / "x", raced=False)
    assert [r.number for r in view.front] == [1, 2]
    assert [r.number for r in view.near] == [0]
    assert 0.5 < (view.probability(view.front[0]) or 0) < 0.95


def test_after_the_races_the_faster_one_is(tmp_path: Path) -> None:
    view = judged(tmp_path / "x", raced=True)
    assert [r.number for r in view.front] == [0, 2]
    assert view.near == ()
    assert (view.probability(view.front[0]) or 0) > 0.95
    assert [view.readings(record) for record in view.complete] == [5, 5, 1]


def test_the_value_of_all_readings_stands_in_every_format(tmp_path: Path) -> None:
    view = judged(tmp_path / "x", raced=True)
    latency = view.complete[1].metrics["latency_ms"]
    first = json.loads((tmp_path / "x" / "trials.jsonl").read_text().splitlines()[1])
    assert math.log(latency.value / view.complete[0].metrics["latency_ms"].value) == pytest.approx(0.0625, abs=0.01)
    told = json.loads(as_json(view, pareto=False))["records"][1]
    assert told["metrics"]["latency_ms"]["value"] == latency.value != first["metrics"]["latency_ms"]["value"]
    assert told["readings"] == 5
    assert f",{latency.value}," in as_csv(view, pareto=False)
    said = f"{latency.value:.3f}"
    assert said in as_table(view, pareto=False, width=100)
    assert said in as_markdown(view, pareto=False)
    assert "measured more than once, all readings told together: 5 times: trials 0, 1" in list(about_the_front(view))
