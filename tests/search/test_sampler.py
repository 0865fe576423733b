"""Our sampler as Optuna's users meet it, without anything else of this program; and that a crash changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from threadpoolctl import threadpool_info, threadpool_limits

from explorer.pareto import hypervolume
from explorer.replay.problem import Replayed
from explorer.replay.sources import problem_of
from explorer.search.proposer import Proposer, Seen
from explorer.search.prospect import Prospect
from explorer.search.sampler import FrontSampler, Known
from explorer.search.search import Search


def objective(trial: optuna.Trial) -> tuple[float, float]:
    batch = trial.suggest_int("batch", 0, 7)
    precision = trial.suggest_categorical("precision", ["fp32", "fp16", "int8"])
    clock = trial.suggest_float("clock", 0.4, 1.0, step=0.1)
    speed = {"fp32": 1.0, "fp16": 1.9, "int8": 3.0}[precision] * clock * (1 + batch) ** 0.5
    return speed, 1 + clock**2 * (1 + 0.2 * batch)


def volume(study: optuna.Study) -> float:
    gains = [(trial.values[0], -trial.values[1]) for trial in study.trials if trial.values]
    return hypervolume(np.array(gains), np.array([0.0, -4.0]))


def test_it_is_a_sampler_of_optuna_s() -> None:
    reached, asked = {}, []
    for name, sampler in {"front": FrontSampler(1), "random": optuna.samplers.RandomSampler(1)}.items():
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        study.optimize(objective, n_trials=30)
        reached[name] = volume(study)
        asked.append([trial.params for trial in study.trials])
    assert reached["front"] > reached["random"]
    again = optuna.create_study(directions=["maximize", "minimize"], sampler=FrontSampler(1))
    again.optimize(objective, n_trials=12)
    assert [trial.params for trial in again.trials] == asked[0][:12]


def test_trials_are_distinct_until_there_are_no_more() -> None:
    axes = {"a": IntDistribution(1, 9, step=4), "b": CategoricalDistribution([True, False])}
    study = optuna.create_study(directions=["minimize"], sampler=FrontSampler(0))
    seen = []
    for number in range(8):  # two more than there are
        trial = study.ask(dict(axes))
        seen.append(tuple(trial.params.values()))
        study.tell(trial, float(number % 3))
    assert len(set(seen[:6])) == 6


def test_a_trial_that_was_pruned_or_has_failed_is_no_obstacle() -> None:
    study = optuna.create_study(directions=["minimize"], sampler=FrontSampler(0))
    axes: dict[str, Any] = {"a": IntDistribution(0, 30)}
    for number in range(20):
        trial = study.ask(axes)
        if number % 5 == 4:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, abs(trial.params["a"] - 17.0))
    assert min(trial.value for trial in study.trials if trial.value is not None) == 0


def test_an_axis_without_end_is_refused_in_words() -> None:
    study = optuna.create_study(directions=["minimize"], sampler=FrontSampler(0))
    axes: dict[str, Any] = {"clock": FloatDistribution(0.0, 1.0)}
    study.tell(study.ask(axes), 1.0)  # of which Optuna learns that there is such an axis
    with pytest.raises(ValueError, match="clock has no end of values: give it a step, or choices"):
        study.ask(axes)


def test_threads_that_share_it_get_different_candidates() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=FrontSampler(1))
    study.optimize(objective, n_trials=40, n_jobs=4)
    first = 4  # until one has ended nobody knows the axes
    assert len({str(trial.params) for trial in study.trials}) >= 40 - first
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials)


def test_an_axis_that_grows_is_drawn_from_as_it_is_now() -> None:
    """By nobody who was told of it: what trials have in common is then found anew."""

    def growing(trial: optuna.Trial) -> float:
        trial.suggest_categorical("precision", ["fp16", "int8"])
        return float(trial.suggest_int("batch", 0, 3 + 4 * (trial.number >= 10)))

    study = optuna.create_study(directions=["minimize"], sampler=FrontSampler(1))
    study.optimize(growing, n_trials=25)
    batches = [trial.params["batch"] for trial in study.trials]
    assert max(batches[:10]) <= 3 < max(batches[10:])


def test_an_ask_leaves_the_other_cores_to_whoever_measures_there() -> None:
    axes = {"a": IntDistribution(0, 30)}
    counted: list[list[int]] = []

    def seconds() -> Any:  # asked for while candidates are compared
        counted.append(threads())
        return np.ones(31)

    study = optuna.create_study(sampler=FrontSampler(0, known=Known(axes, seconds=seconds)))
    with threadpool_limits(3, user_api="blas"):
        for _ in range(8):
            trial = study.ask(dict(axes))
            study.tell(trial, abs(trial.params["a"] - 17.0))
        assert set(threads()) == {3}, "whoever else computes has its threads back"
    assert counted
    assert set(sum(counted, [])) == {1}


def test_and_so_does_a_prospect(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[list[int]] = []
    asked = Proposer.prospect

    def counting(self: Proposer, row: int, seen: Seen) -> Prospect:
        counted.append(threads())
        return asked(self, row, seen)

    monkeypatch.setattr(Proposer, "prospect", counting)
    sampler = FrontSampler(0, known=Known({"a": IntDistribution(0, 30)}))
    study = optuna.create_study(sampler=sampler)
    with threadpool_limits(3, user_api="blas"):
        for _ in range(8):
            trial = study.ask({"a": IntDistribution(0, 30)})
            sampler.prospect(study, study.trials[trial.number])
            study.tell(trial, abs(trial.params["a"] - 17.0))
    assert counted
    assert set(sum(counted, [])) == {1}


def threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_after_a_crash_the_next_proposal_is_the_one_it_would_have_been(table: Replayed) -> None:
    search, records = start(table), []
    asked = []
    for number in range(32):
        candidate = search.ask()
        assert candidate is not None
        asked.append(candidate.key)
        records.append(table.record(number, table.rows[candidate.key], np.random.default_rng(number)))
        search.tell(candidate, records[-1])
    for known in (1, 5, 6, 7, 18, 31):
        next_one = start(table, records[:known]).ask()
        assert next_one is not None
        assert next_one.key == asked[known], known


def start(table: Replayed, records: Any = ()) -> Search:
    told = {"sampler": "front", "seed": 3, "constraints": table.constraints}
    return Search(table.space, table.objectives, records=records, **told)


@pytest.fixture(scope="module")
def table() -> Replayed:
    return problem_of("tx2_recorded")
