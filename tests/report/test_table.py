"""The table at several widths, with and without a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from explorer.report import wording
from explorer.report.table import as_table
from explorer.report.view import View, load, view_of
from explorer.result import Metric
from explorer.store import StudyData
from tests.report import studies
from tests.report.studies import record


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_every_trial_of_the_front_has_a_row_that_fits(view: View, width: int) -> None:
    lines = as_table(view, pareto=True, width=width).splitlines()
    assert max(map(len, lines)) <= width
    numbers = [int(match[1]) for line in lines if (match := re.match(r" +(\d+)!? ", line))]
    assert numbers == [r.number for r in view.front]


def test_eighty_columns_hold_one_line_a_trial_with_intervals_and_marks(view: View) -> None:
    lines = as_table(view, pareto=True, width=80).splitlines()
    row = next(line for line in lines if line.startswith("   21 "))
    assert re.fullmatch(
        r"   21  [ >]?[01]\.\d\d  p0.2 int8 openvino b8 t2  0.939 ±0.014    3119 ±47   7.72 ±0.23\*", row
    )
    text = "\n".join(lines)
    assert "* estimated by a model, not measured: energy_mj\n" in text
    assert "candidate: p = prune_ratio, b = batch, t = threads" in text
    assert re.search(r"not shown for want of width: \d+ more metrics \(--format csv has all\)", text)


def test_a_wide_terminal_shows_everything(view: View) -> None:
    text = as_table(view, pareto=True, width=160)
    assert "not shown" not in text
    assert "openvino" in text
    assert "648k" in text


def test_without_pareto_every_complete_trial_is_shown_and_the_doubtful_one_marked(view: View) -> None:
    text = as_table(view, pareto=False, width=80)
    assert len(re.findall(r"^ +\d+!? ", text, flags=re.M)) == 50
    assert re.search(r"^ +9! ", text, flags=re.M)
    assert "! unstable (trial 9): its interval is wider than was asked for\n" in text


def test_no_colour_when_piped_and_some_when_asked(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert "\x1b" not in as_table(view, pareto=True)
    assert "\x1b" in as_table(view, pareto=True, colour=True)
    monkeypatch.setenv("COLUMNS", "100")
    assert max(map(len, as_table(view, pareto=True).splitlines())) > 80


def test_axes_that_do_not_vary_are_said_once() -> None:
    objectives = [{"metric": "accuracy", "direction": "max"}]
    trials = tuple(record(i, {"accuracy": Metric(i / 10)}, params={"batch": i, "runtime": "ort"}) for i in range(3))
    view = view_of(StudyData(Path("x"), {"study": "x", "objectives": objectives}, trials))
    text = as_table(view, pareto=True, width=80)
    assert "the same in all trials: runtime ort" in text
    assert "accuracy\n" in text
    assert "±" not in text


def test_a_metric_that_some_trials_lack_is_a_dash() -> None:
    objectives = [{"metric": "accuracy", "direction": "max"}]
    trials = (record(0, {"accuracy": Metric(0.5), "power_w": Metric(3)}), record(1, {"accuracy": Metric(0.6)}))
    view = view_of(StudyData(Path("x"), {"study": "x", "objectives": objectives}, trials))
    assert "–" in as_table(view, pareto=False, width=80)


@pytest.mark.parametrize(("count", "said"), [(0, "No trial has been recorded yet"), (1, "Only one trial is complete")])
def test_small_studies_are_explained(tmp_path: Path, count: int, said: str) -> None:
    view = load(studies.write(tmp_path / "small", studies.walk(count)))
    assert said in as_table(view, pareto=True, width=80)


def test_who_is_on_the_front_is_told_as_a_probability(view: View) -> None:
    lines = as_table(view, pareto=True, width=80).splitlines()
    said = [wording.chance(view.probability(r)) for r in view.front]
    assert [line.split()[1] for line in lines if re.match(r" +\d+!?  ", line)] == said
    assert "on front: the probability of belonging to it" in "\n".join(lines)


def test_what_ended_without_a_number_is_told_with_its_reason(view: View) -> None:
    text = " ".join(as_table(view, pareto=True, width=80).split())
    assert "failed (trial 17): the build took longer than 60 s" in text
    assert re.search(r"infeasible \(trials [\d, ]+ and 1 more\): onnxruntime has no bf16 on this CPU", text)
