"""What some results say of every candidate, kept while they grow: a row of a Cholesky factor for each.

    gram = L · Lᵀ         V = L⁻¹ · k(results, candidates)        mean = Vᵀ · L⁻¹ y        variance = prior − Σ V²

A further result adds a row to both and changes no other, so a proposal costs what is new (Rasmussen and Williams,
"Gaussian Processes for Machine Learning", 2006, algorithm 2.1 and section A.3). The first results are taken at once
and the others one by one, in their order: whoever comes back with the same results finds the same numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from explorer.search.kernel import Kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

JITTER = 1e-6  # of a variance of 1


class Posterior:
    """Of quantities of mean 0 and variance 1, for fixed scales."""

    def __init__(self, kernel: Kernel, scales: Floats, everyone: Ints, first: Ints) -> None:
        """
        Args:
            kernel: of the candidates.
            scales: logarithms, the noise last.
            everyone: rows of the candidates to look at; every result is among them.
            first: rows of the first results, taken at once ``[n]``.
        """
        self._kernel, self._logs, self._everyone = kernel, scales[:-1], everyone
        self._noise = math.exp(scales[-1]) + JITTER
        self._place = {int(row): place for place, row in enumerate(everyone)}
        self._prior = kernel.prior_variance(self._logs, everyone)
        gram = kernel.between(self._logs, first, first) + self._noise * np.eye(len(first))
        self._root = np.linalg.cholesky(gram)
        cross = kernel.between(self._logs, everyone, first)
        self._said = np.ascontiguousarray(solve_triangular(self._root, cross.T, lower=True, check_finite=False))
        self._rows = first.tolist()

    def believe(self, rows: Ints, y: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of everyone, noise left out, by results ``[n]`` that begin with the first."""
        asked = rows.tolist()
        alike = next((i for i, (a, b) in enumerate(zip(asked, self._rows, strict=False)) if a != b), len(self._rows))
        self._rows = self._rows[: min(alike, len(asked))]
        for row in asked[len(self._rows) :]:
            self._add(row)
        known = len(asked)
        said = self._said[:known]
        weights = solve_triangular(self._root[:known, :known], y, lower=True, check_finite=False)
        return weights @ said, np.maximum(self._prior - np.einsum("ij,ij->j", said, said), 1e-12)

    def _add(self, row: int) -> None:
        known, place = len(self._rows), self._place[row]
        self._make_room(known + 1)
        before = self._said[:known, place]
        left = math.sqrt(max(self._prior[place] + self._noise - before @ before, self._noise))
        fresh = self._kernel.between(self._logs, self._everyone, np.array([row]))[:, 0]
        self._root[known, :known], self._root[known, known] = before, left
        self._said[known] = (fresh - before @ self._said[:known]) / left
        self._rows.append(row)

    def _make_room(self, rows: int) -> None:
        have = len(self._root)
        if rows > have:
            more = max(32, have // 8)
            self._root = np.pad(self._root, (0, more))
            self._said = np.concatenate([self._said, np.empty((more, self._said.shape[1]))])
