"""Scores against the dense fp32 net, answer by answer, wherever a report tells them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explorer.report.html import content
from explorer.report.recommend import recommend
from explorer.report.table import as_table
from explorer.report.text import as_csv, as_json, as_markdown
from explorer.report.view import View, load
from explorer.result import Metric, Record
from explorer.tally import Tally
from tests.report import studies

ASKED = 60


def answered(number: int, right: int, speed: float, **params: object) -> Record:
    """A trial that answers the first `right` of the questions as it should."""
    top = (np.arange(ASKED) < right).astype(np.float64)[:, None]
    tally = Tally("share", top, np.ones_like(top))
    metrics = {"accuracy": tally.metric(), "throughput_ips": Metric(speed, speed * 0.99, speed * 1.01)}
    return studies.record(number, metrics, params=params, score={"accuracy": tally.to_json()})


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> View:
    """The dense net, one that answers alike, one that is clearly worse, and one whose answers were not kept."""
    trials = [
        answered(0, 58, 100, prune_ratio=0.0),
        answered(1, 58, 90, prune_ratio=0.1),
        answered(2, 40, 400, prune_ratio=0.6),
        studies.record(3, {"accuracy": Metric(0.5), "throughput_ips": Metric(900.0)}, params={"prune_ratio": 0.9}),
    ]
    folder = tmp_path_factory.mktemp("results") / "judged"
    return load(studies.write(folder, trials, objectives={"accuracy": "max", "throughput_ips": "max"}))


def test_who_answers_alike_differs_by_nothing_and_who_is_worse_is_told_so(judged: View) -> None:
    alike, worse = (judged.against_dense(record)["accuracy"] for record in judged.complete[1:3])
    assert (alike.difference.value, alike.p_value) == (0.0, 1.0)
    assert worse.difference.value == pytest.approx(-18 / ASKED)
    assert worse.p_value < 0.001
    assert worse.method == "McNemar, exact"
    assert [dict(judged.against_dense(record)) for record in (judged.complete[0], judged.complete[3])] == [{}, {}]


def test_every_format_tells_difference_interval_p_value_and_test(judged: View) -> None:
    line = "accuracy against dense fp32 (trial 0), McNemar, exact: "
    assert line in " ".join(as_table(judged, pareto=False, width=80).split())
    assert "-0.300 [-0.4" in as_table(judged, pareto=False, width=300)
    (trial,) = [r for r in json.loads(as_json(judged, pareto=False))["records"] if r["number"] == 2]
    told = trial["against_dense"]["accuracy"]
    assert told["difference"]["low"] < told["difference"]["value"] < told["difference"]["high"] < 0
    assert (told["p_value"] < 0.001, told["method"]) == (True, "McNemar, exact")
    rows = list(csv.DictReader(io.StringIO(as_csv(judged, pareto=False))))
    assert [row["accuracy_against_dense"] for row in rows][0::3] == ["", ""]
    assert float(rows[2]["accuracy_against_dense_p"]) < 0.001
    table = as_markdown(judged, pareto=False)
    assert "| accuracy | accuracy − dense fp32 | throughput" in table
    assert "p &lt; 0.001 |" in table
    page = content(judged, pareto=False)
    assert page["compared"] == [{"name": "accuracy", "heading": "accuracy − dense fp32"}]
    assert page["trials"][2]["against"]["accuracy"].startswith("-0.300 [")


def test_a_recommendation_tells_it_too(judged: View) -> None:
    said = str(recommend(judged, [], "throughput_ips"))
    assert "Trial 3" in said
    assert "-0.467 accuracy" in said  # its answers were not kept: the difference alone
    others = replace(judged, complete=judged.complete[:3])
    assert "p < 0.001 accuracy (McNemar, exact)" in str(recommend(others, [], "throughput_ips"))


def test_without_a_dense_net_nothing_is_compared(tmp_path: Path) -> None:
    view = load(studies.write(tmp_path / "x", [answered(1, 50, 9, prune_ratio=0.1)]))
    assert view.compared == ()
    assert "against dense" not in as_table(view, pareto=False, width=80)
