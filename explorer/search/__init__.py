"""Samplers by name. Optuna itself loads only when one is made."""

from __future__ import annotations

from explorer.errors import BadInput, Problem
from explorer.registry import Registry, nearest

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

LARGE = 30_000  # candidates: beyond, looking at each of them takes too long


def at_work(sampler: str, candidates: int) -> str:
    """The sampler that is taken for so many candidates: "auto" leaves the choice to their number."""
    return "tpe" if sampler == "auto" and candidates > LARGE else sampler


def is_front(sampler: str, candidates: int) -> bool:
    """Whether our own sampler is taken, which alone uses what a model foretells and tells what it expects."""
    return at_work(sampler, candidates) in ("auto", "front")


def check_sampler(name: str) -> None:
    """Raise unless it is the name of a sampler, or may be ``module:callable``.

    Raises:
        BadInput: it is neither.
    """
    if name not in SAMPLERS and ":" not in name:
        known = list(SAMPLERS)
        hint = nearest(name, known)
        raise BadInput(Problem("unknown sampler", seen=repr(name), allowed=", ".join(known), hint=hint))
