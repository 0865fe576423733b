"""What a candidate may still come to while it is being tried: the chance that nothing known dominates it.

    belief before it is tried ─┐
    what was measured so far ──┴─► belief now ──► chance of lying in a box that no point of the front dominates

A candidate with hardly a chance left need not go on: what is still to be done for it would add nothing to the front.
Both the belief and what was measured are normal and independent among objectives; they are joined by their precisions
(Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, appendix A.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from explorer.search.improvement import Boxes

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prospect:
    """Of one candidate, in gains: larger is better.

    Attributes:
        mean: what is expected of each objective ``[m]``.
        sd: and how surely ``[m]``.
        boxes: what no candidate that is known dominates.
    """

    mean: Floats
    sd: Floats
    boxes: Boxes

    def chance(self, measured: Floats, off: Floats) -> float:
        """That it is dominated by none.

        Args:
            measured: gains ``[m]``; NaN where nothing was measured.
            off: standard deviation of what was measured ``[m]``; 0 where it is exact.
        """
        mean, sd = self._joined(measured, off)
        inside = np.ones(len(self.boxes.lower))
        for lower, upper, centre, spread in zip(self.boxes.lower.T, self.boxes.upper.T, mean, sd, strict=True):
            inside *= _below(upper, centre, spread) - _below(lower, centre, spread)
        return float(min(1.0, inside.sum()))

    def _joined(self, measured: Floats, off: Floats) -> tuple[Floats, Floats]:
        """The belief with what was measured ``[m]`` each."""
        told = np.isfinite(measured)
        trust = np.zeros(len(told))  # 1: all that counts is what was measured
        trust[told] = [
            1.0 if o == 0 else s * s / (s * s + o * o) for s, o in zip(self.sd[told], off[told], strict=True)
        ]
        mean = self.mean + trust * (np.where(told, measured, 0.0) - self.mean)
        return np.where(told, mean, self.mean), self.sd * np.sqrt(1 - trust)


def _below(edge: Floats, mean: float, sd: float) -> Floats:
    """The chance of a normal value below each edge."""
    if sd <= 0 or not math.isfinite(sd):
        return np.where(mean < edge, 1.0, 0.0)
    return np.asarray(ndtr((edge - mean) / sd))
