"""Samplers by name. Optuna itself loads only when one is made."""

from __future__ import annotations

from explorer.registry import Registry

SAMPLERS = Registry(
    "samplers",
    {
        "auto": ("explorer.search.sampler:FrontSampler", "front; tpe for spaces of more than 30,000 candidates"),
        "front": (
            "explorer.search.sampler:FrontSampler",
            "Gaussian processes over the whole space and exact expected hypervolume improvement (our own)",
        ),
        "tpe": ("explorer.search.samplers:tpe", "tree-structured Parzen estimator, multivariate and grouped (Optuna)"),
        "nsga2": ("explorer.search.samplers:nsga2", "non-dominated sorting genetic algorithm II (Optuna)"),
        "gp": ("explorer.search.samplers:gp", "Gaussian processes with log expected hypervolume improvement (Optuna)"),
        "random": ("explorer.search.samplers:random", "uniform among the candidates not yet tried"),
    },
)
