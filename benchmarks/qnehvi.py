"""A peer: BoTorch's noisy expected hypervolume improvement (qLogNEHVI), as its users set it up for a finite space.

    results ──► a GP for each objective, and for each constraint ──► improvement of every untried candidate ──► the best

A GP is BoTorch's own choice, `SingleTaskGP`: an RBF kernel with a scale for each axis, inferred noise, standardised
values.
Ordinal axes are numbers from 0 to 1, categorical ones one-hot. `MixedSingleTaskGP` foretold other candidates no better
(family A, seed 0, 20 and 60 results: mean error 0.54 and 0.20 of the spread; one-hot 0.59 and 0.22), and to fit it took
13 times as long.

It is told what ours is told through `Known`, but for what is known of deployments: the candidates, and limits on
objectives. Hypervolume is counted from such a limit, so that it needs no constraint of its own; else from a little
below the worst measured, as the contest counts from the worst there is. What was refused is an outcome constraint.

One candidate at a time: what is under way is left out, and no more is made of it.

Source: Daulton, Balandat and Bakshy, "Parallel Bayesian Optimization of Multiple Noisy Objectives with Expected
Hypervolume Improvement", 2021; Ament et al., "Unexpected Improvements to Expected Improvement", 2023.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from explorer.search.outcomes import Quantity, outcomes_of, signs_of
from explorer.search.sampler import Known, values_of
from explorer.space import Params

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit, by what BoTorch is built on
    import torch
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.optim import optimize_acqf_discrete
    from botorch.sampling import SobolQMCNormalSampler
    from botorch.utils.multi_objective import infer_reference_point, is_non_dominated
    from botorch.utils.sampling import manual_seed
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from torch import Tensor

STARTUP = 10  # results before a model is asked, as of GPSampler and TPE
SAMPLES, SAMPLES_OF_MORE = 128, 64  # of the posterior: two objectives, more (each sample's front is cut into boxes)
CHUNK = 128  # candidates at once: what they take of memory grows with the front
ANEW = 1.2  # times as many results: scales are sought from BoTorch's start, not from the last ones
KEPT = -1.0  # what a constraint comes to that is named only where it is violated


@dataclass(frozen=True)
class Results:
    """What has ended with something to learn.

    Attributes:
        X: features ``[results, features]``.
        Y: gains, then violations ``[results, objectives + constraints]``; NaN where nothing was measured.
        limits: gains below which a candidate is of no use ``[objectives]``; NaN: there is none.
    """

    X: Tensor
    Y: Tensor
    limits: Tensor

    @property
    def measured(self) -> Results:
        """Those of which all objectives are known."""
        known = self.gains.isfinite().all(dim=1)
        return replace(self, X=self.X[known], Y=self.Y[known])

    @property
    def gains(self) -> Tensor:
        """``[results, objectives]``."""
        return self.Y[:, : len(self.limits)]

    def of(self, outcome: int) -> tuple[Tensor, Tensor]:
        """Where it is known: features ``[known, features]`` and values ``[known, 1]``."""
        known = self.Y[:, outcome].isfinite()
        return self.X[known], self.Y[known, outcome : outcome + 1]


class NoisyHypervolume(BaseSampler):
    """The untried candidate of the largest noisy expected hypervolume improvement."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._independent = RandomSampler(seed)
        self._models = Models()

    def know(self, known: Known) -> None:
        """Take in the candidates, and which objectives have limits; what else is known is not for this one."""
        assert known.candidates is not None  # Search names them
        self._known, self._candidates = known, known.candidates
        self._X = torch.stack([features(known.distributions, candidate) for candidate in known.candidates])
        self._row = {tuple(candidate.values()): row for row, candidate in enumerate(known.candidates)}
        self._left_out: set[int] = set()

    def leave_out(self, candidates: Iterable[Params]) -> None:
        """Propose none of these any more."""
        self._left_out |= {self._row[tuple(candidate.values())] for candidate in candidates}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self._known.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        trials = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        free = self._free(trials)
        results = self._results(study, trials)
        with manual_seed(self._seed + len(trials)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fit that is tried again, and jitter: BoTorch sees to both
            if len(results.measured.X) < STARTUP:
                wish = self._quasi_random(len(trials))
                row = free[int(torch.cdist(self._X[free], wish[None], p=1).argmin())]
            else:
                row = free[self._best(results, self._X[free])]
        return dict(self._candidates[row])

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _free(self, trials: Sequence[FrozenTrial]) -> list[int]:
        taken = {self._row.get(self._key(trial)) for trial in trials} | self._left_out
        return [row for row in range(len(self._candidates)) if row not in taken]

    def _key(self, trial: FrozenTrial) -> tuple[Any, ...]:
        return tuple(trial.params.get(name) for name in self._known.distributions)

    def _quasi_random(self, number: int) -> Tensor:
        """Features of a point that fills the space evenly; there may be no such candidate ``[features]``."""
        axes = self._known.distributions
        drawn = torch.quasirandom.SobolEngine(len(axes), scramble=True, seed=self._seed).draw(number + 1)[-1].tolist()
        levels = [values_of(name, axis) for name, axis in axes.items()]
        wish = {name: one[int(u * len(one))] for name, one, u in zip(axes, levels, drawn, strict=True)}
        return features(axes, wish)

    def _results(self, study: Study, trials: Sequence[FrozenTrial]) -> Results:
        signs = signs_of(study)
        done = [t for t in trials if t.state == TrialState.COMPLETE and self._key(t) in self._row]
        constraints = sorted({name for trial in done for name in trial.constraints} - set(self._known.limits))
        quantities: list[Quantity] = [*range(len(signs)), *constraints]
        table = np.array([outcomes_of(trial, signs, quantities) for trial in done]).reshape(-1, len(quantities))
        gains, broken = table[:, : len(signs)], table[:, len(signs) :]
        broken[np.isnan(broken) & np.isfinite(gains).any(axis=1, keepdims=True)] = KEPT
        rows = [self._row[self._key(trial)] for trial in done]
        told = torch.tensor(table, dtype=torch.double)
        limits = torch.full((len(signs),), math.nan, dtype=torch.double)
        for place, value in self._known.limits.values():
            limits[place] = float(signs[place] * value)
        return Results(self._X[rows], told, limits)

    def _best(self, results: Results, choices: Tensor) -> int:
        """Which of the choices ``[choices, features]`` is expected to gain most."""
        outcomes, objectives = results.Y.shape[1], len(results.limits)
        samples = SAMPLES if objectives == 2 else SAMPLES_OF_MORE
        gain = qLogNoisyExpectedHypervolumeImprovement(
            model=self._models.fitted(results),
            ref_point=reference(results.measured.gains, results.limits),
            X_baseline=results.measured.X,
            sampler=SobolQMCNormalSampler(torch.Size([samples]), seed=self._seed + len(results.X)),
            objective=IdentityMCMultiOutputObjective(outcomes=list(range(objectives))),
            constraints=[partial(_outcome, place=place) for place in range(objectives, outcomes)] or None,
            prune_baseline=True,
        )
        best, _ = optimize_acqf_discrete(gain, q=1, choices=choices, max_batch_size=CHUNK)
        return int((choices == best).all(dim=1).nonzero()[0])


class Models:
    """A GP for each outcome. To be quick, scales are sought from where they were last, but now and then anew."""

    def __init__(self) -> None:
        self._scales: dict[int, Mapping[str, Tensor]] = {}
        self._begun: dict[int, int] = {}  # outcome → results when its scales were last sought anew

    def fitted(self, results: Results) -> ModelListGP:
        return ModelListGP(*(self._fitted(outcome, *results.of(outcome)) for outcome in range(results.Y.shape[1])))

    def _fitted(self, outcome: int, X: Tensor, y: Tensor) -> SingleTaskGP:
        model = SingleTaskGP(X, y)
        if len(X) < ANEW * self._begun.get(outcome, 0):
            model.load_state_dict(self._scales[outcome], strict=False)
        else:
            self._begun[outcome] = len(X)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        self._scales[outcome] = {name: value.detach().clone() for name, value in model.named_parameters()}
        return model


def reference(gains: Tensor, limits: Tensor) -> Tensor:
    """From where hypervolume is counted ``[objectives]``: a limit, else a tenth of the front's range below the worst.

    Args:
        gains: measured ``[results, objectives]``.
        limits: below which a gain is of no use ``[objectives]``; NaN: there is none.
    """
    useful = gains[~(gains < limits).any(dim=1)]
    gains = useful if len(useful) else gains
    worst = gains.min(dim=0).values
    inferred = infer_reference_point(gains[is_non_dominated(gains)], max_ref_point=worst, scale_max_ref_point=True)
    return torch.where(limits.isnan(), inferred, limits)


def features(axes: Mapping[str, BaseDistribution], candidate: Mapping[str, Any]) -> Tensor:
    """``[features]``, all from 0 to 1."""
    found: list[float] = []
    for name, axis in axes.items():
        values = values_of(name, axis)
        if isinstance(axis, CategoricalDistribution):
            found += [float(value == candidate[name]) for value in values]
        else:
            found.append(values.index(candidate[name]) / max(1, len(values) - 1))
    return torch.tensor(found, dtype=torch.double)


def _outcome(samples: Tensor, *, place: int) -> Tensor:
    """Of samples of all outcomes ``[…, q, outcomes]`` those of one."""
    return samples[..., place]
