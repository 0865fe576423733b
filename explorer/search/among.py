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
        sizes = kernel.pairs.sizes
        begins = np.cumsum([0, *sizes])[:-1]
        self._one_hot = np.zeros((len(rows), sum(sizes)))
        np.put_along_axis(self._one_hot, self.levels + begins, 1.0, axis=1)
        first, second = (np.concatenate([np.empty(0, np.intp), *some]) for some in _levels(sizes, begins))
        self._pairs = first, second
        fixed = list(_fixed(kernel, rows))
        self.fixed = np.array(fixed).reshape(len(fixed), len(rows), len(rows))

    def at(self, logs: Floats) -> Likeness:
        """For these logarithms of scales."""
        scales = self.kernel.scales(logs)
        return Likeness(self, scales, self.kernel.pairs.apart(scales))

    def spread(self, told: Floats) -> Floats:
        """Σ over axes of what is told of the levels of two candidates ``[n, n]``."""
        tables = np.zeros((self._one_hot.shape[1],) * 2)
        tables[self._pairs] = told
        return np.asarray(self._one_hot @ tables @ self._one_hot.T)

    def gathered(self, matrix: Floats) -> Floats:
        """The sums of a matrix ``[n, n]`` over each pair of levels ``[pairs]``."""
        return np.asarray((self._one_hot.T @ matrix @ self._one_hot)[self._pairs])


@dataclass(frozen=True)
class Likeness:
    """Among some candidates, for fixed scales.

    Attributes:
        among: whom.
        scales: weights and lengths.
        apart: distances of levels in units of their axis' length ``[pairs]``.
    """

    among: Among
    scales: Scales
    apart: Floats

    @cached_property
    def matrix(self) -> Floats:
        """``[n, n]``."""
        found = self.among.spread(self._own) + self._product
        return found + np.tensordot(self._weights, self.among.fixed, 1) if len(self._weights) else found

    def gradient(self, pull: Floats) -> Floats:
        """Σ of a symmetric pull ``[n, n]`` times the matrix' change with each logarithm ``[scales]``."""
        summed, pulled = self.among.kernel.pairs.summed, pull * self._product
        own = self._own * self.among.gathered(pull)
        both = own + self.among.gathered(pulled)
        longer, steeper = (summed(change * both) for change in self._changes)
        of_fixed = self._weights * np.tensordot(self.among.fixed, pull, 2) if len(self._weights) else self._weights
        return np.concatenate([summed(own), longer, steeper[self.among.kernel.warped], [pulled.sum()], of_fixed])

    @property
    def changes(self) -> Floats:
        """Of the matrix with each logarithm ``[scales, n, n]``: a weight's is its own term."""
        own, longer, steeper = (self._looked_up(told) for told in (self._own, *self._changes))
        around = [one + self._product for one in own]
        of_lengths = [change * factor for change, factor in zip(longer, around, strict=True)]
        of_powers = [steeper[j] * around[j] for j in self.among.kernel.warped]
        of_fixed = self._weights[:, None, None] * self.among.fixed
        return np.array([*own, *of_lengths, *of_powers, self._product, *of_fixed])

    @cached_property
    def _own(self) -> Floats:
        """What each axis adds by itself ``[pairs]``."""
        return self.scales.main[self.among.kernel.pairs.axis] * matern(self.apart)

    @cached_property
    def _product(self) -> Floats:
        return self.scales.together * np.exp(self.among.spread(log_matern(self.apart)))

    @cached_property
    def _weights(self) -> Floats:
        return np.concatenate([self.scales.shared, self.scales.foretold])

    @cached_property
    def _changes(self) -> tuple[Floats, Floats]:
        """Of an axis' factor, as a share of it ``[pairs]``: with the logarithm of its length, and of its power."""
        falling = decline(self.apart)
        return -self.apart * falling, self.among.kernel.pairs.widening(self.scales) * falling

    def _looked_up(self, told: Floats) -> list[Floats]:
        """What is told of the pairs, of the candidates' levels: for each axis ``[n, n]``."""
        tables = self.among.kernel.pairs.tables(told)
        return [table[levels[:, None], levels] for table, levels in zip(tables, self.among.levels.T, strict=True)]


def _levels(sizes: Sequence[int], begins: Ints) -> tuple[list[Ints], list[Ints]]:
    """Of each axis the first and the second of all pairs of levels, counted over all axes."""
    all_ = [np.arange(begin, begin + many) for begin, many in zip(begins, sizes, strict=True)]
    return [np.repeat(some, len(some)) for some in all_], [np.tile(some, len(some)) for some in all_]


def _fixed(kernel: Kernel, rows: Ints) -> Iterator[Floats]:
    """What each shared stage and each source says, whatever its weight ``[n, n]``."""
    if kernel.shape.groups is not None:
        yield from ((of[:, None] == of).astype(np.float64) for of in kernel.shape.groups[rows].T)
    if kernel.shape.foretold is not None:
        yield from (np.outer(said, said) for said in kernel.shape.foretold[rows].T)
