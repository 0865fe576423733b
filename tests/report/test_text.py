"""JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest

from explorer.report.text import as_csv, as_json, as_markdown
from explorer.report.view import View, view_of
from explorer.result import Metric
from explorer.store import StudyData
from tests.report.studies import record


@pytest.fixture
def odd() -> View:
    """A study whose words and numbers try to break a format."""
    objectives = [{"metric": "accuracy", "direction": "max"}, {"metric": "latency_ms", "direction": "min"}]
    params = {"placement": "gpu|dla, <b>*", "batch": 1}
    good = record(0, {"accuracy": Metric(0.5), "latency_ms": Metric(2.0)}, params=params)
    infinite = record(1, {"accuracy": Metric(0.9), "latency_ms": Metric(math.inf)}, params=params | {"extra": True})
    return view_of(StudyData(Path("x"), {"study": "a|b <script>", "objectives": objectives}, (good, infinite)))


def test_json_is_what_scripts_rely_on(view: View, folder: Path) -> None:
    found = json.loads(as_json(view, pareto=True))
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert list(found)[:4] == ["study", "objectives", "front", "hypervolume"]
    assert found["study"] == "walkers-cpu"
    assert found["objectives"][2] == {"metric": "energy_mj", "direction": "min"}
    assert found["trials"] == {"complete": 50, "infeasible": 9, "failed": 1}
    assert found["hypervolume"] == view.hypervolume
    assert set(found["hypervolume_reference"]) == {"accuracy", "throughput_ips", "energy_mj"}
    added = {"probability", "readings", "against_dense"}
    assert all({k: v for k, v in line.items() if k not in added} in lines for line in found["front"])
    assert all(added <= set(line) and 0 < line["probability"] <= 1 and line["readings"] == 1 for line in found["front"])
    assert found["dense_fp32"] == 0
    assert [(d["flag"], d["trials"]) for d in found["doubts"]] == [("unstable", [9])]
    assert [(group["state"], len(group["trials"])) for group in found["left_out"]] == [("failed", 1), ("infeasible", 9)]
    assert {r["number"] for r in found["may_belong"]} == {r.number for r in view.near}
    assert found["control"] == []
    assert [line["number"] for line in found["front"]] == [r.number for r in view.front]
    assert "records" not in found


def test_json_without_pareto_holds_every_complete_trial(view: View) -> None:
    found = json.loads(as_json(view, pareto=False))
    assert len(found["records"]) == 50
    assert len(found["front"]) == len(view.front)


def test_json_says_null_for_what_it_cannot_say(odd: View) -> None:
    found = json.loads(as_json(odd, pareto=False), parse_constant=pytest.fail)
    assert found["records"][1]["metrics"]["latency_ms"]["value"] is None
    assert "Left out of the comparison" in found["notes"][0]


def test_csv_has_a_row_a_trial_with_intervals_and_marks(view: View) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(view, pareto=True))))
    assert [int(row["trial"]) for row in rows] == [r.number for r in view.front]
    first, metric = rows[0], view.front[0].metrics["energy_mj"]
    assert float(first["energy_mj"]) == metric.value
    assert (float(first["energy_mj_low"]), float(first["energy_mj_high"])) == (metric.low, metric.high)
    assert (first["estimated"], first["simulated"], first["params_low"]) == ("energy_mj power_w", "", "")
    assert first["runtime"] == view.front[0].params["runtime"]
    assert (float(first["probability"]), first["readings"]) == (view.probability(view.front[0]), "1")
    assert len(list(csv.reader(io.StringIO(as_csv(view, pareto=False))))) == 1 + 50


def test_csv_of_records_that_differ_in_axes(odd: View) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(odd, pareto=False))))
    assert [row["extra"] for row in rows] == ["", "True"]
    assert rows[0]["placement"] == "gpu|dla, <b>*"


def test_markdown_marks_estimated_values_and_says_what_the_mark_means(view: View) -> None:
    text = as_markdown(view, pareto=True)
    lines = text.splitlines()
    assert lines[0].startswith("## walkers-cpu: 50 complete")
    assert len([line for line in lines if line.startswith("| ")]) == 2 + len(view.front)
    assert "±0.65\\*" in text
    assert "- \\* estimated by a model, not measured: energy\\_mj, power\\_w" in lines


def test_markdown_escapes_what_would_break_it(odd: View) -> None:
    text = as_markdown(odd, pareto=False)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {8}
    assert "<b>" not in text
    assert "<script>" not in text
    assert "∞" in text


@pytest.mark.parametrize("write", [as_json, as_csv, as_markdown])
def test_an_empty_study_is_no_error(write: object) -> None:
    empty = view_of(StudyData(Path("x"), {"study": "x", "objectives": [{"metric": "a", "direction": "max"}]}, ()))
    text = write(empty, pareto=True)  # type: ignore[operator]
    assert text.endswith("\n")
    if write is not as_csv:
        assert "No trial has been recorded yet" in text
