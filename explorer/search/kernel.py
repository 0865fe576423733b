"""How alike two candidates of a finite space are taken to be: a kernel on the levels of its axes.

    k(x, x') = Σ over axes of w · k(x, x')        each axis has an effect of its own,
             + w · Π over axes of k(x, x')        and they interact,
             + w · [same group]                   candidates that share a stage share its luck; two words that
                                                  go together, what comes of that,
             + w · f(x) · f(x')                   and what something else foretells may be right, up to a factor

On an ordinal axis k is a Matérn kernel (5/2) of the levels' distance, on a categorical one the same for any two names.
Levels need not be evenly apart: their places are warped by a power (Snoek, Swersky, Zemel, Adams, "Input Warping for
Bayesian Optimization of Non-Stationary Functions", ICML 2014). Levels are few, so each axis is a small table, and a
kernel matrix is looked up in it. Additive kernels: Duvenaud, Nickisch, Rasmussen, NIPS 2011.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray

Floats = NDArray[np.float64]
Reals = NDArray[np.floating]
Ints = NDArray[np.intp]

# Of a quantity that was brought to mean 0 and variance 1: medians, and standard deviations of the logarithm.
_MAIN, _TOGETHER, _SHARED, _FORETOLD = (0.3, 1.0), (0.3, 1.0), (0.05, 1.0), (0.3, 1.5)
_LENGTH, _UNLIKE = (1.2, 0.7), (1.0, 0.7)  # of an ordinal axis from end to end; distance of two names
_POWER = (1.0, 0.5)
_TINY = 1e-9


@dataclass(frozen=True)
class Axis:
    """How many levels an axis has, and whether they have an order."""

    levels: int
    ordinal: bool

    @property
    def warped(self) -> bool:
        """Whether it matters how far apart its levels are."""
        return self.ordinal and self.levels > 2


@dataclass(frozen=True)
class Shape:
    """All there is to know of a space.

    Attributes:
        axes: those that the quantity may depend on.
        levels: ``[candidates, axes]``.
        groups: ``[candidates, groupings]``, equal in a column for candidates that have something in common.
        foretold: ``[candidates, sources]``, what something else says of the quantity, each of mean 0 and variance 1.
        counted: whether it is hardly another when it is told again: counted, not measured.
    """

    axes: Sequence[Axis]
    levels: Ints
    groups: Ints | None = None
    foretold: Floats | None = None
    counted: bool = False


@dataclass(frozen=True)
class Scales:
    """Weights and lengths, as they stand in one vector of logarithms."""

    main: Floats
    length: Floats
    power: Floats
    together: float
    shared: Floats
    foretold: Floats


class Pairs:
    """All pairs of levels of an axis, axis after axis ``[pairs]``: what is said of them is worked out at once.

    Attributes:
        axis: whose levels each pair is of.
        sizes: how many levels each axis has.
    """

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.sizes = [axis.levels for axis in axes]
        self.axis = np.repeat(np.arange(len(axes)), np.square(self.sizes).astype(np.intp))
        places = [np.log(np.maximum(np.linspace(0, 1, many), _TINY)) for many in self.sizes]
        self._first = np.concatenate([np.empty(0), *(np.repeat(at, len(at)) for at in places)])
        self._second = np.concatenate([np.empty(0), *(np.tile(at, len(at)) for at in places)])
        self._ordinal = np.array([axis.ordinal for axis in axes], dtype=np.bool_)[self.axis]
        self._unlike = np.where(self._first == self._second, 0.0, 1.0)

    def apart(self, scales: Scales) -> Floats:
        """Distances, from end to end of an axis 1, in units of the axis' length."""
        power = scales.power[self.axis]
        distances = np.abs(np.exp(power * self._first) - np.exp(power * self._second))
        return np.asarray(np.where(self._ordinal, distances, self._unlike) / scales.length[self.axis])

    def widening(self, scales: Scales) -> Floats:
        """How these change with the logarithm of the axis' power, where its levels have an order."""
        first, second = scales.power[self.axis] * self._first, scales.power[self.axis] * self._second
        wider = np.sign(first - second) * (first * np.exp(first) - second * np.exp(second))
        return np.asarray(wider / scales.length[self.axis])

    def tables(self, told: Floats) -> list[Floats]:
        """What is told of the pairs, as a table ``[levels, levels]`` for each axis."""
        cuts = np.cumsum(np.square(self.sizes))[:-1].astype(np.intp)
        parts = np.split(told, cuts) if self.sizes else []
        return [part.reshape(many, many) for part, many in zip(parts, self.sizes, strict=True)]

    def summed(self, told: Floats) -> Floats:
        """Over the pairs of each axis ``[axes]``."""
        return np.asarray(np.bincount(self.axis, told, len(self.sizes)), dtype=np.float64)


@dataclass(frozen=True)
class _Half:
    """What half of the axes say of some candidates.

    Attributes:
        which: combination of levels that each candidate has ``[candidates]``.
        added: sum over the axes ``[combinations, others]``.
        product: over the axes ``[combinations, others]``.
    """

    which: Ints
    added: Reals
    product: Reals

    def rounded(self, precision: DTypeLike) -> _Half:
        return _Half(self.which, self.added.astype(precision), self.product.astype(precision))


@dataclass(frozen=True)
class Towards:
    """How alike candidates are to some others, for fixed scales."""

    shape: Shape
    scales: Scales
    others: Ints
    halves: Sequence[_Half]

    def rounded(self, precision: DTypeLike) -> Towards:
        """The same in another precision."""
        return replace(self, halves=[half.rounded(precision) for half in self.halves])

    def of(self, rows: Ints) -> Reals:
        """``[rows, others]``."""
        first, second = self.halves
        here, there = first.which[rows], second.which[rows]
        found, product = first.added[here], first.product[here]
        found += second.added[there]
        product *= second.product[there]
        product *= self.scales.together
        found += product
        if self.shape.groups is not None:
            for weight, groups in zip(self.scales.shared, self.shape.groups.T, strict=True):
                found += found.dtype.type(weight) * (groups[rows][:, None] == groups[self.others])
        if self.shape.foretold is not None:
            found += (self.shape.foretold[rows] * self.scales.foretold) @ self.shape.foretold[self.others].T
        return found


class Kernel:
    """Matrices of likeness among the candidates of a space, for any scales."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.pairs = Pairs(shape.axes)
        self.warped = [j for j, axis in enumerate(shape.axes) if axis.warped]
        self._groups = 0 if shape.groups is None else shape.groups.shape[1]
        self._sources = 0 if shape.foretold is None else shape.foretold.shape[1]

    @cached_property
    def priors(self) -> Floats:
        """Mean and standard deviation of the logarithm of each scale ``[scales, 2]``."""
        many = max(1, len(self.shape.axes))
        lengths = [_LENGTH if axis.ordinal else _UNLIKE for axis in self.shape.axes]
        told = [(_MAIN[0] / many, _MAIN[1])] * len(self.shape.axes) + lengths + [_POWER] * len(self.warped)
        told += [_TOGETHER] + [_SHARED] * self._groups + [_FORETOLD] * self._sources
        return np.array([(math.log(median), sd) for median, sd in told])

    def scales(self, logs: Floats) -> Scales:
        """What a vector of logarithms ``[scales]`` stands for."""
        many, warped = len(self.shape.axes), len(self.warped)
        values = np.exp(logs)
        power = np.ones(many)
        power[self.warped] = values[2 * many : 2 * many + warped]
        rest = values[2 * many + warped :]
        groups = 1 + self._groups
        return Scales(values[:many], values[many : 2 * many], power, float(rest[0]), rest[1:groups], rest[groups:])

    def prior_variance(self, logs: Floats, rows: Ints | slice) -> Floats:
        """Of the candidates, before anything is seen."""
        s = self.scales(logs)
        constant = s.main.sum() + s.together + s.shared.sum()
        if self.shape.foretold is None:
            return np.full(len(self.shape.levels[rows]), constant)
        return np.asarray(constant + (self.shape.foretold[rows] ** 2) @ s.foretold)

    def between(self, logs: Floats, rows: Ints, others: Ints) -> Floats:
        """``[rows, others]``."""
        return np.asarray(self.towards(logs, others).of(rows))

    def towards(self, logs: Floats, others: Ints) -> Towards:
        """How alike anybody is to these; axes are looked up half by half, for a space has few combinations of half of
        its axes.
        """
        s = self.scales(logs)
        tables = self.pairs.tables(matern(self.pairs.apart(s)))
        cut = len(self._halves[0][0].T)
        halves = [
            _Half(which, *self._part(half, tables[axes], s.main[axes], others))
            for half, ((_, which), axes) in enumerate(zip(self._halves, (slice(cut), slice(cut, None)), strict=True))
        ]
        return Towards(self.shape, s, others, halves)

    @cached_property
    def _halves(self) -> list[tuple[Ints, Ints]]:
        """For half of the axes and for the others: their combinations ``[k, axes]``, and each candidate's."""
        levels = self.shape.levels
        cut = (levels.shape[1] + 1) // 2
        both = (np.unique(part, axis=0, return_inverse=True) for part in (levels[:, :cut], levels[:, cut:]))
        return [(distinct, which.ravel()) for distinct, which in both]

    def _part(self, half: int, tables: Sequence[Floats], weights: Floats, others: Ints) -> tuple[Floats, Floats]:
        """Sum and product over half of the axes, both ``[combinations, others]``."""
        distinct, which = self._halves[half]
        added = np.zeros((len(distinct), len(others)))
        product = np.ones((len(distinct), len(others)))
        for j, (table, weight) in enumerate(zip(tables, weights, strict=True)):
            one = table[distinct[:, j][:, None], distinct[which[others], j]]
            added += weight * one
            product *= one
        return added, product


def matern(distance: Floats) -> Floats:
    """5/2, of distances in units of the length."""
    r = math.sqrt(5) * distance
    return np.asarray((1 + r + r * r / 3) * np.exp(-r))


def log_matern(distance: Floats) -> Floats:
    """Its logarithm, which is finite however small it is."""
    r = math.sqrt(5) * distance
    return np.asarray(np.log1p(r + r * r / 3) - r)


def decline(distance: Floats) -> Floats:
    """Of `log_matern`, by the distance."""
    r = math.sqrt(5) * distance
    return np.asarray(-math.sqrt(5) / 3 * r * (1 + r) / (1 + r + r * r / 3))
