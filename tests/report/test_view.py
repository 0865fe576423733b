"""The view: what is compared, what is left out, and what is said about it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from explorer import pareto
from explorer.errors import BadInput
from explorer.report import flags
from explorer.report.remarks import footnotes
from explorer.report.table import as_table
from explorer.report.text import as_csv, as_json, as_markdown
from explorer.report.view import View, load, view_of
from explorer.result import Metric, Record
from explorer.store import StudyData
from tests.report import studies
from tests.report.studies import record

TWO = [{"metric": "accuracy", "direction": "max"}, {"metric": "latency_ms", "direction": "min"}]


def made(*records: Record, objectives: list[dict[str, str]] = TWO) -> View:
    return view_of(StudyData(Path("results/x"), {"study": "x", "objectives": objectives}, records))


def point(number: int, accuracy: float, latency: float) -> Record:
    return record(number, {"accuracy": Metric(accuracy), "latency_ms": Metric(latency)})


def test_front_equals_brute_force(view: View) -> None:
    def beats(a: Record, b: Record) -> bool:
        gains = [(o.gain(a.metrics[o.metric].value), o.gain(b.metrics[o.metric].value)) for o in view.objectives]
        return all(x >= y for x, y in gains) and any(x > y for x, y in gains)

    expected = {b.number for b in view.complete if not any(beats(a, b) for a in view.complete)}
    assert {r.number for r in view.front} == expected == set(view.on_front)
    assert len(expected) >= 5


def test_front_is_sorted_by_the_first_objective_and_keeps_ties() -> None:
    view = made(point(0, 0.8, 1.0), point(1, 0.9, 2.0), point(2, 0.9, 2.0), point(3, 0.7, 3.0))
    assert [r.number for r in view.front] == [1, 2, 0]


def test_hypervolume_is_the_share_of_the_box() -> None:
    view = made(point(0, 0.5, 1.0), point(1, 1.0, 3.0), point(2, 0.75, 2.0))
    assert view.hypervolume == pytest.approx(0.25)  # only the middle point exceeds the worst in both
    assert view.scales == {"accuracy": (0.5, 1.0), "latency_ms": (3.0, 1.0)}
    assert "0.250 of the box" in view.hypervolume_note
    assert "latency [ms] 3 to 1" in view.hypervolume_note


def test_an_objective_in_which_all_are_equal_is_left_out_of_the_hypervolume() -> None:
    assert made(point(0, 0.5, 1.0), point(1, 0.5, 3.0)).hypervolume == 1.0
    assert made(point(0, 0.5, 1.0), point(1, 0.5, 1.0)).hypervolume is None


def test_four_objectives() -> None:
    names = ["a", "b", "c", "d"]
    objectives = [{"metric": name, "direction": "min"} for name in names]
    trials = [record(i, {n: Metric(float((i * k + k) % 7)) for k, n in enumerate(names, 2)}) for i in range(12)]
    view = made(*trials, objectives=objectives)
    gains = [[-r.metrics[n].value for n in names] for r in trials]
    assert view.on_front == {i for i, kept in enumerate(pareto.front(gains)) if kept}


def test_trials_that_cannot_be_compared_are_named() -> None:
    lacking = record(1, {"accuracy": Metric(0.9)})
    view = made(point(0, 0.8, 1.0), lacking, point(2, 0.9, math.inf), point(3, math.nan, 1.0))
    assert [r.number for r in view.front] == [0]
    (note,) = view.notes
    assert note == (
        "Left out of the comparison: 3 complete trials (number 1, 2, 3) without a finite value of latency_ms, accuracy."
    )


def test_an_empty_study_says_so(tmp_path: Path) -> None:
    view = load(studies.write(tmp_path / "empty"))
    assert (view.front, view.hypervolume, view.trials, view.baseline, view.balanced) == ((), None, {}, None, None)
    assert "No trial has been recorded yet" in view.notes[0]


def test_a_study_without_a_complete_trial_says_why() -> None:
    view = made(record(0, state="infeasible", reason="no bf16 here"), record(1, state="failed", reason="too slow"))
    assert view.trials == {"infeasible": 1, "failed": 1}
    assert view.notes == (
        "No trial is complete yet (1 infeasible, 1 failed), so there is no front. The first reason given: no bf16 here",
    )


def test_a_single_trial_is_the_front() -> None:
    view = made(point(0, 0.8, 1.0))
    assert [r.number for r in view.front] == [0]
    assert view.hypervolume is None
    assert "Only one trial is complete" in view.notes[0]


def test_baseline_is_the_plainest_dense_fp32(view: View) -> None:
    assert view.baseline is not None
    assert view.baseline.number == 0
    assert made(point(0, 0.5, 1.0)).baseline is not None  # neither pruned nor quantised: every trial is dense fp32
    int8 = {"study": "x", "objectives": TWO, "experiment": {"fixed": {"precision": "int8"}}}
    assert view_of(StudyData(Path(), int8, (point(0, 0.5, 1.0),))).baseline is None


def test_balanced_is_nearest_to_the_best_of_everything() -> None:
    view = made(point(0, 0.5, 1.0), point(1, 1.0, 3.0), point(2, 0.9, 1.2))
    assert view.balanced is not None
    assert view.balanced.number == 2


def test_direction_comes_from_objectives_and_then_from_what_is_known(view: View) -> None:
    assert view.direction("energy_mj") == "min"
    assert view.direction("power_w") == "min"
    assert view.direction("accuracy_bg") == "max"
    assert view.direction("colour") is None


def test_footnotes_name_marked_metrics_and_doubtful_trials(view: View) -> None:
    assert footnotes(view, view.complete) == [
        "* estimated by a model, not measured: energy_mj, power_w",
        f"! unstable (trial 9): {flags.explain('unstable')}",
    ]
    assert footnotes(view, view.front, ["accuracy"]) == []
    simulated = made(record(0, {"accuracy": Metric(1), "latency_ms": Metric(1)}, simulated=("latency_ms",)))
    assert footnotes(simulated, simulated.front) == ["† simulated: a virtual board, not a real one: latency_ms"]


def test_what_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no study here"):
        load(tmp_path)
    newer = studies.write(tmp_path / "newer", [point(0, 0.5, 1.0)])
    line = json.loads((newer / "trials.jsonl").read_text())
    (newer / "trials.jsonl").write_text(json.dumps(line | {"format": 99}) + "\n")
    with pytest.raises(BadInput, match="newer than"):
        load(newer)
    (newer / "study.json").write_text("{")
    with pytest.raises(BadInput, match="cannot read the study"):
        load(newer)


def test_a_torn_last_line_does_not_hide_the_front(tmp_path: Path) -> None:
    folder = studies.write(tmp_path / "torn", studies.walk(20))
    whole = load(folder)
    with (folder / "trials.jsonl").open("a") as file:
        file.write('{"format": 1, "number": 20, "sta')
    assert load(folder).front == whole.front


def test_what_was_brought_to_another_scale_is_marked_wherever_it_stands() -> None:
    metrics = {"latency_ms": Metric(3.0, 2.9, 3.1)}
    trials = (record(0, metrics), record(1, metrics, scaled={"latency_ms": 1.031}))
    objectives = [{"metric": "latency_ms", "direction": "min"}]
    view = view_of(StudyData(Path("x"), {"study": "x", "objectives": objectives}, trials))
    assert "3.00 ±0.10‡" in as_table(view, pareto=False, width=80)
    told = "brought to one scale by the reference engine measured beside (boards.jsonl): latency_ms"
    assert told in " ".join(as_table(view, pareto=False, width=80).split())
    assert '"latency_ms": 1.031' in as_json(view, pareto=False)
    assert ",latency_ms=1.031," in as_csv(view, pareto=False)
    assert "‡" in as_markdown(view, pareto=False)
