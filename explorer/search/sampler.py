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
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import ThreadpoolController

from explorer.search.kernel import Axis, Shape
from explorer.search.outcomes import Quantity, is_measured, off_of, outcomes_of, signs_of, when_done
from explorer.search.proposer import Proposer, Seen
from explorer.search.prospect import Prospect

Params = Mapping[str, Any]
Distributions = Mapping[str, BaseDistribution]
Ints = NDArray[np.intp]

STARTUP = 6  # results before anything is believed
STARTUP_WARM = 4  # the same, where something is foretold: enough to see how far it can be believed
PAIRS = 10  # of axes, at most, that have an effect of their own: each is one more scale to learn
_ONE = threading.RLock()
MOST = 200_000  # candidates that are looked at one by one


@dataclass(frozen=True)
class Size:
    """What some axes come to, as far as a quantity is concerned.

    Attributes:
        axes: names of those that matter by it alone.
        of: every candidate ``[candidates]``, in any unit: their order counts.
    """

    axes: Collection[str]
    of: NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """What is known of a space beforehand.

    Attributes:
        distributions: its axes.
        candidates: those that there are, as Optuna's parameters; None: every combination.
        depends_on: objective, by its place, or constraint, by its name → the only axes that it depends on.
        shared: objective, or constraint → for each stage that candidates share, and its luck with it, the axes that
            tell one from another.
        seconds: tells what each candidate would take now ``[candidates]``: improvement per second counts then.
        limits: constraint on an objective itself, by its name → the objective's place, and the value at which the
            constraint is just kept.
        foretold: objective, or constraint → what other studies, or a model, say of it ``[candidates, sources]``, each
            source of mean 0 and variance 1.
        sizes: objective, or constraint → a size that takes the place of some of the axes.
        counted: objectives, and constraints, that come out the same whenever a candidate is tried.
    """

    distributions: Distributions
    candidates: Sequence[Params] | None = None
    depends_on: Mapping[Quantity, Collection[str]] = field(default_factory=dict)
    shared: Mapping[Quantity, Sequence[Collection[str]]] = field(default_factory=dict)
    limits: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    seconds: Callable[[], NDArray[np.float64]] | None = None
    foretold: Mapping[Quantity, NDArray[np.float64]] = field(default_factory=dict)
    sizes: Mapping[Quantity, Size] = field(default_factory=dict)
    counted: Collection[Quantity] = ()


@runtime_checkable
class Knowing(Protocol):
    """A sampler that looks at every candidate of a space: `Search` tells it which there are."""

    def know(self, known: Known) -> None:
        """Take in what is known of the space, before the first ask."""

    def leave_out(self, candidates: Iterable[Params]) -> None:
        """Propose none of these any more."""


class FrontSampler(BaseSampler):
    """Gaussian processes over the whole space, and exact expected hypervolume improvement of every candidate.

    Threads may share one. Processes that share a study need a seed each, or begin with the same candidates.
    """

    def __init__(self, seed: int = 0, *, known: Known | None = None) -> None:
        self._seed = seed
        self._independent = RandomSampler(seed)
        self._intersection = IntersectionSearchSpace(include_pruned=True)
        self._known = known
        self._table = None if known is None else _Table(known)
        self._expected_gain: float | None = None

    @property
    def expected_gain(self) -> float | None:
        """By what share of itself the best proposal is expected to enlarge the dominated volume, as of the last one.

        None while too little is known to expect anything, and while nothing is dominated.
        """
        return self._expected_gain

    def know(self, known: Known) -> None:
        """Take in what is known of the space."""
        self._known, self._table = known, _Table(known)

    def leave_out(self, candidates: Iterable[Params]) -> None:
        """Propose none of these any more; what is believed of the others stays as it is."""
        if self._table is not None:
            self._table.leave_out(candidates)

    def prospect(self, study: Study, trial: FrozenTrial) -> Prospect | None:
        """What a trial under way may come to; None while too little is known to expect anything."""
        with _alone():
            return None if self._table is None else self._table.prospect(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if self._known is not None:
            return dict(self._known.distributions)
        return dict(sorted(self._intersection.calculate(study).items()))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:  # Optuna learns of the axes as the first trials ask for them
            return {}
        with _alone():
            if self._table is None or self._table.known.distributions != search_space:
                self._table = _Table(Known(search_space))
            proposed, self._expected_gain = self._table.proposed(study, trial, self._seed)
        return proposed

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._independent.sample_independent(study, trial, param_name, param_distribution)


class _Table:
    """The candidates of a space, row by row."""

    def __init__(self, known: Known) -> None:
        self.known = known
        names = list(known.distributions)
        self._values = {name: values_of(name, distribution) for name, distribution in known.distributions.items()}
        self.candidates = known.candidates if known.candidates is not None else self._every(names)
        self._places = {name: {value: i for i, value in enumerate(values)} for name, values in self._values.items()}
        levels = [[self._places[name][candidate[name]] for name in names] for candidate in self.candidates]
        self._levels = np.array(levels, dtype=np.intp).reshape(len(levels), len(names))
        self._row = {tuple(row): number for number, row in enumerate(self._levels.tolist())}
        self._names = names
        self._left_out: set[int] = set()
        self._given: dict[int, int] = {}  # number of a trial → the row that was proposed for it
        self._quantities: list[Quantity] = []
        self._proposer: Proposer | None = None

    def proposed(self, study: Study, trial: FrozenTrial, seed: int) -> tuple[dict[str, Any], float | None]:
        """The parameters to try next, and what they are expected to gain; where nothing is untried, any candidate."""
        trials = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        quantities = self._quantities_of(study, trials)
        seen, taken = self._seen(study, trials, quantities)
        rng = np.random.default_rng((seed, len(trials)))
        free = np.ones(len(self.candidates), dtype=np.bool_)
        free[taken] = False
        free[list(self._left_out)] = False
        gain: float | None = None
        if not free.any():
            row = int(rng.integers(len(free)))
        elif len(seen.rows) < (STARTUP_WARM if self.known.foretold else STARTUP):
            row = self._at_work(study, quantities).first(taken, free, rng)
        else:
            proposer = self._at_work(study, quantities)
            row, improvement = proposer.propose(seen, free, self.known.seconds() if self.known.seconds else None)
            volume = proposer.dominated(seen)
            gain = improvement / volume if volume > 0 else None
        self._given[trial.number] = row
        return {name: self.candidates[row][name] for name in self._names}, gain

    def prospect(self, study: Study, trial: FrozenTrial) -> Prospect | None:
        """What a trial under way may come to."""
        row = self._row_of(trial)
        trials = study.get_trials(deepcopy=False)
        quantities = self._quantities_of(study, trials)
        seen, _ = self._seen(study, trials, quantities)
        if row is None or len(seen.rows) < STARTUP:
            return None
        return self._at_work(study, quantities).prospect(row, seen)

    def leave_out(self, candidates: Iterable[Params]) -> None:
        """Take these for none that can be proposed."""
        keys = (tuple(self._places[name][candidate[name]] for name in self._names) for candidate in candidates)
        self._left_out |= {self._row[key] for key in keys}

    def _quantities_of(self, study: Study, trials: Sequence[FrozenTrial]) -> list[Quantity]:
        """The objectives, and the constraints that were told of."""
        told = {name for trial in trials if is_measured(trial) for name in trial.constraints}
        return [*range(len(study.directions)), *sorted(told - set(self.known.limits))]

    def _at_work(self, study: Study, quantities: Sequence[Quantity]) -> Proposer:
        if self._quantities != quantities:  # a constraint that was never told of before
            self._quantities = list(quantities)
            objectives = sum(isinstance(one, int) for one in quantities)
            shapes = [self._shape(one) for one in quantities]
            signs = signs_of(study)
            limits: dict[int, float] = {}
            for objective, value in self.known.limits.values():
                limits[objective] = max(limits.get(objective, -math.inf), float(signs[objective] * value))
            self._proposer = Proposer(self._levels, shapes, objectives=objectives, limits=limits)
        assert self._proposer is not None
        return self._proposer

    def _shape(self, quantity: Quantity) -> Shape:
        only, size = self.known.depends_on.get(quantity), self.known.sizes.get(quantity)
        without = () if size is None else size.axes
        chosen = [j for j, name in enumerate(self._names) if (only is None or name in only) and name not in without]
        axes, levels = [self._axis(self._names[j]) for j in chosen], self._levels[:, chosen]
        if size is not None:
            distinct, rank = np.unique(size.of, return_inverse=True)
            axes, levels = [*axes, Axis(len(distinct), ordinal=True)], np.column_stack([levels, rank.ravel()])
        shared = self.known.shared.get(quantity, ())
        told = {tuple(name for name in self._names if name in stage) for stage in shared}
        alike = [self._alike(group) for group in sorted({*told, *self._pairs(chosen)} - {()})]
        groups = np.stack(alike, axis=1) if alike else None
        return Shape(axes, levels, groups, self.known.foretold.get(quantity), counted=quantity in self.known.counted)

    def _pairs(self, chosen: Sequence[int]) -> list[tuple[str, ...]]:
        """Axes without an order, two by two: how two words go together does not follow from either."""
        words = [self._names[j] for j in chosen if not self._axis(self._names[j]).ordinal]
        pairs: list[tuple[str, ...]] = list(itertools.combinations(words, 2))
        return pairs if len(pairs) <= PAIRS else []

    def _alike(self, axes: Collection[str]) -> Ints:
        """``[candidates]``, equal where these axes are."""
        same = [j for j, name in enumerate(self._names) if name in axes]
        return np.unique(self._levels[:, same], axis=0, return_inverse=True)[1].ravel()

    def _axis(self, name: str) -> Axis:
        ordinal = not isinstance(self.known.distributions[name], CategoricalDistribution)
        return Axis(len(self._values[name]), ordinal)

    def _seen(self, study: Study, trials: Sequence[FrozenTrial], quantities: Sequence[Quantity]) -> tuple[Seen, Ints]:
        signs = signs_of(study)
        rows: dict[str, list[int]] = {"done": [], "refused": [], "pending": [], "taken": []}
        values: list[NDArray[np.float64]] = []
        off: list[NDArray[np.float64]] = []
        for trial in sorted(trials, key=when_done):
            row = self._row_of(trial)
            if row is None and trial.state == TrialState.RUNNING:  # another thread has yet to write down its parameters
                row = self._given.get(trial.number)
            if row is None:
                continue
            rows["taken"].append(row)
            if is_measured(trial):
                rows["done"].append(row)
                values.append(outcomes_of(trial, signs, quantities))
                off.append(off_of(trial, quantities))
            elif trial.state == TrialState.COMPLETE:
                rows["refused"].append(row)
            elif trial.state in (TrialState.RUNNING, TrialState.WAITING):
                rows["pending"].append(row)
        found = {name: np.array(numbers, dtype=np.intp) for name, numbers in rows.items()}
        table, rough = (np.array(told).reshape(-1, len(quantities)) for told in (values, off))
        return Seen(found["done"], table, found["refused"], found["pending"], rough), found["taken"]

    def _row_of(self, trial: FrozenTrial) -> int | None:
        if not all(trial.params.get(name, self) in self._places[name] for name in self._names):
            return None
        return self._row.get(tuple(self._places[name][trial.params[name]] for name in self._names))

    def _every(self, names: Sequence[str]) -> list[Params]:
        size = math.prod(len(values) for values in self._values.values())
        if size > MOST:
            raise ValueError(f"a space of {size} candidates; at most {MOST} are looked at one by one")
        return [dict(zip(names, values, strict=True)) for values in itertools.product(*self._values.values())]


@contextmanager
def _alone() -> Iterator[None]:
    """On one core: the others may be a board that is measuring, and sums do not depend on how many there are.

    And in one thread: what is kept between proposals is for one at a time.
    """
    with _ONE, _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> ThreadpoolController:
    """Those that numpy and scipy compute with; to find them takes longer than many an ask."""
    return ThreadpoolController()


def values_of(name: str, distribution: BaseDistribution) -> Sequence[Any]:
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
