"""Engines that took turns: what is common to a round drops out of its ratios.

[round, entrant]   A     B     C
round 0           1.00  1.21  0.90      log seconds an inference; NaN where a turn is missing
round 1           1.30  1.58  1.17  ◄── everything was slower: the ratios are those of round 0
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from explorer.result import Metric
from explorer.statistics.measurement import Floats, Measurement

CONFIDENCE = 0.95
_MAD = 1.4826  # a normal's standard deviation in median absolute deviations
_MEDIAN_COSTS = math.pi / 2  # variance of the median over that of the mean, for a normal


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
    """How often the time of `against` an `entrant` needs: the median of the rounds' ratios."""
    return _median(rounds.table[:, entrant] - rounds.table[:, against], scale=1.0)


def level(rounds: Rounds, entrant: int) -> Metric:
    """What an entrant needs in these rounds, ms an inference."""
    return _median(rounds.table[:, entrant], scale=1e3)


def contrasts(rounds: Rounds) -> tuple[Floats, Floats]:
    """Each entrant's logarithm, ``[e]``, and the covariance of these, ``[e, e]``; the rounds' common effect removed.

    Medians over the rounds, so that a hiccup in one turn moves nothing; their covariance from the rounds' correlations
    and median absolute deviations.
    """
    whole = rounds.table[~np.isnan(rounds.table).any(axis=1)]
    centred = whole - whole.mean(axis=1, keepdims=True)
    middle = np.median(centred, axis=0)
    sd = _MAD * np.median(np.abs(centred - middle), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.nan_to_num(np.corrcoef(centred, rowvar=False).reshape(sd.size, sd.size))
    np.fill_diagonal(correlation, 1.0)
    return middle + whole.mean(), np.outer(sd, sd) * correlation * _MEDIAN_COSTS / len(whole)


def _median(logs: Floats, *, scale: float) -> Metric:
    """The median, its interval by order statistics (the sign test): exact, whatever the distribution."""
    values = np.sort(np.exp(logs[~np.isnan(logs)])) * scale
    rank = _rank(len(values))
    value = float(np.median(values))
    return Metric(value) if rank is None else Metric(value, float(values[rank]), float(values[-1 - rank]))


def _rank(count: int) -> int | None:
    """The largest rank r for which [r-th smallest, r-th largest] covers the median; None for too few."""
    tail, found = 0.0, None
    for rank in range(count // 2):
        tail += math.comb(count, rank) / 2**count
        if 1 - 2 * tail < CONFIDENCE:
            break
        found = rank
    return found
