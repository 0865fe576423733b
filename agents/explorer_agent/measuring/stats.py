"""The little statistics the agent needs to know when to stop; everything that is reported is derived on the host
from raw samples.
"""

from __future__ import annotations

import math
import statistics
from typing import Sequence

# Two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom (any textbook); beyond the table the next
# smaller row's value is used, which errs to the wide side.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_T_FURTHER = ((20, 2.120), (30, 2.086), (60, 2.042), (120, 2.000))


def t95(freedom: int) -> float:
    """The 97.5 % quantile of Student's t with `freedom` degrees of freedom."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    for below, value in _T_FURTHER:
        if freedom < below:
            return value
    return 1.980


def relative_half_width(values: Sequence[float]) -> float:
    """Half the 95 % interval of the mean of `values`, over that mean; infinite for fewer than two."""
    if len(values) < 2:
        return math.inf
    mean = statistics.fmean(values)
    return t95(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values)) / mean if mean else math.inf
