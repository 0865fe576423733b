"""Subjects served at once: what passed below what failed, and nothing where nothing could be judged."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.result import Metric
from explorer.statistics.arrivals import subjects
from explorer.statistics.measurement import Measurement

FAST, SLOW = 0.010, 0.050


def taken(levels: dict[int, tuple[int, float]]) -> Measurement:
    """Levels tried, each with its number of batches and how late every one of them was."""
    counts = [count for count, _ in levels.values()]
    late = [np.full(count, seconds) for count, seconds in levels.values()]
    series = {"arrival_subjects": np.array(list(levels), float), "arrival_count": np.array(counts, float)}
    return Measurement(
        {"plan": {"deadline_ms": 40.0}, "flags": []}, {**series, "arrival_latency_s": np.concatenate(late)}
    )


def test_the_highest_that_passed_below_the_first_that_failed() -> None:
    told, doubts = subjects(taken({12: (459, FAST), 24: (60, SLOW), 18: (459, FAST), 20: (459, SLOW), 19: (459, FAST)}))
    assert told == {"subjects_25ips": Metric(19.0, 19.0, 19.0)}
    assert not doubts


def test_a_level_that_passes_by_luck_above_one_that_failed_does_not_count() -> None:
    told, _ = subjects(taken({8: (459, FAST), 16: (459, SLOW), 32: (459, FAST)}))
    assert told == {"subjects_25ips": Metric(8.0, 8.0, 15.0)}


def test_one_batch_in_fifty_may_be_late_only_where_the_count_allows_no_stricter_judgement() -> None:
    few = taken({4: (50, FAST), 5: (60, SLOW)})
    few.series["arrival_latency_s"][0] = SLOW
    many = taken({4: (500, FAST), 5: (60, SLOW)})
    many.series["arrival_latency_s"][:10] = SLOW
    assert subjects(few)[0]["subjects_25ips"].value == 4
    assert subjects(many)[0]["subjects_25ips"].value == 0


@pytest.mark.parametrize("levels", [{1: (20, FAST)}, {1: (20, SLOW)}])
def test_too_few_batches_are_not_judged(levels: dict[int, tuple[int, float]]) -> None:
    assert subjects(taken(levels)) == ({}, ("arrival-too-short",))


def test_a_limit_that_was_not_reached_has_no_upper_end() -> None:
    told, doubts = subjects(taken({8: (459, FAST)}))
    assert told == {"subjects_25ips": Metric(8.0)}
    assert doubts == ("arrival-too-short",)
