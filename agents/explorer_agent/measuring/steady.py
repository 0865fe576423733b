"""Warm-up ends when the latencies show no trend any more, not after a count.

ms │ ╲
   │  ╲__                    medians of stretches, LAST of them looked at together:
   │     ╲____ __ _ __       a trend that is sure and relevant → go on;  none → steady
   └─┴──┴──┴──┴──┴──┴──┴──►  AT_MOST times the time planned → go on without, and say so
"""

from __future__ import annotations

from typing import Sequence

from explorer_agent.measuring.lanes import NS, Lanes
from explorer_agent.measuring.stats import change, trend
from explorer_agent.messages import Plan

AT_MOST = 5  # times warmup_s
LAST = 8  # stretches that are looked at
FEWEST = 4  # of fewer no order is improbable enough to be a trend
SURE = 1.645  # one trend in ten is none: it costs another stretch, missing one would cost the measurement
RELEVANT = 0.02  # change over the stretches looked at
ALIKE = 0.05  # where there is time for two stretches only, these differ by less


def warm_up(lanes: Lanes, plan: Plan) -> bool:
    """Run until steady; False when it was not within AT_MOST times the time planned."""
    stretch_ns = int(plan.warmup_s * NS / LAST)
    deadline = lanes.now_ns() + int(plan.warmup_s * NS * AT_MOST)
    medians: list[float] = []
    while True:
        medians.append(lanes.run(stretch_ns).median_ns)
        over = lanes.now_ns() > deadline and len(medians) >= 2
        if len(medians) >= LAST or over:
            steady = is_steady(medians[-LAST:])
            if steady or over:
                return steady


def is_steady(medians: Sequence[float]) -> bool:
    """Whether there is no trend in `medians` that is both sure and relevant; of very few, whether the last two are
    alike.
    """
    if len(medians) < FEWEST:
        return abs(medians[-1] - medians[-2]) <= ALIKE * medians[-2]
    return abs(trend(medians)) < SURE or abs(change(medians)) <= RELEVANT
