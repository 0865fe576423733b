"""What some results say of every candidate, kept while they grow: a row of a Cholesky factor for each.

    gram = L · Lᵀ         V = k(candidates, results) · L⁻ᵀ        mean = V · L⁻¹ y        variance = prior − Σ V²

A further result adds a row to L and a column to V and changes nothing else, so a proposal costs what is new (Rasmussen
and Williams, "Gaussian Processes for Machine Learning", 2006, algorithm 2.1 and section A.3). The first results are
taken at once and the others one by one, in their order: whoever comes back with the same ones finds the same numbers.

V is by far the largest table of a search. Where there is much of it, it is kept in single precision: some 1e-5 of a
variance of 1, which matters less than the scales' own doubt, for half the time and memory.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, get_lapack_funcs, solve_triangular

from explorer.search.kernel import Kernel, Towards

Floats = NDArray[np.float64]
Reals = NDArray[np.floating]
Ints = NDArray[np.intp]
R = TypeVar("R", bound=Reals)

JITTER = 1e-6  # of a variance of 1
_LARGE = 2_000_000  # numbers in V from which on they are in single precision
_AT_A_TIME = 1024  # candidates, and
_BLOCK = 128  # results: what is worked out for them stays in a processor's cache
_ROOM = 1.25  # for results to come, before all must be moved


class Posterior:
    """Of quantities of mean 0 and variance 1, for fixed scales."""

    def __init__(self, kernel: Kernel, scales: Floats, everyone: Ints, first: Ints, off: Floats) -> None:
        """
        Args:
            kernel: of the candidates.
            scales: logarithms, the noise last.
            everyone: rows of the candidates to look at; every further result is among them.
            first: rows of the first results, taken at once ``[n]``.
            off: variance of these results beside the noise that all have ``[n]``.
        """
        self._kernel, self._logs, self._everyone = kernel, scales[:-1], everyone
        self._noise = math.exp(scales[-1]) + JITTER
        self._place = {row: place for place, row in enumerate(everyone.tolist())}
        self._prior = kernel.prior_variance(self._logs, everyone)
        self._results, self._first = _paired(first, off), len(first)
        self._noises = self._noise + off
        room = int(_ROOM * len(first))
        self._root = np.zeros((room, room))
        alike = kernel.towards(self._logs, first)
        gram = alike.of(first) + np.diag(self._noises)
        self._root[: len(first), : len(first)] = np.linalg.cholesky(gram)
        precision = np.float32 if len(everyone) * len(first) > _LARGE else np.float64
        self._said = np.empty((len(everyone), room), precision)
        self._left = self._prior - self._say(alike.rounded(precision))

    def believe(self, rows: Ints, y: Floats, off: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of everyone, noise left out, by results ``[n]`` that begin with the first."""
        asked = _paired(rows, off)
        both = enumerate(zip(asked, self._results, strict=False))
        alike = next((i for i, (a, b) in both if a != b), len(self._results))
        self._results = self._results[: min(alike, len(asked))]
        for result in asked[len(self._results) :]:
            self._add(*result)
        known = len(asked)
        weights = solve_triangular(self._root[:known, :known], y, lower=True, check_finite=False)
        mean = self._said[:, :known] @ weights.astype(self._said.dtype)
        variance = self._left - _squares(self._said[:, self._first : known])
        return mean.astype(np.float64), np.maximum(variance, 1e-12)

    def smoothed(self, y: Floats) -> Floats:
        """What is believed to be the true values of the first results ``[n]``, by these."""
        root = self._root[: self._first, : self._first]
        return np.asarray(y - self._noises * cho_solve((root, True), y, check_finite=False))

    def _say(self, alike: Towards) -> Floats:
        """Fill in what the first results say of everyone; how much of the variance that takes away."""
        root = _Root(self._root[: self._first, : self._first].astype(self._said.dtype))
        taken = np.empty(len(self._everyone))
        for begin in range(0, len(self._everyone), _AT_A_TIME):
            some = slice(begin, begin + _AT_A_TIME)
            said = self._said[some, : self._first]
            said[:] = alike.of(self._everyone[some])
            root.divide(said)
            taken[some] = _squares(said)
        return taken

    def _add(self, row: int, off: float) -> None:
        known, place = len(self._results), self._place[row]
        self._make_room(known + 1)
        before = self._said[place, :known]
        noise = self._noise + off
        left = math.sqrt(max(self._prior[place] + noise - float(_squares(before)), noise))
        fresh = self._kernel.between(self._logs, self._everyone, np.array([row]))[:, 0]
        self._root[known, :known], self._root[known, known] = before, left
        self._said[:, known] = (fresh - self._said[:, :known] @ before) / left
        self._results.append((row, off))

    def _make_room(self, rows: int) -> None:
        have = len(self._root)
        if rows > have:
            more = max(32, have // 8)
            self._root = np.pad(self._root, (0, more))
            self._said = np.pad(self._said, ((0, 0), (0, more)))


class _Root:
    """A lower triangle, to divide by: products of matrices are several times as fast as solving row by row."""

    def __init__(self, root: Reals) -> None:
        self._root = root
        self._blocks = [slice(begin, begin + _BLOCK) for begin in range(0, len(root), _BLOCK)]
        self._inverse = [inverse_of_root(root[block, block]) for block in self._blocks]

    def divide(self, table: Reals) -> None:
        """``[m, n]`` · L⁻ᵀ, in its place."""
        for block, inverse in zip(self._blocks, self._inverse, strict=True):
            before = slice(0, block.start)
            table[:, block] -= table[:, before] @ self._root[block, before].T
            table[:, block] = table[:, block] @ inverse.T


def inverse_of_root(root: R) -> R:
    """Of a lower triangle with nothing above, in its own precision."""
    if not len(root):  # of which LAPACK complains
        return root
    found: R = get_lapack_funcs("trtri", (root,))(root, lower=True)[0]
    return found


def _paired(rows: Ints, off: Floats) -> list[tuple[int, float]]:
    return list(zip(rows.tolist(), off.tolist(), strict=True))


def _squares(rows: Reals) -> Reals:
    """The sum of the squares of each row."""
    return np.asarray(np.einsum("...j,...j->...", rows, rows))
