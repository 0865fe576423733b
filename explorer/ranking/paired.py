"""Is a network really worse than the dense one? Both answered the same questions, so they are compared in pairs.

One right or wrong answer a cluster: McNemar's test, exact (Q. McNemar, Psychometrika 12, 1947, p. 153; conditional on
the discordant pairs their split is binomial), with the adjusted Wald interval of the difference (Bonett & Price,
J. Educational and Behavioral Statistics 37, 2012). Otherwise clusters (subjects) are drawn anew, the same from both
(Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 16).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from explorer.result import Metric
from explorer.tally import Z_95, Tally

RESAMPLES = 2000
SEED = 0


@dataclass(frozen=True)
class Paired:
    """A network compared with the dense one on the same questions.

    Attributes:
        difference: its score minus the dense one's, with the 95 % interval of the difference.
        p_value: how likely a difference at least so large is where there is none, two-sided.
    """

    difference: Metric
    p_value: float
    method: Literal["McNemar, exact", "paired bootstrap"]


def compare(tally: Tally, dense: Tally) -> Paired:
    """A score against that of the dense network.

    Raises:
        ValueError: the two did not answer the same questions.
    """
    if tally.kind != dense.kind or tally.top.shape != dense.top.shape:
        raise ValueError("two tallies of different questions cannot be compared in pairs")
    if tally.one_answer_each and dense.one_answer_each:
        return _mcnemar(tally, dense)
    return _bootstrap(tally, dense)


def _mcnemar(tally: Tally, dense: Tally) -> Paired:
    gained = int(((tally.top == 1) & (dense.top == 0)).sum())
    lost = int(((tally.top == 0) & (dense.top == 1)).sum())
    discordant, count = gained + lost, tally.clusters
    up, down = (gained + 1) / (count + 2), (lost + 1) / (count + 2)
    half = Z_95 * math.sqrt((up + down - (up - down) ** 2) / (count + 2))
    value = (gained - lost) / count
    difference = Metric(value, max(-1.0, up - down - half), min(1.0, up - down + half))
    return Paired(difference, min(1.0, 2 * _at_most(min(gained, lost), discordant)), "McNemar, exact")


def _bootstrap(tally: Tally, dense: Tally) -> Paired:
    drawn = tally.replicates(RESAMPLES, SEED) - dense.replicates(RESAMPLES, SEED)
    value = tally.value() - dense.value()
    low, high = (float(edge) for edge in np.quantile(drawn, (0.025, 0.975)))
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p_value = min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))
    return Paired(Metric(value, min(low, value), max(high, value)), p_value, "paired bootstrap")


def _at_most(count: int, tosses: int) -> float:
    """How likely a fair coin shows heads at most `count` times; in logarithms, for thousands of tosses."""
    whole = math.lgamma(tosses + 1) - tosses * math.log(2)
    return math.fsum(math.exp(whole - math.lgamma(k + 1) - math.lgamma(tosses - k + 1)) for k in range(count + 1))
