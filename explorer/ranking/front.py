"""Who is on the front in how many draws: shares of joint draws ``[objective, draw, trial]`` of gains.

Most trials of a study are beaten in every draw by one and the same trial. They are left out first; among the others,
every pair is compared in every draw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

STEP = 16  # trials to ask between looking who is left


def contenders(lowest: Floats, highest: Floats, likely: Ints, *, same: Ints | None = None) -> Mask:
    """Which trials may be on the front: those that nobody beats even with its worst against their best.

    Args:
        lowest: of each objective's gain, by trial ``[m, n]``.
        highest: likewise ``[m, n]``.
        likely: places of the trials that may well beat others, such as the front by the best values.
        same: numbers ``[m, n]``; where two trials have the same number in an objective, they are equal in all draws.

    Returns:
        A mask ``[n]``.
    """
    beaten = np.zeros(lowest.shape[1], np.bool_)
    for place in likely:
        surely = lowest[:, place, None] >= highest
        apart = lowest[:, place, None] > highest
        if same is not None:
            surely |= same == same[:, place, None]
        beaten |= surely.all(axis=0) & apart.any(axis=0)
    return ~beaten


def dominations(gains: Floats, beaten: Ints) -> Mask:
    """By whom the trials at `beaten` are dominated in which draw: ``[dominator, draw, beaten]``.

    Args:
        gains: ``[m, draw, n]``.
        beaten: places of trials ``[k]``.
    """
    count = gains.shape[2]
    found = np.empty((count, gains.shape[1], len(beaten)), np.bool_)
    theirs = gains[:, :, beaten]
    for place in range(count):
        found[place] = _beats(gains[:, :, place, None], theirs)
    return found


def shares(gains: Floats) -> Floats:
    """In which share of the draws each trial is on the front ``[n]``; ties are all on it.

    The strongest go first; whoever is beaten in every draw by then need not be asked whom it beats: its own betters
    beat those too.
    """
    beaten = np.zeros(gains.shape[1:], np.bool_)
    order = _strongest_first(gains)
    left, asked = gains[:, :, order], 0
    places = order.copy()
    while asked < left.shape[2]:
        for place in range(asked, asked := min(asked + STEP, left.shape[2])):
            beaten[:, places] |= _beats(left[:, :, place, None], left)
        alive: Mask = np.logical_not(beaten[:, places].all(axis=0))
        asked = int(alive[:asked].sum())
        left, places = left[:, :, alive], places[alive]
    return np.asarray(1.0 - beaten.mean(axis=0), np.float64)


def _strongest_first(gains: Floats) -> Ints:
    """By the rank of the mean gains, added up over the objectives."""
    ranks = gains.mean(axis=1).argsort(axis=1).argsort(axis=1)
    return np.asarray(np.argsort(-ranks.sum(axis=0), kind="stable"), np.int64)


def _beats(one: Floats, others: Floats) -> Mask:
    """Whether gains ``[m, draw, 1]`` are nowhere worse and somewhere better than ``[m, draw, k]``."""
    nowhere_worse = one[0] >= others[0]
    better = one[0] > others[0]
    for mine, theirs in zip(one[1:], others[1:], strict=True):
        nowhere_worse &= mine >= theirs
        better |= mine > theirs
    return np.asarray(nowhere_worse & better)
