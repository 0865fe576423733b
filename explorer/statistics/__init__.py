"""From raw samples to metrics with their 95 % intervals: pure functions on numbers, numpy only.

measurement ──► derive ──┬── intervals    block bootstrap, Student's t
raw series               ├── power        watts and joules, by way of readings
                         └── arrivals     who was late at fixed arrival
            └─► blocks                    engines that took turns: their ratios
"""

from explorer.statistics.derive import TAILS, derive
from explorer.statistics.intervals import around, block_length, mean_interval, quantile_interval, t95
from explorer.statistics.measurement import Floats, Measurement
from explorer.statistics.power import READINGS_MIN

__all__ = [
    "READINGS_MIN",
    "TAILS",
    "Floats",
    "Measurement",
    "around",
    "block_length",
    "derive",
    "mean_interval",
    "quantile_interval",
    "t95",
]
