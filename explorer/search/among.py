"""How alike some candidates are to each other, and how that changes with the scales: what scales are learned by.

    levels, one-hot [n, l] ──► Z · tables · Zᵀ ──► matrix [n, n] ──► likelihood ──► pull [n, n]
                                                      gradient ◄── ⟨tables' changes, Zᵀ · pull · Z⟩

All that the scales of an axis change are small tables of its levels, and a pull at the matrix is summed up by pairs of
levels once for all of them: a gradient costs two products of matrices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from explorer.search.kernel import Kernel, Scales, decline, log_matern, matern

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


class Among:
    """The kernel among some candidates ``[n]``, for any scales."""

    def __init__(self, kernel: Kernel, rows: Ints) -> None:
        self.kernel = kernel
        self.levels = kernel.shape.levels[rows]
        sizes = [axis.levels for axis in kernel.shape.axes]
        begins = np.cumsum([0, *sizes])
        self.places = [slice(int(begin), int(begin) + size) for begin, size in zip(begins, sizes, strict=False)]
        self.one_hot = np.zeros((len(rows), int(begins[-1])))
        np.put_along_axis(self.one_hot, self.levels + begins[:-1], 1.0, axis=1)
        self.fixed = np.array(list(_fixed(kernel, rows))).reshape(-1, len(rows), len(rows))

    def at(self, logs: Floats) -> Likeness:
        """For these logarithms of scales."""
        scales = self.kernel.scales(logs)
        distances = self.kernel.distances(scales.power)
        return Likeness(self, scales, [d / ell for d, ell in zip(distances, scales.length, strict=True)])

    def spread(self, tables: Sequence[Floats]) -> Floats:
        """Σ over axes of what their tables say ``[n, n]``."""
        both = np.zeros((self.one_hot.shape[1],) * 2)
        for place, table in zip(self.places, tables, strict=True):
            both[place, place] = table
        return np.asarray(self.one_hot @ both @ self.one_hot.T)

    def gathered(self, matrix: Floats) -> list[Floats]:
        """The sums of a matrix ``[n, n]`` over each pair of levels, axis by axis."""
        sums = self.one_hot.T @ matrix @ self.one_hot
        return [sums[place, place] for place in self.places]


@dataclass(frozen=True)
class Likeness:
    """Among some candidates, for fixed scales.

    Attributes:
        among: whom.
        scales: weights and lengths.
        apart: distances of each axis' levels in units of its length.
    """

    among: Among
    scales: Scales
    apart: Sequence[Floats]

    @cached_property
    def matrix(self) -> Floats:
        """``[n, n]``."""
        return self.among.spread(self._own) + self._product + np.tensordot(self._weights, self.among.fixed, 1)

    def gradient(self, pull: Floats) -> Floats:
        """Σ of a symmetric pull ``[n, n]`` times the matrix' change with each logarithm ``[scales]``."""
        pulled = pull * self._product
        own = [k * at for k, at in zip(self._own, self.among.gathered(pull), strict=True)]
        both = [alone + at for alone, at in zip(own, self.among.gathered(pulled), strict=True)]
        of_axes = [*map(np.sum, own), *(np.sum(change * both[j]) for j, change in self._changes)]
        of_fixed = self._weights * np.tensordot(self.among.fixed, pull, 2)
        return np.array([*of_axes, pulled.sum(), *of_fixed])

    @property
    def changes(self) -> Floats:
        """Of the matrix with each logarithm ``[scales, n, n]``: a weight's is its own term."""
        own = [self._looked_up(j, table) for j, table in enumerate(self._own)]
        of_axes = [self._looked_up(j, change) * (own[j] + self._product) for j, change in self._changes]
        return np.array([*own, *of_axes, self._product, *(self._weights[:, None, None] * self.among.fixed)])

    @cached_property
    def _own(self) -> list[Floats]:
        """What each axis adds by itself, by its levels."""
        return [w * matern(apart) for w, apart in zip(self.scales.main, self.apart, strict=True)]

    @cached_property
    def _product(self) -> Floats:
        return self.scales.together * np.exp(self.among.spread([log_matern(apart) for apart in self.apart]))

    @property
    def _weights(self) -> Floats:
        return np.concatenate([self.scales.shared, self.scales.foretold])

    @cached_property
    def _changes(self) -> list[tuple[int, Floats]]:
        """Of an axis' factor, as a share of it, with the logarithms of all lengths and then of all powers."""
        kernel = self.among.kernel
        lengths = [(j, -apart * decline(apart)) for j, apart in enumerate(self.apart)]
        widening = kernel.widening(self.scales.power)
        powers = [(j, widening[j] / self.scales.length[j] * decline(self.apart[j])) for j in kernel.warped]
        return lengths + powers

    def _looked_up(self, axis: int, table: Floats) -> Floats:
        levels = self.among.levels[:, axis]
        return table[levels[:, None], levels]


def _fixed(kernel: Kernel, rows: Ints) -> Iterator[Floats]:
    """What each shared stage and each source says, whatever its weight ``[n, n]``."""
    if kernel.shape.groups is not None:
        yield from ((of[:, None] == of).astype(np.float64) for of in kernel.shape.groups[rows].T)
    if kernel.shape.foretold is not None:
        yield from (np.outer(said, said) for said in kernel.shape.foretold[rows].T)
