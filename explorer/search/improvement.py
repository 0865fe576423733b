"""How much a candidate is expected to add to a front: exact expected hypervolume improvement.

    front ──► boxes: what no point of it dominates, above the reference, cut into disjoint cuboids
    mean, sd of every candidate ─┴─► sum over boxes of a product over objectives, in closed form

Everything is in gains: larger is better. The cut is the incremental one of Lacour, Klamroth and Fonseca ("A box
decomposition algorithm to compute the hypervolume indicator", Computers & Operations Research 79, 2017): 2n + 1 boxes
for n points in three objectives. The expectation over boxes is that of Yang, Emmerich, Deutz and Bäck ("Efficient
computation of expected hypervolume improvement using box decomposition algorithms", J. Global Optimization 75, 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from explorer.pareto import front

Floats = NDArray[np.float64]
_AT_A_TIME = 128  # candidates: what is worked out for them stays in a processor's cache


@dataclass(frozen=True)
class Boxes:
    """Disjoint cuboids from `lower` to `upper`, each ``[k, m]``; `upper` may be infinite, none is empty."""

    lower: Floats
    upper: Floats


def undominated(gains: ArrayLike, reference: ArrayLike) -> Boxes:
    """What lies above `reference` and is dominated by none of the points.

    Args:
        gains: ``[n, m]``, infinities are allowed; points that do not exceed the reference everywhere count for nothing.
        reference: ``[m]``, finite.

    Raises:
        ValueError: shapes do not fit, or a gain is NaN, or the reference is not finite.
    """
    corner = np.asarray(reference, dtype=np.float64)
    if corner.ndim != 1 or not np.isfinite(corner).all():
        raise ValueError(f"the reference must be one finite number for each objective, not {reference!r}")
    bounds, owners = -corner[None], _nobody(-corner)
    for cost in -_best_above(gains, corner):
        bounds, owners = _cut(bounds, owners, cost)
    highest = np.full_like(bounds, -math.inf)
    for j in range(1, corner.size):
        highest[:, j] = owners[:, :j, j].max(axis=1)
    solid = (highest < bounds).all(axis=1)  # points level with each other leave boxes with no inside
    return Boxes(-bounds[solid], -highest[solid])


def expected_improvement(mean: ArrayLike, sd: ArrayLike, boxes: Boxes) -> Floats:
    """Expected growth of the dominated volume by one more point, for n candidates of independent normal gains.

    Args:
        mean: ``[n, m]``, finite.
        sd: ``[n, m]``, finite; 0 where a gain is known.
        boxes: from `undominated`.

    Returns:
        ``[n]``, in the product of the objectives' units; never below 0.

    Raises:
        ValueError: shapes do not fit, or a number is not finite, or an sd is below 0.
    """
    means, sds = _candidates(mean, sd, objectives=boxes.lower.shape[1])
    sides = [_Sides.of(lower, upper) for lower, upper in zip(boxes.lower.T, boxes.upper.T, strict=True)]
    found = np.empty(len(means))
    for begin in range(0, len(means), _AT_A_TIME):
        rows = slice(begin, begin + _AT_A_TIME)
        volume = np.ones((len(boxes.lower), len(means[rows])))
        for side, centre, spread in zip(sides, means[rows].T, sds[rows].T, strict=True):
            volume *= side.expected(centre, spread)
        found[rows] = volume.sum(axis=0)
    return found


@dataclass(frozen=True)
class _Sides:
    """The sides of k boxes along one objective, where many share a side and more an edge: each is worked out once.

    Attributes:
        edges: distinct numbers, ascending ``[e, 1]``.
        lower: of each distinct side, where it begins, a row of `edges`.
        upper: of each distinct side, where it ends, a row of `edges`.
        of_box: for each box the row of its side ``[k]``.
    """

    edges: Floats
    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    of_box: NDArray[np.intp]

    @classmethod
    def of(cls, lower: Floats, upper: Floats) -> _Sides:
        sides, of_box = np.unique(np.stack([lower, upper]), axis=1, return_inverse=True)
        edges, rows = np.unique(sides, return_inverse=True)
        begin, end = rows.reshape(sides.shape)
        return cls(edges[:, None], begin, end, of_box.reshape(-1))

    def expected(self, mean: Floats, sd: Floats) -> Floats:
        """E[(min(y, upper) − lower)⁺] for each of k boxes and n normals, ``[k, n]``."""
        beyond = _expected_excess(mean, sd, self.edges)
        return np.asarray(np.maximum(beyond[self.lower] - beyond[self.upper], 0.0)[self.of_box])


def _expected_excess(mean: Floats, sd: Floats, edge: Floats) -> Floats:
    """E[(y − edge)⁺] of a normal y."""
    gap = mean - edge
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = gap / sd
        guessed = sd / math.sqrt(2 * math.pi) * np.exp(-0.5 * z * z) + gap * ndtr(z)
    found = np.maximum(np.where(sd > 0, guessed, gap), 0.0)
    return np.where(np.isinf(edge), 0.0, found)


def _best_above(gains: ArrayLike, corner: Floats) -> Floats:
    """The distinct points of the front that exceed `corner` in every objective."""
    points = np.asarray(gains, dtype=np.float64)
    best = points[front(points)] if points.size else np.empty((0, corner.size))
    if best.shape[1] != corner.size:
        raise ValueError(f"points of {best.shape[1]} objectives do not fit a reference of {corner.size}")
    return np.unique(best[(best > corner).all(axis=1)], axis=0)


def _candidates(mean: ArrayLike, sd: ArrayLike, *, objectives: int) -> tuple[Floats, Floats]:
    """What is believed of the candidates, checked."""
    means, sds = np.asarray(mean, dtype=np.float64), np.asarray(sd, dtype=np.float64)
    if means.shape != sds.shape or means.shape[1:] != (objectives,):
        seen = f"{list(means.shape)} and {list(sds.shape)}"
        raise ValueError(f"mean and sd must both be tables [candidates, {objectives}], not of shapes {seen}")
    broken = ~(np.isfinite(means) & np.isfinite(sds) & (sds >= 0)).all(axis=1)
    if broken.any():
        i = int(np.argmax(broken))
        seen = f"mean {means[i].tolist()}, sd {sds[i].tolist()}"
        raise ValueError(f"candidate {i} needs finite means, and finite sds of 0 or more; it has {seen}")
    return means, sds


def _nobody(corner: Floats) -> Floats:
    """Who bounds the first cuboid, all there is below `corner`: for each objective a point that only bounds that."""
    owners = np.full((1, corner.size, corner.size), -math.inf)
    owners[0, range(corner.size), range(corner.size)] = corner
    return owners


def _cut(bounds: Floats, owners: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """The upper corners of what costs no more than they do and is not dominated, with one more point.

    Args:
        bounds: ``[k, m]`` corners so far.
        owners: ``[k, m, m]``: the point that bounds each corner in each objective.
        cost: ``[m]`` of the new point.
    """
    meets = (cost < bounds).all(axis=1)
    old, whose = bounds[meets], owners[meets]
    kept, kept_by = [bounds[~meets]], [owners[~meets]]
    objectives = np.arange(cost.size)
    for j in objectives:
        others = whose[:, objectives != j, j].max(axis=1) if cost.size > 1 else np.full(len(old), -math.inf)
        fits = cost[j] >= others
        corner, by = old[fits].copy(), whose[fits].copy()
        corner[:, j], by[:, j] = cost[j], cost
        kept.append(corner)
        kept_by.append(by)
    return np.concatenate(kept), np.concatenate(kept_by)
