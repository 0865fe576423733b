"""What a meter needs of a measurement: time until its readings are those of now, and enough of them.

    settle  idle   load, warm-up ≥ settle   windows ≥ 5 lags, and 50 readings   settle  idle
    ├╌╌╌╌╌╌┼──────┼───────────────────────┼──────────────────────────────────┼╌╌╌╌╌╌┼──────┤
                                            if the budget allows as many

Most meters have no lag to speak of; an Orin Nano's sensors, as delivered, tell the mean of 3.4 s.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Mapping

from explorer_agent.messages import Plan
from explorer_agent.meters import Meter

LAGS, READINGS = 5, 50


def settle_s(facts: Mapping[str, Any]) -> float:
    """How long a reading may still remember what was before, as the meter's `facts` tell."""
    return float(facts.get("settle_s") or 2 * float(facts.get("lag_s") or 0.0))


def long_enough(plan: Plan, meter: Meter, facts: Mapping[str, Any]) -> Plan:
    """`plan`, lasting long enough for `meter`: for its lag in any case, for many readings within the budget.

    A race has turns instead of windows, whose length whoever asks for it chooses by the meter.
    """
    if not plan.budget_s:
        return plan
    lasts_s = LAGS * float(facts.get("lag_s") or 0.0)
    reads_s = min(READINGS * float(getattr(meter, "period_s", 0.02)) * 1.1, plan.budget_s)
    windows = math.ceil(max(lasts_s * 1.02, reads_s) / plan.window_s) if plan.window_s > 0 else 0
    return replace(
        plan,
        warmup_s=max(plan.warmup_s, settle_s(facts)),
        windows_min=max(plan.windows_min, windows),
        budget_s=max(plan.budget_s, lasts_s * 1.1),
    )
