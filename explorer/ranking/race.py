"""Whom to measure next: the comparisons on which most hangs, a handful of candidates at a time."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

import numpy as np
from numpy.typing import NDArray

from explorer.ranking.standing import Standing

MOST = 6


def next_race(
    standing: Standing,
    *,
    most: int = MOST,
    groups: Mapping[int, Hashable] | None = None,
    without: Collection[int] = (),
) -> tuple[int, ...]:
    """The trials to be measured in interleaved blocks next, the most undecided pair first; empty when all is decided.

    Args:
        standing: where the trials stand.
        most: how many can be measured beside each other.
        groups: of each trial, with which it can be measured together (its power mode, say); without, all can.
        without: trials that cannot be measured again.
    """
    duels = standing.duels
    if duels is None or not standing.undecided:
        return ()
    read = np.array([standing.readings[number] for number in duels.numbers.tolist()])
    doubt = duels.doubt / np.maximum(read[:, None], read)  # the tenth reading changes less than the first
    barred = [number in without for number in duels.numbers.tolist()]
    doubt[barred], doubt[:, barred] = 0.0, 0.0
    if groups is not None:
        of = [groups.get(number) for number in duels.numbers.tolist()]
        doubt *= np.array([[mine == yours for yours in of] for mine in of])
    return tuple(int(duels.numbers[place]) for place in _lineup(doubt, most))


def _lineup(doubt: NDArray[np.float64], most: int) -> list[int]:
    """The pair with the most doubt, then whoever has most with those that are in already."""
    if not doubt.any():
        return []
    chosen = [int(place) for place in np.unravel_index(int(doubt.argmax()), doubt.shape)]
    while len(chosen) < most:
        more = doubt[:, chosen].sum(axis=1)
        more[chosen] = 0.0
        if not more.any():
            break
        chosen.append(int(more.argmax()))
    return chosen
