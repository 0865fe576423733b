"""Ask and tell on finite spaces: distinct, allowed, exhausted exactly, rebuilt from records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.samplers import RandomSampler

from explorer import pareto
from explorer.result import Evaluation, Metric, Objective, Record
from explorer.search import SAMPLERS
from explorer.search.quantities import scaled
from explorer.search.sampler import Known
from explorer.search.search import Prior, Search, baseline
from explorer.space import Axis, Candidate, Params, Rule, Space

SPACE = Space(
    (
        Axis("prune_ratio", (0, 0.3, 0.5, 0.7)),
        Axis("precision", ("int8", "fp32", "bf16")),
        Axis("runtime", ("onnxruntime", "openvino")),
        Axis("batch", (1, 4, 16)),
    ),
    (Rule({"precision": ("bf16",)}, {"runtime": ("openvino",)}),),
)
OBJECTIVES = (Objective("accuracy", "max"), Objective("throughput_ips", "max"), Objective("energy_mj", "min"))


def judged(candidate: Candidate, number: int) -> Record:
    """A made-up board: batch 16 never fits in fp32, pruning 0.7 with int8 fails without a reason."""
    p = candidate.params
    ratio = float(p["prune_ratio"])
    state, constraints = "complete", {"feasible": -1.0}
    metrics = {
        "accuracy": Metric(0.95 - 0.4 * ratio**2 - 0.03 * (p["precision"] == "int8")),
        "throughput_ips": Metric(100 / (1.05 - ratio) * (2 if p["precision"] != "fp32" else 1)),
        "energy_mj": Metric(10 * (1.05 - ratio)),
    }
    if p["precision"] == "fp32" and p["batch"] == 16:
        state, constraints, metrics = "infeasible", {"feasible": 1.0}, {}
    if p["precision"] == "int8" and ratio == 0.7:
        state, constraints, metrics = "failed", {}, {}
    return Record(number, state, p, "board", "", 1.0, Evaluation(metrics), constraints)  # type: ignore[arg-type]


def explored(search: Search, count: int) -> list[Record]:
    records: list[Record] = []
    while len(records) < count and (candidate := search.ask()) is not None:
        records.append(judged(candidate, len(records)))
        search.tell(candidate, records[-1])
    return records


def explored_ahead(search: Search, count: int, *, ahead: int) -> list[Record]:
    """As a fleet does: `ahead` candidates are under way at any time."""
    records: list[Record] = []
    under_way: list[Candidate] = []
    while len(records) < count:
        while len(under_way) < ahead and (candidate := search.ask()) is not None:
            under_way.append(candidate)
        candidate = under_way.pop(0)
        records.append(judged(candidate, len(records)))
        search.tell(candidate, records[-1])
    return records


def start(sampler: str, records: list[Record] | None = None, seed: int = 1) -> Search:
    return Search(SPACE, OBJECTIVES, sampler=sampler, seed=seed, records=records or [])


@pytest.mark.slow
def test_the_gaussian_process_proposes_distinct_candidates() -> None:
    keys = [Candidate(record.params).key for record in explored(start("gp"), 14)]
    assert len(set(keys)) == 14


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("gp", "auto")])
def test_every_ask_in_every_run_is_a_new_candidate_until_the_space_is_exhausted(sampler: str) -> None:
    before = explored(start(sampler), 25)
    search = start(sampler, before)
    records = [*before, *explored(search, 10_000)]
    keys = [Candidate(record.params).key for record in records]
    assert len(keys) == len(set(keys)) == SPACE.size == 60
    assert search.left == 0
    assert search.ask() is None
    assert all(SPACE.allows(record.params) for record in records)


def test_several_under_way_are_distinct() -> None:
    search = start("tpe")
    assert len({search.ask().key for _ in range(20)}) == 20  # type: ignore[union-attr]


def test_the_baseline_comes_first_and_only_in_a_new_study() -> None:
    first = start("tpe").ask()
    assert first == baseline(SPACE.candidates)
    assert first is not None
    assert (first.params["prune_ratio"], first.params["precision"]) == (0, "fp32")
    resumed = start("tpe", explored(start("tpe"), 5)).ask()
    assert resumed is not None
    assert resumed != first


def test_equal_seeds_give_equal_studies() -> None:
    one, again, other = (explored(start("tpe", seed=seed), 16) for seed in (3, 3, 4))
    assert one == again != other


def test_constraints_steer_the_search() -> None:
    """Told as violated constraints, impossible points become rare: random finds them in proportion."""
    space = Space((Axis("batch", tuple(range(1, 201))), Axis("precision", ("fp32", "int8"))))

    def told(record_of: Candidate) -> Record:
        broken = int(record_of.params["batch"]) > 60
        metrics = {} if broken else {"throughput_ips": Metric(float(record_of.params["batch"]))}
        state = "infeasible" if broken else "complete"
        return Record(0, state, record_of.params, "b", "", 1.0, Evaluation(metrics), {"fits": 1.0 if broken else -1.0})  # type: ignore[arg-type]

    search = Search(space, (Objective("throughput_ips", "max"),), sampler="tpe", seed=0)
    broken = 0
    for _ in range(80):
        candidate = search.ask()
        assert candidate is not None
        search.tell(candidate, told(candidate))
        broken += int(candidate.params["batch"]) > 60
    assert broken < 0.7 * 80 * 0.75


def test_ratios_are_seen_as_logarithms() -> None:
    assert scaled("throughput_ips", 100.0) == pytest.approx(4.605, abs=1e-3)
    assert scaled("accuracy", 0.9) == 0.9


def test_a_sampler_that_asks_ahead_for_a_fleet_still_beats_chance() -> None:
    """Hypervolume after half of the space, with six candidates under way at any time."""

    def volume(sampler: str, seed: int) -> float:
        records = explored_ahead(start(sampler, seed=seed), 30, ahead=6)
        good = [r for r in records if r.state == "complete"]
        gains = [[o.gain(scaled(o.metric, r.metrics[o.metric].value)) for o in OBJECTIVES] for r in good]
        return pareto.hypervolume(np.array(gains) - np.array([0.7, 4.5, -2.5]), np.zeros(3))

    seeds = range(3)
    assert sum(volume("tpe", seed) for seed in seeds) > 1.03 * sum(volume("random", seed) for seed in seeds)


def test_what_an_earlier_run_had_begun_is_asked_for_again_and_not_twice() -> None:
    search = start("random")
    wanted = search.proposal({"prune_ratio": 0.5, "precision": "fp32", "runtime": "openvino", "batch": 4})
    assert wanted is not None
    assert search.ask(wanted) == wanted
    assert search.proposal(wanted.params) is None
    assert search.proposal(dict(wanted.params, batch=5)) is None
    others = [candidate.key for candidate in iter(search.ask, None)]
    assert len(set(others)) == SPACE.size - 1
    assert wanted.key not in others


def test_of_a_table_nothing_is_assumed_but_what_its_columns_names_say() -> None:
    """The program knows that accuracy does not depend on the batch; what strange columns depend on, nobody does."""
    axes = (Axis("batch", (1, 4)), Axis("image_size", (224, 299)))
    points = tuple({"batch": batch, "image_size": size} for batch in (1, 4) for size in (224, 299))
    objectives = (Objective("seconds_a_frame", "min"), Objective("accuracy", "max"))
    search = Search(Space(axes, listed=points), objectives, sampler="random", seed=0)
    known = search._known()
    assert set(known.depends_on) == set(known.counted) == {1}
    assert "image_size" in known.depends_on[1]
    assert "batch" not in known.depends_on[1]


@pytest.mark.parametrize("sampler", ["front", "tpe", "random"])
def test_what_is_impossible_or_ruled_out_is_never_asked_for(sampler: str) -> None:
    impossible = {c.key for c in SPACE.candidates if c.params["precision"] == "bf16"}
    search = Search(SPACE, OBJECTIVES, sampler=sampler, seed=1, impossible=impossible)
    records, asked = [], []
    while (candidate := search.ask()) is not None:
        asked.append(candidate)
        record = judged(candidate, len(records))
        because = {"precision": "fp32", "batch": 16} if record.state == "infeasible" else {}
        records.append(replace(record, because=because))
        search.tell(candidate, records[-1])
        search.rule_out(because)
    assert not impossible & {candidate.key for candidate in asked}
    assert [record.state for record in records].count("infeasible") == 1
    assert len(asked) == SPACE.size - len(impossible) - 7
    again = Search(SPACE, OBJECTIVES, sampler=sampler, seed=1, impossible=impossible, records=records)
    assert (again.left, again.ask()) == (0, None)


class FromTheEnd(RandomSampler):
    """A plug-in that looks at every candidate: it proposes the last of those that it may."""

    def know(self, known: Known) -> None:
        self.left = list(known.candidates or ())

    def leave_out(self, candidates: Iterable[Params]) -> None:
        for candidate in candidates:
            self.left.remove(dict(candidate))

    def sample_relative(self, *_: object) -> dict[str, Any]:
        return dict(self.left.pop())


def test_a_plug_in_that_looks_at_every_candidate_is_told_which_there_are() -> None:
    impossible = {c.key for c in SPACE.candidates if c.params["precision"] == "bf16"}
    search = Search(SPACE, OBJECTIVES, sampler=f"{__name__}:FromTheEnd", seed=1, impossible=impossible)
    first = search.ask()
    search.rule_out({"batch": 16})
    asked = [first]
    while (candidate := search.ask()) is not None:
        asked.append(candidate)
    left = [c for c in SPACE.candidates if c.key not in impossible and c.params["batch"] != 16 and c != first]
    assert asked[1:] == left[::-1]


def test_a_success_disproves_a_rule() -> None:
    search = start("front")
    candidate = search.ask()
    assert candidate is not None
    search.tell(candidate, judged(candidate, 0))
    assert search.rule_out({"precision": candidate.params["precision"]}) == 0
    assert search.rule_out({}) == 0
    assert search.left == SPACE.size - 1


def test_what_is_left_to_gain_is_told_and_falls() -> None:
    search, gains = start("front"), []
    for number in range(40):
        candidate = search.ask()
        assert candidate is not None
        gains.append(search.expected_gain)
        search.tell(candidate, judged(candidate, number))
    assert search.tells_gain
    assert gains[0] is None, "nothing is known yet"
    early, late = ([gain for gain in some if gain is not None] for some in (gains[:15], gains[-5:]))
    assert max(early) > 0.01 > 0.001 > max(late) >= 0
    assert not start("tpe").tells_gain
    assert start("tpe").expected_gain is None


PRUNED = Space(
    (
        Axis("prune_ratio", (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        Axis("round_to", (1, 8, 32, 64)),
        Axis("precision", ("fp32", "fp16")),
    )
)


def macs(candidate: Candidate) -> float:
    """Of 64 channels the share that is left, rounded up."""
    ratio, multiple = float(candidate.params["prune_ratio"]), int(candidate.params["round_to"])
    return min(64, multiple * -(-64 * (1 - ratio) // multiple)) ** 2


def by_size(candidate: Candidate, number: int) -> Record:
    """A network that is cut too far falls off a cliff, whatever it was cut by."""
    accuracy = 0.9 if macs(candidate) > 2500 else 0.7
    metrics = {"accuracy": Metric(accuracy), "throughput_ips": Metric(1e6 / macs(candidate))}
    return Record(number, "complete", candidate.params, "board", "", 1.0, Evaluation(metrics))


def off(prior: Prior | None) -> float:
    """By how much the accuracies of networks that nobody tried are misjudged, after sixteen trials."""
    search = Search(PRUNED, OBJECTIVES[:2], sampler="front", seed=0, prior=prior)
    rows = np.random.default_rng(1).permutation(PRUNED.size).tolist()
    for number, row in enumerate(rows[:16]):
        candidate = search.ask(PRUNED.candidates[row])
        assert candidate is not None
        search.tell(candidate, by_size(candidate, number))
    missed = []
    for row in rows[16:]:
        candidate = search.ask(PRUNED.candidates[row])
        assert candidate is not None
        hope = search.prospect(candidate)
        assert hope is not None
        missed.append(abs(hope.prospect.mean[0] - by_size(candidate, 0).metrics["accuracy"].value))
    return float(np.mean(missed))


def test_networks_are_compared_in_what_they_score_by_their_size() -> None:
    without = off(None)
    assert off(lambda candidate: {"macs": macs(candidate)}) < 0.6 * without
    assert off(lambda candidate: {"macs": 1.0}) == without  # it tells none from another
