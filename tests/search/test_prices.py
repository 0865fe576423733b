"""What a candidate would cost: the stages that nobody has run yet, at the price they had so far."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.result import Evaluation, Record, StageTime
from explorer.search.prices import Prices
from explorer.search.proposer import Proposer
from explorer.space import Axis, Candidate, Space

SPACE = Space(
    (
        Axis("prune_ratio", (0, 0.3, 0.6)),
        Axis("round_to", (8, 16)),
        Axis("precision", ("fp16", "int8")),
        Axis("batch", (1, 4)),
        Axis("streams", (1, 2)),
    )
)
SECONDS = {"prune": 10.0, "finetune": 300.0, "export": 5.0, "build": 60.0, "measure": 20.0, "score": 2.0}


def record(candidate: Candidate, times: dict[str, float]) -> Record:
    stages = {name: StageTime(seconds, cached=False) for name, seconds in times.items()}
    return Record(0, "complete", candidate.params, "b", "", 1.0, Evaluation(stages=stages))


def cost(prices: Prices, **params: object) -> float:
    wanted = Candidate({"streams": 1, **params})
    row = next(i for i, one in enumerate(SPACE.candidates) if one.key == wanted.key)
    return float(prices.expected_s()[row])


def test_before_anything_was_timed_all_cost_the_same() -> None:
    found = Prices(SPACE.candidates).expected_s()
    assert (found == found[0]).all()
    assert found[0] > 0


def test_only_what_is_still_to_be_done_costs_anything() -> None:
    prices = Prices(SPACE.candidates)
    first = Candidate({"prune_ratio": 0.3, "round_to": 8, "precision": "fp16", "batch": 1, "streams": 1})
    prices.begin(first)
    prices.learn(record(first, SECONDS))
    same = {"prune_ratio": 0.3, "round_to": 8, "precision": "fp16", "batch": 1}
    assert cost(prices, **{**same, "streams": 2}) == 22
    assert cost(prices, **{**same, "batch": 4}) == 60 / 2 + 22
    assert cost(prices, **{**same, "precision": "int8"}) == (5 + 60) / 2 + 22
    assert cost(prices, **{**same, "round_to": 16}) == (310 + 5 + 60) / 2 + 22


def test_a_stage_is_paid_by_as_many_as_it_is_expected_to_serve() -> None:
    prices = Prices(SPACE.candidates)
    same = {"prune_ratio": 0.3, "round_to": 8, "precision": "fp16"}
    for batch, streams in ((1, 1), (1, 2), (4, 1)):
        candidate = Candidate({**same, "batch": batch, "streams": streams})
        prices.begin(candidate)
        prices.learn(record(candidate, SECONDS))
    assert cost(prices, **{**same, "batch": 4, "streams": 2}) == 22
    # So far three candidates have shared a checkpoint, 1.5 an engine; a search is expected to go on for as long again.
    assert cost(prices, **{**same, "prune_ratio": 0.6, "batch": 1}) == pytest.approx((310 + 5) / 6 + 60 / 3 + 22)


def test_a_price_is_the_median_of_what_was_paid() -> None:
    prices = Prices(SPACE.candidates)
    for measured in (10.0, 20.0, 900.0):
        prices.learn(record(SPACE.candidates[0], {"measure": measured}))
    assert (prices.expected_s() == 20.0).all()


def test_the_cheap_come_first_and_the_good_are_not_forgotten() -> None:
    chosen = _chosen(np.array([1.0, 0.9, 0.05]), np.array([400.0, 20.0, 1.0]))
    assert chosen == 1, "nearly as good and much cheaper; the cheapest is good for nothing"
    assert _chosen(np.array([1.0, 0.04, 0.05]), np.array([400.0, 20.0, 1.0])) == 0


def _chosen(scores: np.ndarray, seconds: np.ndarray) -> int:
    class Told(Proposer):
        def __init__(self) -> None: ...

        def scores(self, seen: object, free: object = None) -> np.ndarray:
            return scores

    row, most = Told().propose(None, np.ones(3, dtype=np.bool_), seconds)  # type: ignore[arg-type]
    assert most == 1.0
    return row
