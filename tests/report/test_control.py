"""The control chart: one line in text, a strip on paper, numbers for scripts."""

from __future__ import annotations

import json

import pytest

from explorer.report.control import about_the_reference, charts
from explorer.report.plots import figure
from explorer.report.table import as_table
from explorer.report.text import as_json, as_markdown
from explorer.report.view import View, load
from tests.report import studies


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> View:
    """A study whose reference engine was slow twice."""
    folder = tmp_path_factory.mktemp("results") / "watched"
    return load(studies.write(folder, studies.walk(40), boards=studies.over_time()))


def test_one_line_tells_the_readings_the_limits_and_what_left_them(watched: View) -> None:
    (line,) = about_the_reference(watched)
    assert line.startswith("reference: 40 readings, centre 12.")
    assert line.endswith("2 out of control (trials 20, 21)")
    assert line in " ".join(as_table(watched, pareto=True, width=80).split())
    assert line.split(",")[0] in as_markdown(watched, pareto=True)


def test_scripts_have_every_point(watched: View) -> None:
    (chart,) = json.loads(as_json(watched, pareto=True))["control"]
    assert (chart["board"], chart["metric"]) == ("local:", "latency_ms")
    assert chart["low"] < chart["centre"] < chart["high"]
    assert [point["trial"] for point in chart["points"] if point["out"]] == [20, 21]
    assert len(chart["points"]) == 40


def test_on_paper_it_is_a_strip_below_the_panels(watched: View, view: View) -> None:
    strip = figure(watched).axes[-1]
    assert strip.get_xlabel().startswith("readings of the reference engine")
    assert len(figure(watched).axes) == len(figure(view).axes) + 1
    (beyond,) = [line for line in strip.get_lines() if line.get_marker() == "X"]
    assert list(beyond.get_xdata()) == [20, 21]


def test_a_study_without_readings_says_nothing(view: View) -> None:
    assert charts(view) == ()
    assert list(about_the_reference(view)) == []
