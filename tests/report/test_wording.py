"""Names and numbers as people read them."""

from __future__ import annotations

import math

import pytest

from explorer.report import wording
from explorer.result import Metric
from tests.report.studies import record


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (12.3456, "12.35"),
        (1234.56, "1235"),
        (99_999.0, "99999"),
        (648_000, "648k"),
        (2_594_592, "2.595M"),
        (8.1e9, "8.1G"),
        (0.000012345, "1.23e-05"),
        (-3.5, "-3.5"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "not a number"),
    ],
)
def test_number(value: float, said: str) -> None:
    assert wording.number(value) == said


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (Metric(0.94321, 0.931, 0.953), "0.943 ±0.012"),
        (Metric(1234.5, 1219.2, 1249.8), "1234 ±15"),
        (Metric(8.3123, 8.1, 8.5), "8.31 ±0.21"),
        (Metric(123456.0, 123000.0, 123900.0), "123.46k ±0.46k"),
        (Metric(2.6), "2.6"),
        (Metric(1.0, 1.0, 1.0), "1"),
        (Metric(1.0, 0.9, math.inf), "1"),
        (Metric(0.0, -0.1, 0.1), "0.00 ±0.10"),
    ],
)
def test_with_interval(metric: Metric, said: str) -> None:
    assert wording.with_interval(metric) == said
    assert wording.value_only(metric) == said.partition(" ±")[0]


def test_the_wider_half_of_an_interval_counts() -> None:
    assert wording.half_width(Metric(0.99, 0.95, 1.0)) == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("accuracy", "accuracy"),
        ("throughput_ips", "throughput [1/s]"),
        ("latency_p99_ms", "latency p99 [ms]"),
        ("energy_mj", "energy [mJ]"),
        ("prune_ratio", "prune ratio"),
        ("params", "parameters"),
        ("subjects_25ips", "subjects at 25/s"),
    ],
)
def test_heading(name: str, heading: str) -> None:
    assert wording.heading(name) == heading


def test_marks() -> None:
    trial = record(0, estimated=("energy_mj",), simulated=("energy_mj", "latency_ms"))
    assert [wording.marks(trial, name) for name in ("energy_mj", "latency_ms", "accuracy")] == ["*†", "†", ""]


def test_short_names_tell_axes_apart() -> None:
    trials = [record(0, params={"threads": 1, "thrift": 2, "precision": "int8", "prune_ratio": 0.25})]
    short = wording.short_names(trials, list(trials[0].params))
    assert short == {"threads": "thre", "thrift": "thri", "prune_ratio": "p"}
    assert " ".join(wording.token(trials[0], axis, short) for axis in trials[0].params) == "thre1 thri2 int8 p0.25"


@pytest.mark.parametrize(
    ("probability", "said"),
    [(None, "–"), (1.0, ">0.99"), (0.996, ">0.99"), (0.99, "0.99"), (0.5, "0.50"), (0.006, "0.01"), (0.001, "<0.01")],
)
def test_chance_never_claims_more_than_it_knows(probability: float | None, said: str) -> None:
    assert wording.chance(probability) == said
    assert len(said) <= 5


@pytest.mark.parametrize(
    ("p", "said"), [(0.0002, "p < 0.001"), (0.0042, "p 0.004"), (0.031, "p 0.03"), (1.0, "p 1.00")]
)
def test_p_value(p: float, said: str) -> None:
    assert wording.p_value(p) == said


def test_many_trials_are_counted_and_few_are_named() -> None:
    assert wording.trials([3]) == "trial 3"
    assert wording.trials([3, 4]) == "trials 3, 4"
    assert wording.trials(range(10)) == "trials 0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
