"""The little statistics the agent needs to know when to stop and what to doubt; everything that is reported is derived
on the host from raw samples.
"""

from __future__ import annotations

import math
import statistics
from typing import Sequence

# Two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom (any textbook); beyond the table the next
# smaller row's value is used, which errs to the wide side.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_T_FURTHER = ((20, 2.120), (30, 2.086), (60, 2.042), (120, 2.000))
MEMORY_MOST = 0.95  # a series that remembers more has too few values to say how much more
_Z95 = 1.959964


def t95(freedom: int) -> float:
    """The 97.5 % quantile of Student's t with `freedom` degrees of freedom."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    for below, value in _T_FURTHER:
        if freedom < below:
            return value
    return 1.980


def relative_half_width(values: Sequence[float]) -> float:
    """Half the 95 % interval of the mean of `values`, one after the other in time, over that mean; infinite for fewer
    than two.

    Values that resemble their neighbours count for less: for a memory r (AR(1)) the variance of the mean is larger by
    (1 + r) / (1 - r). Whoever adds values until this is small stops where the mean is within it in 95 % of cases for
    r = 0, 92 % for 0.5, 75 % for 0.8 (simulated; 95, 74 and 50 % without): few values cannot show a longer memory.
    """
    if len(values) < 2:
        return math.inf
    mean = statistics.fmean(values)
    if not mean:
        return math.inf
    r = memory(values)
    inflation = math.sqrt((1 + r) / (1 - r))
    return t95(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values)) * inflation / mean


def memory(values: Sequence[float]) -> float:
    """How much each value resembles the one before, from 0 to MEMORY_MOST: their correlation at the upper end of what
    it may well be. Of n values it comes out too small by (1 + 4 r) / n (Kendall 1954, Biometrika 41: 403), and off by
    its standard error √((1 - r²) / n); both are added.
    """
    mean, count = statistics.fmean(values), len(values)
    off = [value - mean for value in values]
    spread = sum(one * one for one in off)
    if count < 3 or spread <= 0:
        return 0.0
    found = sum(one * other for one, other in zip(off, off[1:])) / spread
    upper = found + (1 + 4 * found) / count + math.sqrt(max(0.0, 1 - found * found) / count)
    return min(MEMORY_MOST, max(0.0, upper))


def trend(values: Sequence[float]) -> float:
    """How surely `values` rise (positive) or fall, in standard deviations of the normal distribution: the test of Mann
    (1945, Econometrica 13: 245) and Kendall, with its correction for ties. It asks for no shape of the trend and bears
    outliers.
    """
    count = len(values)
    rises = sum(
        (later > earlier) - (later < earlier) for place, earlier in enumerate(values) for later in values[place + 1 :]
    )
    ties = [values.count(value) for value in set(values)]
    variance = count * (count - 1) * (2 * count + 5) - sum(n * (n - 1) * (2 * n + 5) for n in ties)
    if variance <= 0 or rises == 0:
        return 0.0
    return (rises - math.copysign(1, rises)) / math.sqrt(variance / 18)


def change(values: Sequence[float]) -> float:
    """By how much `values` changed from the first to the last, over their median: the slope is the median of all
    pairs' (Sen 1968, JASA 63: 1379).
    """
    slopes = [
        (later - earlier) / distance
        for place, earlier in enumerate(values)
        for distance, later in enumerate(values[place + 1 :], start=1)
    ]
    middle = statistics.median(values)
    return statistics.median(slopes) * (len(values) - 1) / middle if slopes and middle else 0.0


def median_half_width(values: Sequence[float]) -> float:
    """Half the 95 % interval of the median of `values`, over that median, from their order alone (any distribution);
    infinite for fewer than six, of which even the outermost two do not bound it so surely.
    """
    count = len(values)
    if count < 6:
        return math.inf
    ordered = sorted(values)
    low = max(0, math.floor((count - _Z95 * math.sqrt(count)) / 2) - (count < 10))
    return (ordered[count - 1 - low] - ordered[low]) / 2 / statistics.median(ordered)


def quantile(values: Sequence[float], q: float) -> float:
    """The quantile `q`, between its two neighbours by how near it is to each, as numpy has it."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
