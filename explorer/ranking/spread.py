"""What readings of one and the same trial differ by from run to run, beyond what their own intervals say.

Two shares of a value: `once`, of a measurement on its own (drift of the board since the last one, another process,
another placement in memory), and `again`, of an entrant of a race, in which what is common has been taken out. Neither
is known before anything has been measured twice. Both are held as a table of likelihoods on a grid, which starts
with a prior and learns from every race; whoever draws, draws from the grid, so that not knowing the spread makes
rankings less sure instead of wrong.

The prior: two engines measured one after the other for seconds each, on a host that others use too, err by some 3.5 %
in their ratio in the median, interleaved ones by 1 % (`benchmarks/protocol.py` measures both); a board of its own is
quieter. So 2 % and 0.4 %, within a factor of two and of three either way at one standard deviation: what is left in a
race depends on what was not common, and that on the board.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The prior's median, and the standard deviation of its logarithm.
ONCE, ONCE_FACTOR = 0.02, math.log(2.0)
AGAIN, AGAIN_FACTOR = 0.004, math.log(3.0)
ONCE_GRID = ONCE * 2.0 ** np.arange(-4.0, 3.5, 0.5)
AGAIN_GRID = AGAIN * 2.0 ** np.arange(-4.0, 4.5, 1.0)


@dataclass(frozen=True)
class Spread:
    """What runs of one metric differ by, as shares of the value (standard deviations).

    Attributes:
        once: of measurements on their own.
        again: of entrants of a race.
        races: how many races it was learnt from.
        source: the same in words.
    """

    once: float
    again: float
    races: int

    @property
    def source(self) -> str:
        if not self.races:
            return f"assumed: {self.once:.1%} from run to run; nothing has been measured twice"
        return f"{self.once:.1%} from run to run, learnt from {self.races} race{'s' * (self.races > 1)}"


def prior() -> Floats:
    """Logarithms of the prior's weights ``[once, again]``."""
    once, again = np.log(ONCE_GRID / ONCE) / ONCE_FACTOR, np.log(AGAIN_GRID / AGAIN) / AGAIN_FACTOR
    return np.asarray(-0.5 * (once[:, None] ** 2 + again[None, :] ** 2), np.float64)


def weights(log_likelihood: Floats | float) -> Floats:
    """The grid's probabilities ``[once, again]``, of the prior and what was seen."""
    total = prior() + log_likelihood
    shares = np.exp(total - total.max())
    return np.asarray(shares / shares.sum(), np.float64)


def summary(probabilities: Floats, *, races: int) -> Spread:
    """The medians of both shares on a grid of probabilities."""
    once, again = (_median(probabilities.sum(axis=axis), grid) for axis, grid in ((1, ONCE_GRID), (0, AGAIN_GRID)))
    return Spread(once, again, races)


def _median(shares: Floats, grid: Floats) -> float:
    return float(grid[np.searchsorted(np.cumsum(shares), 0.5)])
