"""What a score is counted from, so that two scores can be compared answer by answer and subject by subject.

A score alone says 0.97 ± 0.01. Two networks that were asked the same questions err on the same hard ones, so the
difference of their scores is known far better than that; whoever keeps the counts can resample both alike.

    tally of one network ───┐
                            ├── the same subjects drawn ──► difference, replicate by replicate
    tally of another ───────┘
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from explorer.result import Metric

Floats = NDArray[np.float64]
Kind = Literal["share", "rms"]

RESAMPLES = 1000
SEED = 0
# Standard normal quantile of a two-sided 95 % interval.
Z_95 = 1.959964


@dataclass(frozen=True, eq=False)
class Tally:
    """``[cluster, cell]`` counts of what was right and what was tried; a cluster (a subject) stands or falls together.

    Attributes:
        kind: ``share``: the mean over cells of Σ top / Σ bottom, sums over clusters; ``rms``: √(Σ top / Σ bottom).
        top: right answers, or squared errors.
        bottom: answers tried, or squared sizes.
    """

    kind: Kind
    top: Floats
    bottom: Floats

    @property
    def clusters(self) -> int:
        return len(self.top)

    @property
    def one_answer_each(self) -> bool:
        """Whether every cluster is one question, answered right or wrong."""
        single = self.kind == "share" and self.top.shape[1] == 1 and bool((self.bottom == 1).all())
        return single and bool(((self.top == 0) | (self.top == 1)).all())

    def value(self) -> float:
        """The score; NaN where nothing was tried."""
        return float(self.weighted(np.ones((1, self.clusters)))[0])

    def metric(self) -> Metric:
        """The score with its 95 % interval: percentile bootstrap over clusters.

        Single right or wrong answers have Wilson's interval. So have clusters that are all alike, on their number:
        resampling would see no spread.
        """
        value = self.value()
        if self.one_answer_each:
            return Metric(value, *wilson_interval(float(self.top.sum()), self.clusters))
        low, high = (float(edge) for edge in np.quantile(self.replicates(RESAMPLES, SEED), (0.025, 0.975)))
        if self.kind == "share" and high - low < 1e-9:
            low, high = wilson_interval(low * self.clusters, self.clusters)
        return Metric(value, low, high)

    def replicates(self, count: int, seed: int = SEED) -> Floats:
        """The score of resampled clusters, ``[count]``.

        The same seed draws the same clusters from every tally of as many, so that replicates of networks which
        answered the same questions are paired.
        """
        rng = np.random.default_rng(seed)
        if self.kind == "share":
            chances = np.full(self.clusters, 1 / self.clusters)
            return self.weighted(rng.multinomial(self.clusters, chances, size=count).astype(np.float64))
        drawn = rng.integers(0, self.clusters, (count, self.clusters))
        return _root(self.top.sum(axis=1)[drawn].sum(axis=1), self.bottom.sum(axis=1)[drawn].sum(axis=1))

    def weighted(self, weights: Floats) -> Floats:
        """The score ``[count]`` where clusters count as often as a row of `weights` ``[count, cluster]`` says."""
        if self.kind == "rms":
            top, bottom = ((weights * part.sum(axis=1)).sum(axis=1) for part in (self.top, self.bottom))
            return _root(top, bottom)
        top, bottom = weights @ self.top, weights @ self.bottom
        shares = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
        return np.asarray(np.nanmean(shares, axis=1), np.float64)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "top": self.top.tolist(), "bottom": self.bottom.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tally:
        """What `to_json` has written.

        Raises:
            ValueError: the counts are no table, or do not fit together.
            KeyError: a field is missing.
        """
        top, bottom = np.asarray(data["top"], np.float64), np.asarray(data["bottom"], np.float64)
        if data["kind"] not in ("share", "rms") or top.ndim != 2 or top.shape != bottom.shape:
            raise ValueError(f"not a tally: {data['kind']!r}, {list(top.shape)} and {list(bottom.shape)}")
        return cls(data["kind"], top, bottom)


def _root(top: Floats, bottom: Floats) -> Floats:
    return np.asarray(np.sqrt(top / bottom), np.float64)


def wilson_interval(hits: float, count: int) -> tuple[float, float]:
    """95 % Wilson score interval of a proportion; sound for small counts and for proportions of 0 and 1.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    share, square = hits / count, Z_95**2 / count
    centre = (share + square / 2) / (1 + square)
    half = Z_95 / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(0.0, centre - half), min(1.0, centre + half)
