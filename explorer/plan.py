"""What a board is asked to measure: the experiment's plan, in the words of the agent's.

    experiment ──► of_trial    windows, with the tails, the arrivals and the rounds that somebody wants to know of
               ├─► of_short    a part of the windows, before the whole of a long measurement
               └─► of_race     rounds alone: several engines against each other, no windows

What nobody asked for is not measured: fixed arrival only for `subjects_25ips`, as many inferences as the named tail
needs, rounds only with an engine beside.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from explorer.config import Experiment
from explorer.statistics import READINGS_MIN, TAILS

# Fields of the plan that the agent knows by the same name.
_SAME = ("warmup_s", "window_s", "windows_min", "budget_s", "relative_interval", "idle_s", "cooldown_s")
# Fields that ask for inferences beside the windows, or for more of these.
_DEAR = ("queries_min", "rate_hz", "deadline_ms")
SUBJECTS = "subjects_25ips"
METERED = ("energy_mj", "energy_net_mj", "power_w")
BLOCK_S = 0.02  # of a turn in a round: long enough for its clock, short enough that drift is common to all of a round
READINGS_HZ = 50.0  # of a meter, unless the board says otherwise
# Windows that take so long are worth a short measurement before them, of a part of their time: what loading,
# warming up and an idle baseline take comes twice then, some 2 s of a board.
LONG_S, PART = 10.0, 5
LAGS = 5  # a block shorter than so many time constants of a meter's filter says little of its own watts


def of_trial(experiment: Experiment, *, beside: bool) -> dict[str, Any]:
    """The agent's plan for a candidate, with the reference engine `beside` it or alone."""
    measure, wanted = experiment.measure, _wanted(experiment)
    plan: dict[str, Any] = {name: getattr(measure, name) for name in _SAME}
    if queries := max((count for name, (_, count) in TAILS.items() if name in wanted), default=0):
        plan["queries_min"] = queries
    if SUBJECTS in wanted:
        plan |= {"rate_hz": measure.rate_hz, "deadline_ms": measure.deadline_ms}
    if beside:
        plan |= {"rounds": measure.rounds, "block_s": BLOCK_S}
    return plan


def may_be_long(experiment: Experiment) -> bool:
    """Whether a short measurement may be worth its while before a whole one."""
    return experiment.measure.budget_s >= LONG_S


def is_long(experiment: Experiment, windows_s: Sequence[float]) -> bool:
    """Whether it is, by how long the windows of whole measurements took so far: most end before their budget does."""
    return may_be_long(experiment) and bool(windows_s) and statistics.median(windows_s) >= LONG_S


def of_short(experiment: Experiment, *, beside: bool) -> dict[str, Any]:
    """The agent's plan for a first look at a candidate: fewer and shorter windows, neither tails nor arrivals."""
    measure, whole = experiment.measure, of_trial(experiment, beside=beside)
    part = {"budget_s": measure.budget_s / PART, "windows_min": max(2, math.ceil(measure.windows_min / PART))}
    return {name: told for name, told in whole.items() if name not in _DEAR} | part


def of_race(experiment: Experiment, *, rounds: int, block_s: float) -> dict[str, Any]:
    """The agent's plan for candidates against each other, in interleaved rounds alone."""
    plan: dict[str, Any] = {name: getattr(experiment.measure, name) for name in _SAME}
    return plan | {"budget_s": 0.0, "rounds": rounds, "block_s": block_s}


def block_s(experiment: Experiment, *, estimated: bool, lag_s: float = 0.0) -> float:
    """How long an engine's turn in a race lasts.

    Energy by a meter takes enough readings, and lags enough for its filter to forget the engine before; a declared one
    follows from processor time, which needs neither.
    """
    if estimated or not _wanted(experiment).intersection(METERED):
        return BLOCK_S
    return max(READINGS_MIN / READINGS_HZ, LAGS * lag_s)


def _wanted(experiment: Experiment) -> set[str]:
    """Metrics that an objective or a constraint names."""
    return {o.metric for o in experiment.objectives} | {c.metric for c in experiment.constraints}
