"""What records of another study foretell of the candidates of this one: of the same network on another board, or of
another network on this board.

    earlier records ──► a surrogate over the axes in common ──► its mean at every candidate of this space, standardised

What is foretold is no result. It is one more thing that a quantity may depend on, with a weight that is learned: what
foretells nothing soon weighs nothing. Values that the earlier study never tried are foretold as far as others are
alike, and an axis that only one of the two has is averaged out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from explorer.result import Record
from explorer.search.kernel import Axis as Levels
from explorer.search.kernel import Shape
from explorer.search.surrogate import Results, Surrogate
from explorer.space import Axis, Params, Value

Floats = NDArray[np.float64]

ENOUGH = 8  # records, to foretell anything from
_FLAT = 1e-9


@dataclass(frozen=True)
class Told:
    """What an earlier study says of one quantity.

    Attributes:
        params: of its candidates ``[n]``.
        values: what was measured ``[n]``.
        shared: for each stage that candidates share, and its luck with it, the axes that tell one from another.
    """

    params: Sequence[Params]
    values: Sequence[float]
    shared: Sequence[Collection[str]] = field(default_factory=tuple)


def told_by(
    records: Iterable[Record], of: Callable[[Record], float | None], shared: Sequence[Collection[str]] = ()
) -> Told:
    """What records say of a quantity, whatever became of them, where they say anything."""
    both = [(one.params, value) for one in records if (value := of(one)) is not None and math.isfinite(value)]
    return Told([params for params, _ in both], [value for _, value in both], shared)


def in_common(axes: Iterable[Axis], params: Sequence[Params]) -> list[Axis]:
    """Those of the axes that all earlier candidates have too, with the values of both, in order where they are numbers.

    Words of which none was ever tried, such as another board's power modes, are nothing in common.
    """
    return [joint for axis in axes if (joint := _joint(axis, params)) is not None]


def foretold(axes: Iterable[Axis], candidates: Sequence[Params], told: Told) -> Floats | None:
    """What is expected of each candidate ``[candidates]``, at mean 0 and variance 1; None where nothing is.

    Args:
        axes: those that the quantity may depend on.
        candidates: of this space.
        told: by the earlier study.
    """
    shared = in_common(axes, told.params)
    values = np.asarray(told.values, dtype=np.float64)
    if len(values) < ENOUGH or not shared or np.ptp(values) == 0:
        return None
    surrogate = Surrogate(_shape(shared, [*candidates, *told.params], told.shared))
    rows = np.arange(len(candidates), len(candidates) + len(values))
    seen = Results.alike(rows, values)
    mean = surrogate.believe(seen, surrogate.learn(seen)).mean[: len(candidates)]
    spread = float(mean.std())
    return (mean - mean.mean()) / spread if spread > _FLAT * float(values.std()) else None


def _joint(axis: Axis, params: Sequence[Params]) -> Axis | None:
    if not params or not all(axis.name in one for one in params):
        return None
    tried = {one[axis.name] for one in params}
    if axis.kind == "ordinal" and all(map(_is_number, tried)):
        return Axis(axis.name, tuple(sorted({*axis.values, *tried})))
    if tried.isdisjoint(axis.values):
        return None
    return Axis(axis.name, (*axis.values, *sorted(tried.difference(axis.values), key=str)))


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shape(axes: Sequence[Axis], params: Sequence[Params], shared: Sequence[Collection[str]]) -> Shape:
    """Of these candidates, as far as the axes go; stages as they can be told apart by them."""
    places = [{value: place for place, value in enumerate(axis.values)} for axis in axes]
    levels = np.array([[at[one[axis.name]] for axis, at in zip(axes, places, strict=True)] for one in params])
    told = {tuple(j for j, axis in enumerate(axes) if axis.name in stage) for stage in shared}
    groups = [np.unique(levels[:, list(of)], axis=0, return_inverse=True)[1].ravel() for of in sorted(told - {()})]
    columns = [Levels(len(axis.values), axis.kind == "ordinal") for axis in axes]
    return Shape(columns, levels.astype(np.intp), np.stack(groups, axis=1) if groups else None)
