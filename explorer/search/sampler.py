"""Our own sampler for Optuna: the untried candidate that is expected to add most to the front.

    sampler = FrontSampler(seed=1)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    trial = study.ask({"batch": IntDistribution(0, 3), "precision": CategoricalDistribution(["fp16", "int8"])})

Spaces are finite: whole numbers, steps and choices. What is known of a space beyond its values (which candidates there
are, on what an objective depends, which share a stage) it can be told, and then needs fewer trials. A trial whose
constraints are violated is an impossible candidate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from explorer.search.proposer import Proposer, Seen
from explorer.search.surrogate import Axis, Shape

Params = Mapping[str, Any]
Distributions = Mapping[str, BaseDistribution]
Ints = NDArray[np.intp]

STARTUP = 6  # results before anything is believed
MOST = 200_000  # candidates that are looked at one by one


@dataclass(frozen=True)
class Known:
    """What is known of a space beforehand.

    Attributes:
        distributions: its axes.
        candidates: those that there are, as Optuna's parameters; None: every combination.
        depends_on: objective, by its place → the only axes that it depends on.
        shared: objective → axes of a stage that candidates share, and its luck with it.
    """

    distributions: Distributions
    candidates: Sequence[Params] | None = None
    depends_on: Mapping[int, Collection[str]] = field(default_factory=dict)
    shared: Mapping[int, Collection[str]] = field(default_factory=dict)


class FrontSampler(BaseSampler):
    """Gaussian processes over the whole space, and exact expected hypervolume improvement of every candidate."""

    def __init__(self, seed: int = 0, *, known: Known | None = None) -> None:
        self._seed = seed
        self._independent = RandomSampler(seed)
        self._intersection = IntersectionSearchSpace(include_pruned=True)
        self._table = None if known is None else _Table(known)

    def know(self, known: Known) -> None:
        """Take in what is known of the space."""
        self._table = _Table(known)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if self._table is not None:
            return dict(self._table.known.distributions)
        return dict(sorted(self._intersection.calculate(study).items()))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:  # Optuna learns of the axes as the first trials ask for them
            return {}
        if self._table is None or self._table.known.distributions != search_space:
            self._table = _Table(Known(search_space))
        return self._table.proposed(study, trial, self._seed)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._independent.sample_independent(study, trial, param_name, param_distribution)


class _Table:
    """The candidates of a space, row by row."""

    def __init__(self, known: Known) -> None:
        self.known = known
        names = list(known.distributions)
        self._values = {name: _values_of(name, distribution) for name, distribution in known.distributions.items()}
        self.candidates = known.candidates if known.candidates is not None else self._every(names)
        self._places = {name: {value: i for i, value in enumerate(values)} for name, values in self._values.items()}
        levels = [[self._places[name][candidate[name]] for name in names] for candidate in self.candidates]
        self._levels = np.array(levels, dtype=np.intp).reshape(-1, len(names))
        self._row = {tuple(row): number for number, row in enumerate(self._levels.tolist())}
        self._names = names
        self._proposer: Proposer | None = None

    def proposed(self, study: Study, trial: FrozenTrial, seed: int) -> dict[str, Any]:
        """The parameters to try next; where nothing is untried, those of any candidate."""
        trials = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        seen, taken = self._seen(study, trials)
        rng = np.random.default_rng((seed, len(trials)))
        free = np.ones(len(self.candidates), dtype=np.bool_)
        free[taken] = False
        if not free.any():
            row = int(rng.integers(len(free)))
        elif len(seen.rows) < STARTUP:
            row = self._at_work(len(study.directions)).first(taken, free, rng)
        else:
            row = self._at_work(len(study.directions)).propose(seen, free)
        return {name: self.candidates[row][name] for name in self._names}

    def _at_work(self, objectives: int) -> Proposer:
        if self._proposer is None:
            self._proposer = Proposer(self._levels, [self._shape(number) for number in range(objectives)])
        return self._proposer

    def _shape(self, objective: int) -> Shape:
        only = self.known.depends_on.get(objective)
        chosen = [j for j, name in enumerate(self._names) if only is None or name in only]
        axes = [self._axis(self._names[j]) for j in chosen]
        shared = [j for j, name in enumerate(self._names) if name in self.known.shared.get(objective, ())]
        groups = None if not shared else np.unique(self._levels[:, shared], axis=0, return_inverse=True)[1].ravel()
        return Shape(axes, self._levels[:, chosen], groups)

    def _axis(self, name: str) -> Axis:
        ordinal = not isinstance(self.known.distributions[name], CategoricalDistribution)
        return Axis(len(self._values[name]), ordinal)

    def _seen(self, study: Study, trials: Sequence[FrozenTrial]) -> tuple[Seen, Ints]:
        signs = np.array([1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in study.directions])
        rows: dict[str, list[int]] = {"done": [], "refused": [], "pending": [], "taken": []}
        gains: list[NDArray[np.float64]] = []
        for trial in trials:
            row = self._row_of(trial)
            if row is None:
                continue
            rows["taken"].append(row)
            if trial.state == TrialState.COMPLETE and any(value > 0 for value in _constraints(trial)):
                rows["refused"].append(row)
            elif trial.state == TrialState.COMPLETE and np.isfinite(trial.values).all():
                rows["done"].append(row)
                gains.append(signs * np.asarray(trial.values))
            elif trial.state in (TrialState.RUNNING, TrialState.WAITING):
                rows["pending"].append(row)
        told = {name: np.array(numbers, dtype=np.intp) for name, numbers in rows.items()}
        table = np.array(gains).reshape(-1, len(signs))
        return Seen(told["done"], table, told["refused"], told["pending"]), told["taken"]

    def _row_of(self, trial: FrozenTrial) -> int | None:
        if not all(trial.params.get(name, self) in self._places[name] for name in self._names):
            return None
        return self._row.get(tuple(self._places[name][trial.params[name]] for name in self._names))

    def _every(self, names: Sequence[str]) -> list[Params]:
        size = math.prod(len(values) for values in self._values.values())
        if size > MOST:
            raise ValueError(f"a space of {size} candidates; at most {MOST} are looked at one by one")
        return [dict(zip(names, values, strict=True)) for values in itertools.product(*self._values.values())]


def _values_of(name: str, distribution: BaseDistribution) -> Sequence[Any]:
    """All values of an axis, in their order.

    Raises:
        ValueError: there is no end to them.
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        steps = round((distribution.high - distribution.low) / distribution.step)
        return [distribution.low + number * distribution.step for number in range(steps + 1)]
    raise ValueError(f"{name} has no end of values: give it a step, or choices")


def _constraints(trial: FrozenTrial) -> Collection[float]:
    told = getattr(trial, "constraints", None) or {}
    return told.values() if isinstance(told, Mapping) else told
