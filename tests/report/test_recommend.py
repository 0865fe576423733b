"""Recommendations: sure trials first, and what it would take where nothing fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.errors import BadInput
from explorer.report.recommend import recommend
from explorer.report.view import View, view_of
from explorer.result import Constraint, Metric
from explorer.store import StudyData
from tests.report.studies import record

OBJECTIVES = [{"metric": "accuracy", "direction": "max"}, {"metric": "throughput_ips", "direction": "max"}]


def wish(*texts: str) -> list[Constraint]:
    return [Constraint.parse(text) for text in texts]


@pytest.fixture
def three() -> View:
    """Trial 2 is fastest, but only trial 1 surely keeps an accuracy of 0.9."""
    trials = [
        record(number, {"accuracy": accuracy, "throughput_ips": Metric(speed), "power_w": Metric(power)})
        for number, accuracy, speed, power in [
            (0, Metric(0.97, 0.95, 0.98), 100.0, 5.0),
            (1, Metric(0.94, 0.92, 0.95), 200.0, 9.0),
            (2, Metric(0.91, 0.88, 0.93), 300.0, 9.5),
            (3, Metric(0.80, 0.78, 0.82), 900.0, 12.0),
        ]
    ]
    return view_of(StudyData(Path("x"), {"study": "x", "objectives": OBJECTIVES}, tuple(trials)))


def test_a_sure_trial_goes_before_a_faster_doubtful_one(three: View) -> None:
    found = recommend(three, wish("accuracy >= 0.9"), "throughput_ips")
    assert found.record is not None
    assert (found.record.number, found.sure) == (1, True)
    assert "It keeps accuracy >= 0.9 with accuracy 0.940 ±0.020, interval included." in found.sentences
    assert "Trial 2 (batch 2) has throughput_ips 300, but the interval of its accuracy reaches 0.88." in str(found)
    assert "Against dense fp32 (trial 0): -0.030 accuracy, 2.00 × throughput_ips." in str(found)


def test_a_doubtful_trial_is_better_than_none_and_says_so(three: View) -> None:
    found = recommend(three, wish("accuracy >= 0.9", "throughput_ips >= 250"), "throughput_ips")
    assert found.record is not None
    assert (found.record.number, found.sure) == (2, False)
    assert "by its value only: accuracy 0.910 ±0.030" in str(found)
    assert "No trial keeps everything surely" in str(found)


def test_nothing_fits_says_what_it_would_take(three: View) -> None:
    found = recommend(three, wish("accuracy >= 0.9", "throughput_ips >= 500"), "power_w")
    assert found.record is None
    assert found.sentences == (
        "None of the 4 complete trials keeps accuracy >= 0.9 and throughput_ips >= 500.",
        "If accuracy >= 0.8 were enough and the rest were kept: trial 3 (batch 3) with power_w 12.",
        "If throughput_ips >= 300 were enough and the rest were kept: trial 2 (batch 2) with power_w 9.5.",
    )


def test_more_than_one_requirement_would_have_to_give_way(three: View) -> None:
    text = str(recommend(three, wish("accuracy >= 0.99", "throughput_ips >= 5000"), "power_w"))
    assert "The largest accuracy of any trial is 0.97." in text
    assert "more than one would have to give way" in text


def test_a_suggested_bound_is_one_that_works(view: View) -> None:
    text = str(recommend(view, wish("accuracy >= 0.95", "throughput_ips >= 2000"), "energy_mj"))
    bound = text.split("If accuracy >= ")[1].split()[0]
    assert recommend(view, wish(f"accuracy >= {bound}", "throughput_ips >= 2000"), "energy_mj").record is not None


def test_without_requirements_the_best_wins_smaller_where_smaller_is_better(three: View) -> None:
    assert recommend(three, [], "accuracy").record is three.complete[0]
    found = recommend(three, [], "power_w")
    assert found.record is three.complete[0]
    assert "smallest power_w 5 of all complete trials" in str(found)


def test_estimated_metrics_are_marked(view: View) -> None:
    text = str(recommend(view, wish("energy_mj <= 20"), "accuracy"))
    assert "*" in text
    assert "* estimated by a model, not measured: energy_mj" in text


def test_unknown_metrics_are_all_named_at_once(three: View) -> None:
    with pytest.raises(BadInput) as caught:
        recommend(three, wish("acuracy >= 0.9"), "speed")
    assert len(caught.value.problems) == 2
    assert "did you mean 'accuracy'?" in str(caught.value)


def test_a_metric_of_unknown_direction_is_refused(three: View) -> None:
    trial = record(0, {"accuracy": Metric(1), "throughput_ips": Metric(1), "colour": Metric(1)})
    view = view_of(StudyData(Path("x"), three.study, (trial,)))
    with pytest.raises(BadInput, match="more or less of this metric is better"):
        recommend(view, [], "colour")


def test_an_empty_study_recommends_nothing() -> None:
    found = recommend(view_of(StudyData(Path("x"), {"study": "x", "objectives": OBJECTIVES}, ())), [], "accuracy")
    assert found.record is None
    assert "No trial has been recorded yet" in str(found)
