"""The chance that a candidate is possible, by what became of others that share a value with it, or two.

What makes a deployment impossible is mostly one value, or two that do not go together: fp32 on a DLA, 3-D convolutions
there. A value, or a pair, with which everything has failed so far is suspect, the more so the more has; one success
clears it. What no such rule explains (memory that runs out, little by little) is left to a surrogate of "it worked".
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
        found = np.minimum(found, np.where(good > 0, 1.0, 1 / (bad + 1))[values])
    return found
