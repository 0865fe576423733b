"""What is believed of one quantity over a finite space: an exact Gaussian process on the levels of its axes.

    k(x, x') = Σ over axes of w · k(x, x')        each axis has an effect of its own,
             + w · Π over axes of k(x, x')        and they interact,
             + w · [same group]                   and candidates that share a stage share its luck,
             + noise

On an ordinal axis k is a Matérn kernel (5/2) of the levels' distance, on a categorical one the same for any two names.
Levels are few, so each axis is a small table, and a kernel matrix is looked up in it. Weights, length scales and noise
are those of the largest posterior under wide log-normal priors (Rasmussen and Williams, "Gaussian Processes for Machine
Learning", 2006, chapter 5; additive kernels: Duvenaud, Nickisch, Rasmussen, NIPS 2011).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_JITTER = 1e-6  # of a variance of 1
# Of a quantity that was brought to mean 0 and variance 1: medians, and standard deviations of the logarithm.
_MAIN, _TOGETHER, _SHARED, _NOISE = (0.3, 1.0), (0.3, 1.0), (0.05, 1.0), (0.003, 1.5)
_LENGTH, _UNLIKE = (0.7, 0.7), (1.0, 0.7)  # of an ordinal axis from end to end; distance of two names
_STEPS = 40


@dataclass(frozen=True)
class Axis:
    """How many levels an axis has, and whether they have an order."""

    levels: int
    ordinal: bool

    def distances(self) -> Floats:
        """Between all levels ``[levels, levels]``; from end to end 1."""
        if not self.ordinal:
            return 1.0 - np.eye(self.levels)
        places = np.arange(self.levels) / max(1, self.levels - 1)
        return np.abs(places[:, None] - places)


@dataclass(frozen=True)
class Shape:
    """All there is to know of a space.

    Attributes:
        axes: those that the quantity may depend on.
        levels: ``[candidates, axes]``.
        groups: ``[candidates]``, equal for candidates that share a stage; None where nothing is shared.
    """

    axes: Sequence[Axis]
    levels: Ints
    groups: Ints | None = None


@dataclass(frozen=True)
class Belief:
    """Mean and standard deviation of every candidate ``[candidates]``, in the quantity's own unit, without noise."""

    mean: Floats
    sd: Floats


class Surrogate:
    """What is believed of one quantity; keeps nothing of what it was told."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._tables = [axis.distances() for axis in shape.axes]

    def scales(self, rows: Ints, values: Floats) -> Floats:
        """The most likely scales, for `believe`.

        Args:
            rows: of candidates that were seen ``[n]``; one may be seen more than once.
            values: what was seen ``[n]``.
        """
        return _Gram(self._shape, self._tables, rows).most_likely(_standard(values)[0], _first(self._shape))

    def believe(self, rows: Ints, values: Floats, scales: Floats) -> Belief:
        """What the values of some candidates say of all."""
        y, centre, spread = _standard(values)
        mean, variance = _Gram(self._shape, self._tables, rows).predicted(y, scales)
        return Belief(centre + spread * mean, spread * np.sqrt(variance))


def _standard(values: Floats) -> tuple[Floats, float, float]:
    """The values at mean 0 and variance 1, and the mean and the standard deviation that they had."""
    if not len(values):
        return values, 0.0, 1.0
    centre, spread = float(values.mean()), float(values.std()) or 1.0
    return (values - centre) / spread, centre, spread


def _first(shape: Shape) -> Floats:
    """The medians of the priors, as logarithms."""
    return np.array([m for m, _ in _priors(shape)])


def _priors(shape: Shape) -> list[tuple[float, float]]:
    """Mean and standard deviation of each logarithm: weights of the axes, lengths of the axes, then the common ones."""
    many = len(shape.axes)
    lengths = [_LENGTH if axis.ordinal else _UNLIKE for axis in shape.axes]
    told = [(_MAIN[0] / max(1, many), _MAIN[1])] * many + lengths + [_TOGETHER, _SHARED, _NOISE]
    return [(math.log(median), sd) for median, sd in told]


class _Gram:
    """Kernel matrices among what was seen, for any scales."""

    def __init__(self, shape: Shape, tables: Sequence[Floats], seen: Ints) -> None:
        self._shape, self._tables, self._seen = shape, tables, seen
        own = shape.levels[seen]
        self._pairs = [np.ravel_multi_index((own[:, None, j], own[None, :, j]), t.shape) for j, t in enumerate(tables)]
        group = None if shape.groups is None else shape.groups[seen]
        self._same = None if group is None else (group[:, None] == group).astype(np.float64)

    def most_likely(self, y: Floats, start: Floats) -> Floats:
        """Logarithms of the scales with the largest posterior, looked for from `start`."""
        priors = np.array(_priors(self._shape))
        bounds = [(mean - 4 * sd, mean + 4 * sd) for mean, sd in priors]
        how = {"jac": True, "method": "L-BFGS-B", "bounds": bounds, "options": {"maxiter": _STEPS}}
        found = minimize(self._regret, start, args=(y, priors), **how)
        return np.asarray(found.x)

    def _regret(self, hyper: Floats, y: Floats, priors: Floats) -> tuple[float, Floats]:
        """Minus the log posterior, and its gradient."""
        many = len(self._tables)
        weights, lengths = np.exp(hyper[:many]), np.exp(hyper[many : 2 * many])
        together, shared, noise = np.exp(hyper[2 * many :])
        tables = [_kernel(d, ell) for d, ell in zip(self._tables, lengths, strict=True)]
        slopes = [_slope(d, ell) for d, ell in zip(self._tables, lengths, strict=True)]
        each = [table.ravel()[pairs] for table, pairs in zip(tables, self._pairs, strict=True)]
        product = np.prod(each, axis=0) if each else np.ones((len(y), len(y)))
        gram = together * product + sum(w * k for w, k in zip(weights, each, strict=True))
        if self._same is not None:
            gram = gram + shared * self._same
        gram[np.diag_indices(len(y))] += noise + _JITTER
        try:
            factor = cho_factor(gram, lower=True)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(hyper)
        alpha = cho_solve(factor, y)
        pull = np.outer(alpha, alpha) - cho_solve(factor, np.eye(len(y)))
        gradient = np.zeros_like(hyper)
        crossed = pull * product * together
        for j, k in enumerate(each):
            gradient[j] = 0.5 * weights[j] * np.vdot(pull, k)
            spread = (weights[j] * pull + crossed / k).ravel()
            summed = np.bincount(self._pairs[j].ravel(), spread, minlength=slopes[j].size)
            gradient[many + j] = 0.5 * (summed @ slopes[j].ravel())
        gradient[2 * many] = 0.5 * np.sum(crossed)
        gradient[2 * many + 1] = 0.5 * shared * np.vdot(pull, self._same) if self._same is not None else 0.0
        gradient[2 * many + 2] = 0.5 * noise * np.trace(pull)
        likelihood = -0.5 * y @ alpha - np.log(np.diag(factor[0])).sum()
        z = (hyper - priors[:, 0]) / priors[:, 1]
        return float(-likelihood + 0.5 * z @ z), -gradient + z / priors[:, 1]

    def predicted(self, y: Floats, hyper: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of every candidate, noise left out."""
        many = len(self._tables)
        weights, lengths = np.exp(hyper[:many]), np.exp(hyper[many : 2 * many])
        together, shared, noise = np.exp(hyper[2 * many :])
        tables = [_kernel(d, ell) for d, ell in zip(self._tables, lengths, strict=True)]
        cross = self._cross(tables, weights, together, shared)
        gram = cross[self._seen].copy()
        gram[np.diag_indices(len(y))] += noise + _JITTER
        factor = cho_factor(gram, lower=True)
        mean = cross @ cho_solve(factor, y)
        half = solve_triangular(factor[0], cross.T, lower=True)
        prior = weights.sum() + together + (shared if self._same is not None else 0.0)
        return mean, np.maximum(prior - np.einsum("ij,ij->j", half, half), 1e-12)

    def _cross(self, tables: Sequence[Floats], weights: Floats, together: float, shared: float) -> Floats:
        """Between every candidate and what was seen."""
        levels, seen = self._shape.levels, self._seen
        product = np.full((len(levels), len(seen)), together)
        added = np.zeros((len(levels), len(seen)))
        for j, table in enumerate(tables):
            part = table[:, levels[seen, j]][levels[:, j]]
            product *= part
            added += weights[j] * part
        if self._shape.groups is not None:
            added += shared * (self._shape.groups[:, None] == self._shape.groups[seen])
        return product + added


def _kernel(distance: Floats, length: float) -> Floats:
    """Matérn 5/2."""
    r = math.sqrt(5) * distance / length
    return np.asarray((1 + r + r * r / 3) * np.exp(-r))


def _slope(distance: Floats, length: float) -> Floats:
    """Of `_kernel`, by the logarithm of the length."""
    r = math.sqrt(5) * distance / length
    return np.asarray(r * r * (1 + r) / 3 * np.exp(-r))
