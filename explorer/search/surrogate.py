"""What is believed of one quantity over a finite space: an exact Gaussian process on the levels of its axes.

Scales and noise are those of the largest posterior under wide log-normal priors (Rasmussen and Williams, "Gaussian
Processes for Machine Learning", 2006, chapter 5). How wrong they may be is not forgotten: a second look averages over
scales drawn around them, as far apart as the expected information about them has it (Laplace's approximation with
Fisher's information, ibid. section 5.4.1; Kass and Raftery, J. Am. Stat. Assoc. 90, 1995).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from explorer.search.among import Among, Likeness
from explorer.search.kernel import Kernel, Shape
from explorer.search.posterior import JITTER, Posterior, inverse_of_root

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_NOISE = (0.01, 1.5)  # median, and standard deviation of the logarithm
_COUNTED = (1e-4, 0.5)  # the same, of what is counted: benchmarks/README.md tells what that saved
_STEPS = 40
_ENOUGH = 128  # results, spread over the study, that scales are learned from
_ALIKE = 1e-6  # values that differ by less than such a share are one value
_LEAST, _MOST = -20.0, 20.0  # logarithms of scales


@dataclass(frozen=True)
class Results:
    """What was seen of a quantity.

    Attributes:
        rows: of candidates ``[n]``; one may be seen more than once.
        values: ``[n]``.
        off: variance of each beside the noise that all have ``[n]``.
    """

    rows: Ints
    values: Floats
    off: Floats

    @classmethod
    def alike(cls, rows: Ints, values: Floats) -> Results:
        """Those that have no more than the noise that all have."""
        return cls(rows, values, np.zeros(len(rows)))

    def and_expected(self, rows: Ints, values: Floats) -> Results:
        """With what is expected of others, as if it had been seen."""
        off = np.pad(self.off, (0, len(rows)))
        return Results(np.concatenate([self.rows, rows]), np.concatenate([self.values, values]), off)


@dataclass(frozen=True)
class Belief:
    """Mean and standard deviation of every candidate ``[candidates]``, in the quantity's own unit, without noise."""

    mean: Floats
    sd: Floats


@dataclass(frozen=True)
class Learned:
    """Logarithms of the scales, the noise last.

    Attributes:
        best: the most likely ones ``[scales]``.
        doubt: a square root of their covariance ``[scales, scales]``.
        first: rows of what they were learned from ``[n]``.
        spread: its standard deviation, in the quantity's own unit, of which the scales are shares.
    """

    best: Floats
    doubt: Floats
    first: Ints
    spread: float = 1.0

    def drawn(self, many: int) -> Floats:
        """Scales that are as likely as not ``[many, scales]``, in pairs opposite to each other; always the same."""
        steps = np.random.default_rng(0).standard_normal((many // 2, len(self.best))) @ self.doubt.T
        drawn = np.concatenate([self.best + steps, self.best - steps])
        return np.asarray(np.clip(drawn, _LEAST, _MOST))


NOTHING = Learned(np.empty(0), np.empty((0, 0)), np.empty(0, np.intp))


class Surrogate:
    """What is believed of one quantity; what it keeps saves time and changes nothing."""

    def __init__(self, shape: Shape) -> None:
        self._kernel = Kernel(shape)
        self._kept: tuple[Learned, Posterior] | None = None
        distinct = np.concatenate([*_columns(shape)], axis=1)
        _, self._first, self._alike = np.unique(distinct, axis=0, return_index=True, return_inverse=True)
        self._alike = self._alike.ravel()

    def learn(self, seen: Results) -> Learned:
        """The most likely scales."""
        some = np.linspace(0, len(seen.rows) - 1, min(len(seen.rows), _ENOUGH)).round().astype(np.intp)
        y, _, spread = _standard(seen.values)
        fit = _Fit(self._kernel, seen.rows[some], y[some], seen.off[some] / spread**2)
        best = fit.most_likely()
        return Learned(best, fit.doubt(best), seen.rows, spread)

    def believe(self, seen: Results, learned: Learned) -> Belief:
        """What the values of some candidates say of all; they begin with those that the scales were learned from."""
        y, centre, spread = _standard(seen.values)
        rows, off = self._first[self._alike[seen.rows]], seen.off / learned.spread**2
        mean, variance = self._posterior(learned, rows, off).believe(rows, y, off)
        return Belief(centre + spread * mean[self._alike], spread * np.sqrt(variance)[self._alike])

    def believe_of(self, some: Ints, seen: Results, learned: Learned, many: int) -> tuple[Belief, Floats]:
        """What they say of some candidates, averaged over so many drawn scales; and what is believed of their own true
        values ``[n]``.
        """
        y, centre, spread = _standard(seen.values)
        rows, off = self._first[self._alike[seen.rows]], seen.off / learned.spread**2
        looks = [self._look(some, rows, y, off, scales) for scales in learned.drawn(many)]
        means, variances, own = (np.array(part) for part in zip(*looks, strict=True))
        sd = np.sqrt(variances.mean(axis=0) + means.var(axis=0))
        return Belief(centre + spread * means.mean(axis=0), spread * sd), centre + spread * own.mean(axis=0)

    def _look(self, some: Ints, rows: Ints, y: Floats, off: Floats, scales: Floats) -> tuple[Floats, Floats, Floats]:
        everyone, place = np.unique(self._first[self._alike[some]], return_inverse=True)
        posterior = Posterior(self._kernel, scales, everyone, rows, off)
        mean, variance = posterior.believe(rows, y, off)
        return mean[place], variance[place], posterior.smoothed(y)

    def _posterior(self, learned: Learned, rows: Ints, off: Floats) -> Posterior:
        if self._kept is None or self._kept[0] is not learned:
            first = slice(len(learned.first))
            self._kept = learned, Posterior(self._kernel, learned.best, self._first, rows[first], off[first])
        return self._kept[1]


class _Fit:
    """The posterior of the scales, for values of mean 0 and variance 1, and what else each may be off by."""

    def __init__(self, kernel: Kernel, rows: Ints, y: Floats, off: Floats) -> None:
        self._among, self._y, self._eye = Among(kernel, rows), y, np.eye(len(y))
        self._off = np.diag(off + JITTER)
        median, sd = _COUNTED if kernel.shape.counted else _NOISE
        self._priors = np.concatenate([kernel.priors, [(math.log(median), sd)]])

    def most_likely(self) -> Floats:
        """Logarithms of the scales with the largest posterior."""
        mean, sd = self._priors.T
        bounds = list(zip(mean - 4 * sd, mean + 4 * sd, strict=True))
        options = {"maxiter": _STEPS}
        return np.asarray(minimize(self._regret, mean, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)

    def doubt(self, best: Floats) -> Floats:
        """A square root of the inverse of the expected information about the scales, the priors' included."""
        alike, noise = self._among.at(best[:-1]), math.exp(best[-1])
        changes = np.concatenate([alike.changes, noise * self._eye[None]])
        across = self._across(alike, noise)
        flat = (across @ changes @ across.T).reshape(len(best), -1)
        information = 0.5 * flat @ flat.T + np.diag(self._priors[:, 1] ** -2.0)
        return np.asarray(np.linalg.cholesky(np.linalg.inv(information)))

    def _regret(self, scales: Floats) -> tuple[float, Floats]:
        """Minus the log posterior, and its gradient."""
        alike, noise = self._among.at(scales[:-1]), math.exp(scales[-1])
        try:
            across = self._across(alike, noise)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(scales)
        half = across @ self._y
        alpha = half @ across
        pull = np.outer(alpha, alpha) - across.T @ across
        gradient = 0.5 * np.append(alike.gradient(pull), noise * np.trace(pull))
        likelihood = -0.5 * half @ half + np.log(np.diag(across)).sum()
        z = (scales - self._priors[:, 0]) / self._priors[:, 1]
        return float(-likelihood + 0.5 * z @ z), -gradient + z / self._priors[:, 1]

    def _across(self, alike: Likeness, noise: float) -> Floats:
        """The inverse of a root of the matrix of what was seen, noise included.

        Raises:
            LinAlgError: it has none.
        """
        gram = alike.matrix + noise * self._eye + self._off
        return inverse_of_root(np.asarray(np.linalg.cholesky(gram), dtype=np.float64))


def _columns(shape: Shape) -> list[Floats]:
    """All that candidates may differ in, as far as the quantity is concerned."""
    columns = [shape.levels.astype(np.float64).reshape(-1, len(shape.axes))]
    if shape.groups is not None:
        columns.append(shape.groups.astype(np.float64))
    return columns if shape.foretold is None else [*columns, shape.foretold]


def _standard(values: Floats) -> tuple[Floats, float, float]:
    """The values at mean 0 and variance 1, and the mean and the standard deviation that they had."""
    if not len(values):
        return values, 0.0, 1.0
    centre, spread = float(values.mean()), float(values.std())
    spread = max(spread, _ALIKE * max(1.0, abs(centre)))
    return (values - centre) / spread, centre, spread
