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
_AT_ONCE = 1 << 21  # numbers in memory at a time


@dataclass(frozen=True)
class Boxes:
    """Disjoint cuboids from `lower` to `upper`, each ``[k, m]``; `upper` may be infinite."""

    lower: Floats
    upper: Floats


def undominated(gains: ArrayLike, reference: ArrayLike) -> Boxes:
    """What lies above `reference` and is dominated by none of the points.

    Args:
        gains: ``[n, m]``; points that do not exceed the reference everywhere count for nothing.
        reference: ``[m]``, finite.
    """
    corner = np.asarray(reference, dtype=np.float64)
    points = np.asarray(gains, dtype=np.float64).reshape(-1, corner.size)
    points = points[(points > corner).all(axis=1)]
    if len(points):
        points = np.unique(points[front(points)], axis=0)
    bounds, owners = -corner[None], _nobody(-corner)
    for cost in -points:
        bounds, owners = _cut(bounds, owners, cost)
    highest = np.full_like(bounds, -math.inf)
    for j in range(1, corner.size):
        highest[:, j] = owners[:, :j, j].max(axis=1)
    return Boxes(-bounds, -highest)


def expected_improvement(mean: ArrayLike, sd: ArrayLike, boxes: Boxes) -> Floats:
    """Expected growth of the dominated volume by one more point, for n candidates of independent normal gains.

    Args:
        mean: ``[n, m]``.
        sd: ``[n, m]``; 0 where a gain is known.
        boxes: from `undominated`.

    Returns:
        ``[n]``, in the product of the objectives' units.
    """
    means, sds = np.asarray(mean, dtype=np.float64), np.asarray(sd, dtype=np.float64)
    found = np.empty(len(means))
    step = max(1, _AT_ONCE // len(boxes.lower))
    for begin in range(0, len(means), step):
        rows = slice(begin, begin + step)
        volume = np.ones((len(means[rows]), len(boxes.lower)))
        for j in range(means.shape[1]):
            volume *= _expected_lengths(means[rows, j], sds[rows, j], boxes.lower[:, j], boxes.upper[:, j])
        found[rows] = volume.sum(axis=1)
    return found


def _expected_lengths(mean: Floats, sd: Floats, lower: Floats, upper: Floats) -> Floats:
    """E[(min(y, upper) − lower)⁺] for each of n normals and k intervals, ``[n, k]``; each edge is looked at once."""
    edges, places = np.unique(np.concatenate([lower, upper]), return_inverse=True)
    beyond = _expected_excess(mean[:, None], sd[:, None], edges)
    return np.asarray(beyond[:, places[: len(lower)]] - beyond[:, places[len(lower) :]])


def _expected_excess(mean: Floats, sd: Floats, edge: Floats) -> Floats:
    """E[(y − edge)⁺] of a normal y."""
    known = np.maximum(mean - edge, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (mean - edge) / sd
        density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        guessed = sd * density + (mean - edge) * ndtr(z)
    found = np.where(sd > 0, guessed, known)
    return np.where(np.isinf(edge), 0.0, np.maximum(found, 0.0))


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
