"""The corners of what may be explored with our own sampler: few objectives and many, words alone and numbers alone,
constraints and none, one candidate, nothing that keeps a constraint, nothing that works.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

import pytest

from explorer.pareto import front
from explorer.result import Constraint, Evaluation, Metric, Objective, Record
from explorer.search.search import Search
from explorer.space import Axis, Candidate, Space

OBJECTIVES = (
    Objective("accuracy", "max"),
    Objective("throughput_ips", "max"),
    Objective("energy_mj", "min"),
    Objective("model_mb", "min"),
)
WORDS = Space((Axis("precision", ("fp32", "fp16", "int8")), Axis("placement", ("gpu", "dla")), Axis("a", ("x", "y"))))
NUMBERS = Space((Axis("prune_ratio", (0, 0.2, 0.4, 0.6)), Axis("batch", (1, 2, 4, 8)), Axis("streams", (1, 2))))
ONE = Space((Axis("batch", (4,)), Axis("precision", ("fp16",))))
NO_AXIS = Space((), fixed={"batch": 4})
Values = Callable[[Candidate], dict[str, float]]


def measured(candidate: Candidate) -> dict[str, float]:
    """Smooth in every axis, and in conflict."""
    levels = [sum(map(ord, str(value))) % 7 + 1 for value in candidate.all.values()]
    speed = math.prod(levels) ** 0.5
    return {
        "accuracy": 0.95 - 0.01 * speed,
        "throughput_ips": 100 * speed,
        "energy_mj": 10 / speed + levels[0],
        "model_mb": 1.0 + levels[-1],
    }


@dataclass(frozen=True)
class Seen:
    """A search to its end."""

    search: Search
    records: list[Record]


def explored(
    space: Space,
    objectives: Sequence[Objective],
    *,
    constraints: Sequence[Constraint] = (),
    values: Values = measured,
    refused: bool = False,
) -> Seen:
    search = Search(space, objectives, sampler="front", seed=1, constraints=constraints)
    records: list[Record] = []
    while (candidate := search.ask()) is not None:
        told = {} if refused else values(candidate)
        broken = {str(c): c.violation(told[c.metric]) for c in constraints if c.metric in told}
        bad = refused or any(amount > 0 for amount in broken.values())
        evaluation = Evaluation({name: Metric(value) for name, value in told.items()})
        violated = broken or ({"feasible": 1.0} if refused else {})
        state = "infeasible" if bad else "complete"
        records.append(Record(len(records), state, candidate.params, "b", "", 1.0, evaluation, violated))  # type: ignore[arg-type]
        search.tell(candidate, records[-1])
    return Seen(search, records)


def tried_once(seen: Seen, space: Space) -> None:
    keys = [Candidate(record.params).key for record in seen.records]
    assert len(keys) == len(set(keys)) == space.size
    assert (seen.search.left, seen.search.ask()) == (0, None)


@pytest.mark.parametrize("space", [WORDS, NUMBERS], ids=["words", "numbers"])
@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize("limits", [(), ("accuracy >= 0.9",)], ids=["free", "constrained"])
def test_every_candidate_once_and_the_front_early(space: Space, count: int, limits: tuple[str, ...]) -> None:
    constraints = [Constraint.parse(limit) for limit in limits]
    objectives = OBJECTIVES[:count]
    seen = explored(space, objectives, constraints=constraints)
    tried_once(seen, space)
    good = [record for record in seen.records if record.state == "complete"]
    gains = [[o.gain(record.metrics[o.metric].value) for o in objectives] for record in good]
    on = front(gains)
    places = {way: [r.number for r, its in zip(good, on, strict=True) if its == way] for way in (True, False)}
    assert places[True]
    assert not places[False] or mean(places[True]) < mean(places[False]), "the front comes before the others"
    gain = seen.search.expected_gain
    assert gain is None or gain >= 0


@pytest.mark.parametrize("space", [ONE, NO_AXIS], ids=["one", "no axis"])
@pytest.mark.parametrize("refused", [False, True])
def test_a_single_candidate_is_tried_and_that_is_all(space: Space, refused: bool) -> None:
    tried_once(explored(space, OBJECTIVES[:2], refused=refused), space)


def test_when_nobody_keeps_a_constraint_all_are_tried() -> None:
    seen = explored(NUMBERS, OBJECTIVES[:2], constraints=[Constraint.parse("accuracy >= 2")])
    tried_once(seen, NUMBERS)
    assert seen.search.expected_gain is None, "of nothing there is no share"


def test_when_nothing_works_all_are_tried() -> None:
    tried_once(explored(WORDS, OBJECTIVES, refused=True), WORDS)


def test_an_objective_in_which_all_are_equal_is_no_end() -> None:
    seen = explored(NUMBERS, OBJECTIVES[:2], values=lambda one: {**measured(one), "accuracy": 0.9})
    tried_once(seen, NUMBERS)
    best = max(seen.records, key=lambda record: record.metrics["throughput_ips"].value)
    assert best.number < NUMBERS.size / 2, "the other objective decides"
    assert 0 <= (seen.search.expected_gain or 0.0) < 0.01


def test_values_that_no_logarithm_is_of_are_taken() -> None:
    tried_once(explored(WORDS, OBJECTIVES[:3], values=lambda one: {**measured(one), "energy_mj": 0.0}), WORDS)


def test_an_objective_that_nobody_could_measure_so_far(capfd: pytest.CaptureFixture[str]) -> None:
    """Every candidate broke a limit before its accuracy was scored: the search goes on, and without a word."""
    limit = Constraint("throughput_ips", ">=", 1e6)
    search = Search(WORDS, OBJECTIVES[:2], sampler="front", seed=1, constraints=[limit])
    for number in range(WORDS.size - 1):
        candidate = search.ask()
        assert candidate is not None
        known = {"throughput_ips": Metric(measured(candidate)["throughput_ips"])}
        broken = {str(limit): limit.violation(known["throughput_ips"].value)}
        record = Record(number, "infeasible", candidate.params, "b", "", 1.0, Evaluation(known), broken)
        search.tell(candidate, record)
    candidate = search.ask()
    assert candidate is not None
    assert search.prospect(candidate) is not None
    assert capfd.readouterr() == ("", "")
