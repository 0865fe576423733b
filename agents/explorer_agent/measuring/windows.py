"""Windows, back to back, until the interval is tight and the inferences are enough, or the budget is spent."""

from __future__ import annotations

from typing import Callable, Sequence

from explorer_agent.measuring.lanes import NS, Lanes, Window
from explorer_agent.measuring.stats import relative_half_width
from explorer_agent.messages import Plan

Tell = Callable[[float], None]


def run_windows(lanes: Lanes, plan: Plan, tell: Tell) -> tuple[list[Window], float]:
    """Windows of `plan.window_s` of an engine; also the relative half-width reached, of the mean and of the median
    whichever is wider.
    """
    windows: list[Window] = []
    begin = lanes.now_ns()
    with lanes.windows() as following:
        while True:
            windows.append(following(int(plan.window_s * NS)))
            spent = (lanes.now_ns() - begin) / NS / plan.budget_s
            reached = half_width(windows)
            if is_enough(windows, reached, plan) or (spent >= 1.0 and len(windows) >= 2):  # one alone says nothing
                return windows, reached
            tell(min(spent, 1.0))


def half_width(windows: Sequence[Window]) -> float:
    """Of the 95 % interval, over the value: of the mean or of the median, the wider."""
    means, medians = [window.seconds_each for window in windows], [window.median_ns for window in windows]
    return max(relative_half_width(means), relative_half_width(medians))


def is_enough(windows: Sequence[Window], reached: float, plan: Plan) -> bool:
    """Whether the plan asks for no more."""
    counted = sum(len(window.latencies) for window in windows) >= plan.queries_min
    return counted and len(windows) >= plan.windows_min and reached <= plan.relative_interval
