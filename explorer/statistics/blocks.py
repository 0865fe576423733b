"""Engines that took turns: what is common to a round drops out of its ratios.

[round, entrant]   A     B     C
round 0           1.00  1.21  0.90      log seconds an inference; NaN where a turn is missing
round 1           1.30  1.58  1.17  ◄── everything was slower: the ratios are those of round 0
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import stdtrit

from explorer.result import Metric
from explorer.statistics.measurement import Floats, Measurement

CONFIDENCE = 0.95
ROUNDS_MIN = 6  # of fewer there is no interval


@dataclass(frozen=True)
class Rounds:
    """Log seconds an inference (or log of another quantity) by [round, entrant]; NaN where a turn is missing."""

    table: Floats

    @classmethod
    def of(cls, measurement: Measurement) -> Rounds:
        """The seconds of each turn over its inferences."""
        series, entrants = measurement.series, len(measurement.header["entrants"])
        rounds = series["block_round"].astype(np.int64)
        table = np.full((int(rounds.max(initial=-1)) + 1, entrants), np.nan)
        seconds = (series["block_end_s"] - series["block_start_s"]) / series["block_count"]
        table[rounds, series["block_entrant"].astype(np.int64)] = np.log(seconds)
        return cls(table)


def ratio(rounds: Rounds, entrant: int, against: int) -> Metric:
    """How often the time of `against` an `entrant` needs: the middle of the rounds' ratios."""
    return _middle(rounds.table[:, entrant] - rounds.table[:, against], scale=1.0)


def level(rounds: Rounds, entrant: int) -> Metric:
    """What an entrant needs in these rounds, ms an inference."""
    return _middle(rounds.table[:, entrant], scale=1e3)


def contrasts(rounds: Rounds) -> tuple[Floats, Floats]:
    """Each entrant's logarithm, ``[e]``, and the covariance of these, ``[e, e]``; the rounds' common effect removed.

    Middles over the rounds, so that a hiccup in one turn moves nothing; their covariance from the rounds' correlations
    and the widths of the intervals, which for normal noise are Student's.
    """
    whole = rounds.table[~np.isnan(rounds.table).any(axis=1)]
    centred = whole - whole.mean(axis=1, keepdims=True)
    found = [_hodges_lehmann(column) for column in centred.T]
    middle = np.array([value for value, _, _ in found])
    reach = 2 * float(stdtrit(max(len(whole) - 1, 1), (1 + CONFIDENCE) / 2))
    sd = np.array([(high - low) / reach for _, low, high in found])
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.nan_to_num(np.corrcoef(centred, rowvar=False).reshape(sd.size, sd.size))
    np.fill_diagonal(correlation, 1.0)
    return middle + whole.mean(), np.outer(sd, sd) * correlation


def _middle(logs: Floats, *, scale: float) -> Metric:
    value, low, high = (scale * float(np.exp(log)) for log in _hodges_lehmann(logs[~np.isnan(logs)]))
    return Metric(value) if math.isnan(low) else Metric(value, low, high)


def _hodges_lehmann(values: Floats) -> tuple[float, float, float]:
    """The median of the means of all pairs, and the interval that Wilcoxon's signed ranks give it: exact for whatever
    is distributed symmetrically, as logarithms of ratios in shuffled order are; NaN edges for fewer than ROUNDS_MIN.

    Of normal noise it needs 1.05 times the values that the mean does (the median: 1.57 times), and a quarter of them
    may be anything (Hodges and Lehmann, Annals of Mathematical Statistics 34, 1963; Hollander, Wolfe and Chicken,
    Nonparametric Statistical Methods, 2014, sections 3.2 and 3.3).
    """
    one, other = np.triu_indices(len(values))
    means = np.sort((values[one] + values[other]) / 2)
    left_out = _left_out(len(values))
    edges = (math.nan, math.nan) if left_out is None else (float(means[left_out]), float(means[-1 - left_out]))
    return (float(np.median(means)), *edges)


@cache
def _left_out(count: int) -> int | None:
    """How many means of pairs lie below the interval at most, so that it holds the middle with our confidence: by the
    distribution of Wilcoxon's statistic, the number of subsets of 1 … count with a given sum.
    """
    subsets = np.ones(1)
    for rank in range(1, count + 1):
        subsets = np.append(subsets, np.zeros(rank)) + np.append(np.zeros(rank), subsets)
    below = np.cumsum(subsets) / 2.0**count  # P(statistic <= k)
    left_out = int(np.searchsorted(below, (1 - CONFIDENCE) / 2, side="right"))
    return left_out - 1 if left_out else None
