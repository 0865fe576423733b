"""The peer of `benchmarks/qnehvi.py` searches as it should: every candidate once, to the front, around refusals."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from explorer.pareto import front
from explorer.result import Constraint, Evaluation, Metric, Objective, Record
from explorer.search.search import Search
from explorer.space import Axis, Candidate, Params, Space

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("botorch") is None, reason="needs BoTorch: make .venv/.peers"),
]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SAMPLER = "qnehvi:NoisyHypervolume"
BATCHES, STREAMS = Axis("batch", (1, 2, 4, 8, 16, 32)), Axis("streams", (1, 2, 3, 4, 5))
PRECISIONS = Axis("precision", ("fp32", "fp16", "int8"))
SPACE = Space((BATCHES, STREAMS, PRECISIONS))
OBJECTIVES = (Objective("accuracy", "max"), Objective("throughput_ips", "max"))
FASTER = {"fp32": 1.0, "fp16": 2.0, "int8": 3.0}
WORSE = {"fp32": 0.0, "fp16": 0.01, "int8": 0.06}
NO_LIMIT = math.nan

Judge = Callable[[Candidate, int], Record]


@pytest.fixture(scope="module")
def qnehvi() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        found = importlib.import_module("qnehvi")
        threads = found.torch.get_num_threads()
        found.torch.set_num_threads(1)  # sets this small cost more in handing out than in working
        yield found
        found.torch.set_num_threads(threads)
    del sys.modules["qnehvi"]


def measured(candidate: Candidate, number: int) -> Record:
    """The more streams, the slower; a larger batch is faster, and less accurate by a little."""
    batch, streams, precision = (candidate.all[name] for name in ("batch", "streams", "precision"))
    accuracy = 0.9 - WORSE[str(precision)] - 0.001 * math.log2(float(batch))
    speed = 100 * FASTER[str(precision)] * float(batch) ** 0.5 / float(streams)
    metrics = {"accuracy": Metric(accuracy), "throughput_ips": Metric(speed)}
    return Record(number, "complete", candidate.params, "b", "", 1.0, Evaluation(metrics))


def refused(candidate: Candidate, number: int, because: Params) -> Record:
    broken = {"feasible": 1.0}
    return Record(number, "infeasible", candidate.params, "b", "", 1.0, Evaluation(), broken, "no", because)


def searched(space: Space, judge: Judge, asks: int, *, constraints: tuple[Constraint, ...] = ()) -> list[Record]:
    search = Search(space, OBJECTIVES, sampler=SAMPLER, seed=0, constraints=constraints)
    records: list[Record] = []
    while len(records) < asks and (candidate := search.ask()) is not None:
        records.append(judge(candidate, len(records)))
        search.tell(candidate, records[-1])
        search.rule_out(records[-1].because)
    return records


def keys(records: Iterable[Record]) -> list[tuple[object, ...]]:
    return [Candidate(record.params).key for record in records]


def best(space: Space) -> set[tuple[object, ...]]:
    """Keys of the candidates on the front."""
    records = [measured(candidate, 0) for candidate in space.candidates]
    gains = np.array([[record.metrics[o.metric].value for o in OBJECTIVES] for record in records])
    return {key for key, on in zip(keys(records), front(gains), strict=True) if on}


def test_every_candidate_is_asked_for_once_until_the_space_is_exhausted(qnehvi: ModuleType) -> None:
    asked = keys(searched(Space((BATCHES, PRECISIONS), fixed={"streams": 1}), measured, 100))
    assert len(asked) == len(set(asked)) == 18


def test_the_front_is_found_where_chance_would_find_a_third_of_it(qnehvi: ModuleType) -> None:
    asked = keys(searched(SPACE, measured, 30))
    assert SPACE.size == 90
    assert best(SPACE) <= set(asked)


def test_equal_seeds_give_equal_searches(qnehvi: ModuleType) -> None:
    once, again = (keys(searched(SPACE, measured, 14)) for _ in range(2))
    assert once == again


def test_what_a_rule_forbids_is_asked_for_once(qnehvi: ModuleType) -> None:
    def judge(candidate: Candidate, number: int) -> Record:
        if candidate.has({"precision": "int8"}):
            return refused(candidate, number, {"precision": "int8"})
        return measured(candidate, number)

    records = searched(SPACE, judge, 25)
    assert len(set(keys(records))) == 25
    assert [record.state for record in records].count("infeasible") == 1


def test_refusals_without_a_rule_are_kept_away_from_while_there_is_something_else_to_gain(qnehvi: ModuleType) -> None:
    """What would be the fastest half of the space has no room in memory; of the rest seven are on the front."""

    def judge(candidate: Candidate, number: int) -> Record:
        big = int(candidate.params["batch"]) >= 8
        return refused(candidate, number, {}) if big else measured(candidate, number)

    records = searched(SPACE, judge, 28)
    states = [record.state for record in records]
    begun = next(n for n in range(28) if states[:n].count("complete") == qnehvi.STARTUP)
    assert states[:begun].count("infeasible") > 3
    assert "infeasible" not in states[begun:28]
    assert best(Space((Axis("batch", (1, 2, 4)), STREAMS, PRECISIONS))) <= set(keys(records))


def test_a_limit_that_nothing_keeps_leads_to_what_is_nearest_to_it(qnehvi: ModuleType) -> None:
    limit = Constraint("accuracy", ">=", 0.905)

    def judge(candidate: Candidate, number: int) -> Record:
        record = measured(candidate, number)
        amount = limit.violation(record.metrics["accuracy"].value)
        return replace(record, state="infeasible", constraints={str(limit): amount})

    space = Space((Axis("batch", (32, 16, 8, 4, 2, 1)), STREAMS, PRECISIONS))
    records = searched(space, judge, 18, constraints=(limit,))
    accuracy = [record.metrics["accuracy"].value for record in records]
    begun = qnehvi.STARTUP
    assert np.median(accuracy[begun:]) > max(0.89, np.median(accuracy[:begun]))


def test_hypervolume_is_counted_from_a_limit_or_from_below_the_worst(qnehvi: ModuleType) -> None:
    gains = qnehvi.torch.tensor([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0], [0.5, 0.5]])

    def found(*limits: float) -> list[float]:
        return qnehvi.reference(gains.double(), qnehvi.torch.tensor(limits).double()).tolist()

    assert found(NO_LIMIT, NO_LIMIT) == pytest.approx([-0.1, -0.1])  # range: from the worst of all to (1, 1)
    assert found(0.75, NO_LIMIT) == pytest.approx([0.75, -0.1])
    assert found(5.0, NO_LIMIT) == pytest.approx([5.0, -0.1])


def test_axes_in_order_are_numbers_and_words_are_not(qnehvi: ModuleType) -> None:
    axes = {"batch": IntDistribution(0, 4), "precision": CategoricalDistribution(("fp32", "int8"))}
    assert qnehvi.features(axes, {"batch": 1, "precision": "int8"}).tolist() == [0.25, 0.0, 1.0]
    assert qnehvi.features(axes, {"batch": 4, "precision": "fp32"}).tolist() == [1.0, 1.0, 0.0]
