"""A wrapper that makes any Optuna sampler propose each candidate of a finite space once, and only allowed ones.

On discrete spaces samplers come back to points they have seen: 493 asks of TPE gave 200 distinct points. Here an ask
is a distinct candidate: the inner sampler is asked again, a few times, and then the untried candidate nearest to its
last wish is taken. No trial is thrown away and none is left running.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from explorer.space import Axis, Candidate, Space

# How often the inner sampler may answer with a candidate that is taken before its nearest neighbour is.
ATTEMPTS = 6


def distribution_of(axis: Axis) -> BaseDistribution:
    """Ordinal axes are searched by level, so that 1, 2, 4, 8 … are equally far apart; categorical ones by name."""
    if axis.kind == "ordinal":
        return IntDistribution(0, len(axis.values) - 1)
    return CategoricalDistribution(axis.values)


class Grid:
    """The candidates of a space as rows of level numbers, and which of them are taken."""

    def __init__(self, space: Space, *, without: Collection[tuple[object, ...]] = ()) -> None:
        """
        Args:
            space: whose candidates.
            without: keys of candidates that are none of this grid's.
        """
        self.axes, self._fixed = {axis.name: axis for axis in space.axes}, space.fixed
        self.listed = space.listed is not None
        self.candidates = [candidate for candidate in space.candidates if candidate.key not in without]
        levels = [self._levels_of(candidate.params) for candidate in self.candidates]
        self._levels = np.array(levels, dtype=np.intp).reshape(len(levels), len(self.axes))
        self._free = np.ones(len(self.candidates), dtype=bool)
        self._number()
        self._scale = np.array([_level_distance(axis) for axis in space.axes])
        self._categorical = np.array([axis.kind == "categorical" for axis in space.axes], dtype=bool)

    @property
    def free_count(self) -> int:
        return int(self._free.sum())

    def drop(self, rules: Iterable[Mapping[str, Any]]) -> list[Candidate]:
        """Leave out each untried candidate that has all the values of a rule, on free axes and fixed ones."""
        covered = np.zeros(len(self.candidates), dtype=bool)
        for rule in rules:
            covered |= self._covered(rule)
        gone = covered & self._free
        dropped = [self.candidates[row] for row in np.flatnonzero(gone)]
        if dropped:
            self.candidates = [self.candidates[row] for row in np.flatnonzero(~gone)]
            self._levels, self._free = self._levels[~gone], self._free[~gone]
            self._number()
        return dropped

    def _covered(self, rule: Mapping[str, Any]) -> NDArray[np.bool_]:
        nothing = object()
        if any(self._fixed.get(name, nothing) != value for name, value in rule.items() if name not in self.axes):
            return np.zeros(len(self.candidates), dtype=bool)
        covered = np.ones(len(self.candidates), dtype=bool)
        for place, (name, axis) in enumerate(self.axes.items()):
            if name in rule:
                covered &= self._levels[:, place] == _level(axis, rule[name])
        return covered

    def _number(self) -> None:
        self._row = {tuple(levels): row for row, levels in enumerate(self._levels.tolist())}

    def take(self, params: Mapping[str, Any]) -> None:
        """Mark a candidate as tried; one that the space no longer holds is none of ours."""
        row = self._row.get(tuple(self._levels_of(params)))
        if row is not None:
            self._free[row] = False

    def untried(self, params: Mapping[str, Any]) -> Candidate | None:
        """The candidate of these parameters, if the space holds it and it is not taken."""
        row = self._row.get(tuple(self._levels_of(params))) if set(params) == set(self.axes) else None
        return self.candidates[row] if row is not None and self._free[row] else None

    def is_free(self, asked: Mapping[str, Any]) -> bool:
        """Whether the sampler's answer is a candidate of the space that nobody has tried."""
        row = self._row.get(tuple(self._levels_asked(asked)))
        return row is not None and bool(self._free[row])

    def nearest_free(self, asked: Mapping[str, Any], rng: np.random.Generator) -> Candidate:
        """The untried candidate that differs least from the sampler's answer; ties are broken by lot."""
        steps = np.abs(self._levels - np.array(self._levels_asked(asked)))
        steps = np.where(self._categorical, steps > 0, steps * self._scale).sum(axis=1)
        rows = np.flatnonzero(self._free)
        distance = steps[rows]
        return self.candidates[int(rng.choice(rows[distance <= distance.min() + 1e-9]))]

    def candidate(self, asked: Mapping[str, Any]) -> Candidate:
        return self.candidates[self._row[tuple(self._levels_asked(asked))]]

    def asked(self, candidate: Candidate) -> dict[str, Any]:
        """The candidate as the sampler would have answered it."""
        levels = zip(self.axes.values(), self._levels_of(candidate.params), strict=True)
        return {axis.name: level if axis.kind == "ordinal" else axis.values[level] for axis, level in levels}

    def _levels_of(self, params: Mapping[str, Any]) -> list[int]:
        return [_level(axis, params.get(name)) for name, axis in self.axes.items()]

    def _levels_asked(self, asked: Mapping[str, Any]) -> list[int]:
        return [
            int(asked[name]) if axis.kind == "ordinal" else _level(axis, asked[name])
            for name, axis in self.axes.items()
        ]


def _level(axis: Axis, value: Any) -> int:
    return axis.values.index(value) if value in axis.values else -1


def _level_distance(axis: Axis) -> float:
    return 1.0 / max(1, len(axis.values) - 1)


class Distinct(BaseSampler):
    """Proposes untried candidates of `grid`, in the spirit of `inner`."""

    def __init__(self, inner: BaseSampler, grid: Grid, *, seed: int) -> None:
        self._inner = inner
        self._grid = grid
        self._rng = np.random.default_rng(seed)
        self._space: dict[str, BaseDistribution] = {n: distribution_of(a) for n, a in grid.axes.items()}

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        return self._space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        relative = self._inner.infer_relative_search_space(study, trial)
        for _ in range(ATTEMPTS):
            asked = self._propose(study, trial, relative)
            if self._grid.is_free(asked):
                return asked
        return self._grid.asked(self._grid.nearest_free(asked, self._rng))

    def _propose(self, study: Study, trial: FrozenTrial, relative: dict[str, BaseDistribution]) -> dict[str, Any]:
        asked = self._inner.sample_relative(study, trial, relative)
        for name, distribution in self._space.items():
            if name not in asked:
                asked[name] = self._inner.sample_independent(study, trial, name, distribution)
        return asked

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._inner.after_trial(study, trial, state, values)
