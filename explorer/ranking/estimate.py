"""One value a trial from all its readings: generalised least squares, with a common effect in every race.

    y = x + e                e: own interval and what runs differ by         the first reading
    m = x + c + u            c: the race's own level, unknown; u: the race's covariance and what entrants differ by

Trials that never raced keep their reading, and are independent of all others; only those that raced are solved for
together. The spread between runs is unknown too: the solution is taken at every point of its grid, weighted by the
restricted likelihood (Patterson & Thompson, Biometrika 58, 1971) and the prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from explorer.ranking import spread
from explorer.ranking.readings import Heat, Readings

Floats = NDArray[np.float64]
_LEAST = 1e-4  # a weight on the grid below which a point is left out


@dataclass(frozen=True)
class Point:
    """The solution at one point of the grid, for the ``k`` raced trials."""

    weight: float
    once: float  # variance
    mean: Floats  # [k]
    root: Floats  # [k, k]; root · rootᵀ is the covariance


@dataclass(frozen=True)
class Estimate:
    """What is known of one metric, in logarithms.

    Attributes:
        readings: what it was made from.
        points: the solution over the grid of spreads; weights sum to 1.
    """

    readings: Readings
    points: tuple[Point, ...]
    spread: spread.Spread

    @cached_property
    def mean(self) -> Floats:
        """``[n]``: the first reading of whoever never raced."""
        mean = self.readings.first.copy()
        if len(self.readings.raced):
            mean[self.readings.raced] = sum(point.weight * point.mean for point in self.points)
        return mean

    @cached_property
    def sd(self) -> Floats:
        """``[n]``, what runs differ by included."""
        own, weight = self.readings.within, self.readings.weight
        once = sum(point.weight * point.once for point in self.points)
        variance = np.asarray(own + weight * once)
        raced = self.readings.raced
        if len(raced):
            variance[raced] = sum(
                p.weight * ((p.root**2).sum(axis=1) + (p.mean - self.mean[raced]) ** 2) for p in self.points
            )
        return np.asarray(np.sqrt(variance), np.float64)

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """Joint draws ``[count, n]``."""
        readings, raced = self.readings, self.readings.raced
        drawn = rng.standard_normal((count, len(readings.first)))
        chosen = np.sort(rng.choice(len(self.points), count, p=[point.weight for point in self.points]))
        for place in np.unique(chosen):
            point, rows = self.points[place], np.flatnonzero(chosen == place)
            joint = point.mean + drawn[np.ix_(rows, raced)] @ point.root.T
            drawn[rows] = readings.first + drawn[rows] * np.sqrt(readings.within + readings.weight * point.once)
            drawn[np.ix_(rows, raced)] = joint
        return np.asarray(drawn[rng.permutation(count)])


def estimate(readings: Readings) -> Estimate:
    """Combine all readings of a metric."""
    once, again = spread.ONCE_GRID**2, spread.AGAIN_GRID**2
    if not readings.heats:
        shares = spread.weights(0.0)
        nobody = np.empty(0), np.empty((0, 0))
        points = [Point(float(share), float(o), *nobody) for share, o in zip(shares.sum(axis=1), once, strict=True)]
        return Estimate(readings, tuple(points), spread.summary(shares, races=0))
    races = [_race_normals(readings, float(variance)) for variance in again]
    solved = [[_solve(readings, float(o), normals) for normals in races] for o in once]
    shares = spread.weights(np.array([[likelihood for likelihood, _, _ in row] for row in solved]))
    kept = np.where(shares > _LEAST, shares, 0.0) / shares[shares > _LEAST].sum()
    points = [
        Point(float(share), float(o), mean, np.asarray(np.linalg.inv(factor).T))
        for o, row, line in zip(once, solved, kept, strict=True)
        for share, (_, mean, factor) in zip(line, row, strict=True)
        if share > 0
    ]
    return Estimate(readings, tuple(points), spread.summary(shares, races=len(readings.heats)))


@dataclass(frozen=True)
class _Normals:
    """All races as normal equations in the raced trials: ``precision · x = vector``; a constant, and a determinant."""

    precision: Floats
    vector: Floats
    constant: float
    log_det: float


def _race_normals(readings: Readings, again: float) -> _Normals:
    places = {int(trial): place for place, trial in enumerate(readings.raced)}
    precision, vector = np.zeros((len(places),) * 2), np.zeros(len(places))
    constant = log_det = 0.0
    for heat in readings.heats:
        own, determinant = _without_level(heat, again)
        at = np.array([places[int(trial)] for trial in heat.trials])
        np.add.at(precision, np.ix_(at, at), own)
        np.add.at(vector, at, own @ heat.mean)
        constant += float(heat.mean @ own @ heat.mean)
        log_det += determinant
    return _Normals(precision, vector, constant, log_det)


def _without_level(heat: Heat, again: float) -> tuple[Floats, float]:
    """A race's precision with its unknown level projected out, and the logarithm of the determinants it stands for."""
    covariance = heat.cov + again * np.eye(len(heat.trials))
    inverse = np.linalg.inv(covariance)
    ones = inverse.sum(axis=1)
    total = float(ones.sum())
    log_det = float(np.linalg.slogdet(covariance)[1]) + float(np.log(total))
    return np.asarray(inverse - np.outer(ones, ones) / total), log_det


def _solve(readings: Readings, once: float, races: _Normals) -> tuple[float, Floats, Floats]:
    """Restricted log-likelihood, mean, and the Cholesky factor of the precision of the raced trials."""
    raced = readings.raced
    own = readings.within[raced] + readings.weight[raced] * once
    first = readings.first[raced]
    precision, vector = races.precision + np.diag(1 / own), races.vector + first / own
    factor, mean = np.linalg.cholesky(precision), np.linalg.solve(precision, vector)
    misfit = races.constant + float((first**2 / own).sum()) - float(mean @ vector)
    log_det = races.log_det + float(np.log(own).sum()) + 2 * float(np.log(np.diag(factor)).sum())
    return -0.5 * (log_det + misfit), np.asarray(mean), np.asarray(factor)
