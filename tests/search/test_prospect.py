"""What a candidate may still come to, and what becomes of a search that stops those with hardly a chance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from explorer.result import Evaluation, Metric, Record, Rung, Stopped
from explorer.search import is_front
from explorer.search.search import Search
from explorer.space import Candidate, Params
from tests.search.test_search import OBJECTIVES, SPACE, judged

HALF_KNOWN = ("throughput_ips",)


def started(records: tuple[Record, ...] = ()) -> Search:
    return Search(SPACE, OBJECTIVES, sampler="front", seed=4, records=records)


def stopped(candidate: Candidate, number: int) -> Record:
    """As a study records a candidate of which only the time was measured."""
    whole = judged(candidate, number)
    known = {name: metric for name, metric in whole.metrics.items() if name in HALF_KNOWN}
    return replace(whole, state="dominated", evaluation=Evaluation(known), constraints={})


def gone_on(search: Search, records: tuple[Record, ...], count: int) -> tuple[Record, ...]:
    """Every other that can be told of is stopped."""
    for number in range(len(records), len(records) + count):
        candidate = search.ask()
        assert candidate is not None
        can_stop = search.prospect(candidate) is not None and judged(candidate, number).metrics
        record = (stopped if can_stop and number % 2 == 0 else judged)(candidate, number)
        search.tell(candidate, record)
        records = (*records, record)
    return records


def test_whoever_comes_back_goes_on_the_same_with_candidates_that_were_stopped() -> None:
    search = started()
    records = gone_on(search, (), 17)
    assert sum(record.state == "dominated" for record in records) >= 3
    again = gone_on(started(records), records, 8)
    assert [record.params for record in again] == [record.params for record in gone_on(search, records, 8)]


def test_what_is_clearly_worse_has_no_chance_and_what_is_best_has() -> None:
    search = started()
    records = gone_on(search, (), 12)
    candidate = search.ask()
    assert candidate is not None
    hope = search.prospect(candidate)
    assert hope is not None
    complete = [record.metrics for record in records if record.state == "complete"]
    best = {o.metric: Metric(max((m[o.metric].value for m in complete), key=o.gain)) for o in OBJECTIVES}
    worst = {o.metric: Metric(min((m[o.metric].value for m in complete), key=o.gain)) for o in OBJECTIVES}
    assert hope.chance(best) > 0.5
    assert hope.chance(worst) < 1e-6
    unsure = {name: Metric(m.value, m.value / 3, m.value * 3) for name, m in worst.items()}
    assert hope.chance(unsure) > hope.chance(worst), "an interval counts"


def test_nothing_is_said_before_anything_is_known_and_by_other_samplers() -> None:
    for sampler in ("front", "tpe"):
        search = Search(SPACE, OBJECTIVES, sampler=sampler, seed=0)
        candidate = search.ask()
        assert candidate is not None
        assert search.prospect(candidate) is None
    assert [is_front(name, 30_000) for name in ("auto", "front", "tpe")] == [True, True, False]
    assert not is_front("auto", 30_001)


def test_who_was_stopped_after_a_bench_disproves_a_rule_and_after_a_preview_does_not() -> None:
    search = started()
    rungs: tuple[tuple[Rung, bool], ...] = (("preview", False), ("short bench", True))
    for after, disproves in rungs:
        candidate = search.ask()
        assert candidate is not None
        search.tell(candidate, replace(stopped(candidate, 0), stopped=Stopped(after, 0.995)))
        assert search.is_rule(candidate.params) is not disproves


def test_what_is_under_way_makes_nobody_surer() -> None:
    search = started()
    gone_on(search, (), 12)
    candidate = search.ask()
    assert candidate is not None
    alone = search.prospect(candidate)
    assert alone is not None
    for _ in range(4):
        search.ask()
    beside = search.prospect(candidate)
    assert beside is not None
    assert (beside.prospect.sd == alone.prospect.sd).all()


@pytest.mark.parametrize("told", ["at once", "after a crash"])
def test_a_score_on_a_part_of_the_samples_says_less_of_its_network(told: str) -> None:
    doubt = []
    for previewed in ({}, {"accuracy": 200}):
        search = started()
        records = gone_on(search, (), 12)
        one, other = _of_an_untried_network(records)
        assert search.ask(one) == one
        found = Evaluation({"accuracy": Metric(0.85, 0.80, 0.90)}, previewed=previewed)
        ended = replace(stopped(one, 12), evaluation=found)
        search.tell(one, ended)
        search = started((*records, ended)) if told == "after a crash" else search
        assert search.ask(other) == other
        hope = search.prospect(other)
        assert hope is not None
        doubt.append(float(hope.prospect.sd[0]))
    assert doubt[1] > 2 * doubt[0]


def _of_an_untried_network(records: tuple[Record, ...]) -> tuple[Candidate, Candidate]:
    """Two candidates that differ in their batch alone."""

    def network(params: Params) -> dict[str, Any]:
        return {name: value for name, value in params.items() if name != "batch"}

    tried = [network(record.params) for record in records]
    untried = [c for c in SPACE.candidates if network(c.params) not in tried]
    return next((a, b) for a in untried for b in untried if a != b and network(a.params) == network(b.params))
