"""What an earlier study foretells is used where it is true, and soon left aside where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from explorer.pareto import hypervolume
from explorer.result import Evaluation, Metric, Objective, Record
from explorer.search.search import Search
from explorer.search.transfer import ENOUGH, Told, foretold, in_common
from explorer.space import Axis, Candidate, Params, Space

SPACE = Space(
    (
        Axis("prune_ratio", (0, 0.2, 0.4, 0.6)),
        Axis("precision", ("fp32", "fp16", "int8")),
        Axis("batch", (1, 2, 4, 8, 16)),
        Axis("streams", (1, 2, 3)),
    )
)
OBJECTIVES = (Objective("latency_ms", "min"), Objective("energy_mj", "min"))
SPEED = {"fp32": 1.0, "fp16": 0.6, "int8": 0.45}


def latency_ms(params: Params) -> float:
    slow = SPEED[str(params["precision"])] * (1.1 - float(params["prune_ratio"]))
    return slow * (1 + 0.4 * abs(np.log2(float(params.get("batch", 4))) - 2)) * (1 + 0.1 * int(params["streams"]) ** 2)


def record(number: int, params: Params, *, times: float = 1.0) -> Record:
    latency = times * latency_ms(params)
    energy = 5 * latency**-0.5 * (1 + float(params["prune_ratio"]) * int(params["streams"]))
    metrics = {"latency_ms": Metric(latency), "energy_mj": Metric(energy)}
    return Record(number, "complete", params, "board", "", 1.0, Evaluation(metrics))


def records(many: int, *, seed: int = 0, times: float = 1.0) -> list[Record]:
    rows = np.random.default_rng(seed).choice(SPACE.size, many, replace=False)
    return [record(number, SPACE.candidates[row].params, times=times) for number, row in enumerate(rows)]


def told(those: Sequence[Record], change: Callable[[Params], Params] = dict) -> Told:
    return Told([change(one.params) for one in those], [one.metrics["latency_ms"].value for one in those])


def params_of(space: Space) -> list[Params]:
    return [candidate.params for candidate in space.candidates]


def likeness(found: np.ndarray) -> float:
    return float(np.corrcoef(found, [latency_ms(params) for params in params_of(SPACE)])[0, 1])


def test_a_sibling_foretells_every_candidate_whatever_its_scale() -> None:
    found = foretold(SPACE.axes, params_of(SPACE), told(records(60, times=7.0)))
    assert found is not None
    assert (found.mean(), found.std()) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
    assert likeness(found) > 0.98


def test_what_the_earlier_study_lacks_is_foretold_as_far_as_others_are_alike() -> None:
    def fewer(params: Params) -> Params:
        return {"precision": params["precision"], "batch": params["batch"], "threads": 3}

    few = [one for one in records(150) if one.params["batch"] in (1, 4, 16) and one.params["precision"] != "fp16"]
    found = foretold(SPACE.axes, params_of(SPACE), told(few, fewer))
    assert found is not None
    by = {candidate.key: value for candidate, value in zip(SPACE.candidates, found, strict=True)}
    shared = {(key[0], key[1]) for key in by}  # batch, precision: what else a candidate has makes no difference
    assert all(np.ptp([value for key, value in by.items() if key[:2] == pair]) < 1e-9 for pair in shared)
    mean = {batch: np.mean([value for key, value in by.items() if key[0] == batch]) for batch in (1, 2, 4, 8, 16)}
    assert mean[4] < mean[2] < mean[1]
    assert mean[4] < mean[8] < mean[16]


def test_words_that_nobody_tried_are_nothing_in_common_and_numbers_are() -> None:
    axes = (Axis("power_mode", ("15W", "30W")), Axis("precision", ("fp16", "int8")), Axis("batch", (1, 4)))
    earlier = [{"power_mode": "MAXN", "precision": "int4", "batch": 8}, {"precision": "int8", "batch": 2}]
    assert [axis.name for axis in in_common(axes, earlier)] == ["precision", "batch"]
    assert in_common(axes, earlier)[1] == Axis("batch", (1, 2, 4, 8))
    assert in_common(axes, []) == []


@pytest.mark.parametrize("many", [0, ENOUGH - 1])
def test_too_few_records_foretell_nothing(many: int) -> None:
    assert foretold(SPACE.axes, params_of(SPACE), told(records(many))) is None


def test_records_that_are_all_alike_or_have_no_axis_of_ours_foretell_nothing() -> None:
    many = records(30)
    assert foretold(SPACE.axes, params_of(SPACE), Told([one.params for one in many], [1.0] * 30)) is None
    assert foretold(SPACE.axes, params_of(SPACE), told(many, lambda _: {"threads": 2})) is None


def explored(search: Search, count: int) -> list[Record]:
    found: list[Record] = []
    for number in range(count):
        candidate = search.ask()
        assert candidate is not None
        found.append(record(number, candidate.params))
        search.tell(candidate, found[-1])
    return found


def start(*earlier: Sequence[Record], before: Sequence[Record] = ()) -> Search:
    return Search(SPACE, OBJECTIVES, sampler="front", seed=1, earlier=earlier, records=before)


def gains(those: Sequence[Record]) -> np.ndarray:
    return -np.log([[one.metrics[o.metric].value for o in OBJECTIVES] for one in those])


def share(those: Sequence[Record]) -> float:
    """Of the hypervolume of all there is."""
    everything = gains([record(0, params) for params in params_of(SPACE)])
    worst = everything.min(axis=0)
    return hypervolume(gains(those), worst) / hypervolume(everything, worst)


def test_a_sibling_leads_to_the_front_sooner_and_nonsense_does_not_keep_from_it() -> None:
    sibling, shuffled = records(60, times=3.0), records(60, seed=1)
    order = np.random.default_rng(3).permutation(60)
    nonsense = [replace(one, params=shuffled[k].params) for one, k in zip(shuffled, order, strict=True)]
    warm, cold, misled = (explored(start(*earlier), 20) for earlier in ([sibling], [], [nonsense]))
    assert share(warm[:12]) > share(cold[:12]) + 0.05
    assert share(warm[:12]) > 0.95
    assert share(misled) > share(cold) - 0.05


def test_a_warm_search_goes_on_as_if_nothing_had_happened() -> None:
    sibling = records(40, times=3.0)
    whole = explored(start(sibling), 12)
    again = explored(start(sibling, before=whole[:7]), 5)
    assert [Candidate(one.params).key for one in again] == [Candidate(one.params).key for one in whole[7:]]
    cold = explored(start(), 12)
    assert [one.params for one in cold] != [one.params for one in whole]
