"""Who beats whom: domination, fronts and hypervolume, as pure functions on numbers.

Everything here works on *gains*: arrays ``[n, m]`` of n points in m objectives in which larger is better
(`explorer.result.Objective.gain` turns a metric so). A point dominates another when it is nowhere worse and somewhere
better; equal points do not dominate each other, so ties are all on the front. NaN has no place in an order: refused.

    objectives   front                               hypervolume
    1            maximum                             length
    2            sort + running maximum              sort + running maximum
    3            sort + staircase, O(n log n)        sort + staircase, O(n log n)
    more         best first, strike out, O(n·front)  exclusive volumes, one objective fewer at each level
"""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike, NDArray

Gains = NDArray[np.float64]


def dominates(a: ArrayLike, b: ArrayLike) -> bool:
    """Whether point `a` is nowhere worse than `b` and somewhere better.

    Args:
        a: gains ``[m]``.
        b: gains ``[m]``.

    Raises:
        ValueError: the lengths differ, or a gain is NaN.
    """
    first, second = _gains(a, ndim=1)[0], _gains(b, ndim=1)[0]
    if first.shape != second.shape:
        raise ValueError(f"cannot compare a point of {first.size} objectives with one of {second.size}")
    return bool((first >= second).all() and (first > second).any())


def front(gains: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other point dominates; equal points are kept together.

    Args:
        gains: ``[n, m]``, larger is better; infinities are allowed.

    Returns:
        A mask ``[n]``.

    Raises:
        ValueError: not a table of numbers, or a gain is NaN.
    """
    points = _gains(gains)
    if not points.size:
        return np.zeros(len(points), dtype=np.bool_)
    order = _best_first(points)
    ranked = points[order]
    fresh = np.ones(len(points), dtype=np.bool_)
    fresh[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    kept = _front_of_distinct(ranked[fresh])
    mask = np.empty(len(points), dtype=np.bool_)
    mask[order] = kept[np.cumsum(fresh) - 1]
    return mask


def hypervolume(gains: ArrayLike, reference: ArrayLike) -> float:
    """The volume that the points dominate above `reference`, exact up to rounding.

    Points that do not exceed the reference in every objective add nothing; a point at infinity makes it infinite.
    Beyond three objectives the volume is a sum of exclusive volumes (While, Bradstreet, Barone: "A fast way of
    calculating exact hypervolumes", IEEE TEVC 2012), taken in the order of the last objective, so that each term has
    one objective fewer.

    Args:
        gains: ``[n, m]``, larger is better.
        reference: ``[m]``, the corner the volume is measured from.

    Raises:
        ValueError: shapes do not fit, or a number is NaN, or the reference is not finite.
    """
    points, corner = _gains(gains), _gains(reference, ndim=1)[0]
    if not np.isfinite(corner).all():
        raise ValueError("the reference of a hypervolume must be finite")
    if not len(points):
        return 0.0
    if points.shape[1] != corner.size:
        raise ValueError(f"points of {points.shape[1]} objectives do not fit a reference of {corner.size}")
    above = points[(points > corner).all(axis=1)] - corner
    if np.isinf(above).any():
        return math.inf
    return _volume(above[front(above)])


def _gains(values: ArrayLike, *, ndim: int = 2) -> Gains:
    """The numbers as a checked table; a single point (`ndim` 1) becomes a table of one row."""
    try:
        points = np.asarray(values, dtype=np.float64) + 0.0  # + 0.0 turns -0.0 into 0.0
    except (TypeError, ValueError) as error:
        raise ValueError("gains must be a table of numbers, one row a point") from error
    if ndim == 1 and points.ndim == 1:
        points = points[None]
    if points.size == 0 and points.ndim < 2:
        return points.reshape(0, 0)
    if points.ndim != 2:
        raise ValueError(f"gains must be a table [points, objectives], not of shape {list(points.shape)}")
    broken = np.isnan(points).any(axis=1)
    if broken.any():
        raise ValueError(f"point {int(np.argmax(broken))} has a gain that is not a number (NaN); leave it out first")
    return points


def _best_first(points: Gains) -> NDArray[np.intp]:
    """Lexicographic order, largest first: whoever dominates a point stands before it."""
    return np.lexsort(-points.T[::-1])


def _front_of_distinct(ranked: Gains) -> NDArray[np.bool_]:
    """Front of distinct points that stand in `_best_first` order."""
    objectives = ranked.shape[1]
    if objectives == 1:
        return np.asarray(np.arange(len(ranked)) == 0)
    if objectives == 2:
        kept = np.ones(len(ranked), dtype=np.bool_)
        kept[1:] = ranked[1:, 1] > np.maximum.accumulate(ranked[:-1, 1])
        return kept
    if objectives == 3:
        stairs = _Staircase()
        return np.fromiter(
            (stairs.add(x, y) is not None for _, x, y in ranked.tolist()), dtype=np.bool_, count=len(ranked)
        )
    return _strike_out(ranked)


def _strike_out(points: Gains) -> NDArray[np.bool_]:
    """Front of distinct points in any number of objectives: keep the strongest that is left, strike out what it beats.

    Strength is the sum of dense ranks: whoever dominates a point is stronger, so the strongest left is never dominated.
    """
    ranks = [np.unique(column, return_inverse=True)[1] for column in points.T]
    left = np.argsort(-np.sum(ranks, axis=0), kind="stable")
    kept = np.zeros(len(points), dtype=np.bool_)
    while left.size:
        best, rest = left[0], left[1:]
        kept[best] = True
        left = rest[(points[rest] > points[best]).any(axis=1)]
    return kept


class _Staircase:
    """The maxima of points in a plane: x rises, y falls."""

    def __init__(self) -> None:
        self._x: list[float] = []
        self._y: list[float] = []

    def add(self, x: float, y: float) -> float | None:
        """The area above the origin that only the new point dominates; None when one as good is there already."""
        xs, ys = self._x, self._y
        right = bisect_left(xs, x)
        height = ys[right] if right < len(xs) else 0.0
        if right < len(xs) and height >= y:
            return None
        stop = right + (right < len(xs) and xs[right] == x)
        start, edge, added = right, x, 0.0
        while start and ys[start - 1] <= y:
            start -= 1
            added += (edge - xs[start]) * (y - height)
            edge, height = xs[start], ys[start]
        added += (edge - (xs[start - 1] if start else 0.0)) * (y - height)
        xs[start:stop], ys[start:stop] = [x], [y]
        return added


def _volume(points: Gains) -> float:
    """Volume above the origin that positive points dominate."""
    objectives = points.shape[1]
    if objectives == 1 or not len(points):
        return float(points.max(initial=0.0))
    if objectives == 2:
        return _area(points)
    return _volume_by_slices(points) if objectives == 3 else _volume_by_exclusion(points)


def _area(points: Gains) -> float:
    ranked = points[np.argsort(points[:, 0])]
    heights = np.maximum.accumulate(ranked[::-1, 1])[::-1]
    return float(np.diff(ranked[:, 0], prepend=0.0) @ heights)


def _volume_by_slices(points: Gains) -> float:
    """Three objectives: each point adds the area only it dominates, as deep as its first objective reaches."""
    stairs = _Staircase()
    return math.fsum(z * (stairs.add(x, y) or 0.0) for z, x, y in points[_best_first(points)].tolist())


def _volume_by_exclusion(points: Gains) -> float:
    ranked = points[np.argsort(points[:, -1])]
    return math.fsum(depth * _exclusive(ranked[i:, :-1]) for i, depth in enumerate(ranked[:, -1].tolist()))


def _exclusive(points: Gains) -> float:
    """Volume that the first point dominates and the others do not."""
    shadows = np.minimum(points[1:], points[0])
    return float(points[0].prod()) - _volume(shadows[front(shadows)])


class Front:
    """A front that grows point by point.

    The points live in boxes of at most `BOX`; a newcomer is compared with the boxes' corners first and then only with
    the points of boxes that could hold one better or worse than it (after Jaszkiewicz and Lust, "ND-Tree", IEEE TEVC
    2018, with one level).
    """

    BOX = 128

    def __init__(self, objectives: int) -> None:
        self._boxes: list[Gains] = []
        self._lower = np.empty((0, objectives))
        self._upper = np.empty((0, objectives))

    def __len__(self) -> int:
        return sum(map(len, self._boxes))

    @property
    def points(self) -> Gains:
        """The points on the front, ``[k, m]``, in no particular order."""
        return np.concatenate([*self._boxes, np.empty((0, self._lower.shape[1]))])

    def add(self, point: ArrayLike) -> bool:
        """Take in a point unless one on the front dominates it; what it dominates leaves.

        Args:
            point: gains ``[m]``, finite.

        Returns:
            Whether the point is on the front.

        Raises:
            ValueError: the number of objectives differs, or a gain is not finite.
        """
        new = np.asarray(point, dtype=np.float64)
        if new.shape != self._lower.shape[1:] or not np.isfinite(new).all():
            raise ValueError(f"a point of this front has {self._lower.shape[1]} finite gains, not {point!r}")
        for i in np.flatnonzero((self._upper >= new).all(axis=1)):
            better = self._boxes[i][(self._boxes[i] >= new).all(axis=1)]
            if (better > new).any():
                return False
        for i in np.flatnonzero((self._lower <= new).all(axis=1))[::-1]:
            self._drop_worse(int(i), new)
        self._insert(new)
        return True

    def _drop_worse(self, i: int, new: Gains) -> None:
        box = self._boxes[i]
        stays = (box > new).any(axis=1) | (box == new).all(axis=1)
        if not stays.all():
            self._replace(i, [box[stays]] if stays.any() else [])

    def _insert(self, new: Gains) -> None:
        if not self._boxes:
            return self._replace(0, [new[None]])
        reach = self._upper.max(axis=0) - self._lower.min(axis=0)
        reach[reach == 0] = 1.0
        nearest = int((abs(self._lower + self._upper - 2 * new) / reach).sum(axis=1).argmin())
        box = np.concatenate([self._boxes[nearest], new[None]])
        if len(box) <= self.BOX:
            self._boxes[nearest] = box
            np.minimum(self._lower[nearest], new, out=self._lower[nearest])
            np.maximum(self._upper[nearest], new, out=self._upper[nearest])
            return None
        widest = int((np.ptp(box, axis=0) / reach).argmax())
        ranked = box[np.argsort(box[:, widest])]
        return self._replace(nearest, [ranked[: len(box) // 2], ranked[len(box) // 2 :]])

    def _replace(self, i: int, boxes: list[Gains]) -> None:
        self._boxes[i : i + 1] = boxes
        before, after = slice(None, i), slice(i + 1, None)
        self._lower = np.vstack([self._lower[before], *(box.min(axis=0) for box in boxes), self._lower[after]])
        self._upper = np.vstack([self._upper[before], *(box.max(axis=0) for box in boxes), self._upper[after]])
