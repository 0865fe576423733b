"""The chance that a candidate is possible, by what became of others that share a level with it, or two.

What makes a deployment impossible is mostly one value, or two that do not go together: fp32 on a DLA, a batch that some
precision has no room for. For each value, and for each pair, the share of those tried that worked, with one imagined
success; a candidate's chance is the smallest share among its own.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def chances(levels: Ints, worked: Ints, refused: Ints) -> Floats:
    """``[candidates]`` from 0 to 1.

    Args:
        levels: of all candidates ``[candidates, axes]``.
        worked: rows of those that turned out to be possible.
        refused: rows of those that did not.
    """
    found = np.ones(len(levels))
    if not len(refused):
        return found
    sizes = levels.max(axis=0) + 1
    axes = range(levels.shape[1])
    for both in [*((j,) for j in axes), *combinations(axes, 2)]:
        values = np.ravel_multi_index([levels[:, j] for j in both], [sizes[j] for j in both])
        cells = int(np.prod([sizes[j] for j in both]))
        good = np.bincount(values[worked], minlength=cells)
        bad = np.bincount(values[refused], minlength=cells)
        found = np.minimum(found, ((good + 1) / (good + bad + 1))[values])
    return found
