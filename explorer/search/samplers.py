"""Optuna's samplers, made ready for finite spaces of deployments."""

from __future__ import annotations

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler


def tpe(seed: int) -> BaseSampler:
    """Multivariate and grouped: it learns which values go together, also where axes depend on one another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=10)


def nsga2(seed: int) -> BaseSampler:
    return NSGAIISampler(seed=seed, population_size=16)


def gp(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return GPSampler(seed=seed)


def random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)
