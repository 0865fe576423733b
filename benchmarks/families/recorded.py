"""Tables of measured configurations as problems: `search_spaces/tx2`, whose README says whose they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from explorer.recorded import read_table
from explorer.replay.course import gain
from explorer.result import Objective
from explorer.space import Axis, Space

from .problem import MEASURE_S, Problem, Stage

TABLES = Path(__file__).parents[2] / "search_spaces" / "tx2"
AXES = ("cpu_cores", "cpu_freq_khz", "gpu_freq_hz", "emc_freq_hz")
# The column, the metric it becomes, and its factor; what the unit of power is does not matter for who dominates whom.
METRICS = {"inference_time_s": ("latency_ms", 1e3), "power_consumption": ("power_w", 1.0)}


def recorded(table: str) -> Problem:
    """A table as it was measured: no noise, nothing impossible, a measurement each.

    Hypervolume is counted from the worst of each column.
    """
    held = read_table(TABLES / f"{table}.csv")
    columns = {name: held.values(name) for name in AXES}
    space = Space(tuple(Axis(name, tuple(sorted(set(values)))) for name, values in columns.items()))
    place = {values: row for row, values in enumerate(zip(*columns.values(), strict=True))}
    order = [place[tuple(candidate.params[name] for name in AXES)] for candidate in space.candidates]
    truth = {
        metric: factor * np.array(held.numbers(name), dtype=np.float64)[order]
        for name, (metric, factor) in METRICS.items()
    }
    objectives = tuple(Objective(metric, "min") for metric in truth)
    return Problem(
        name=table,
        space=space,
        objectives=objectives,
        truth=truth,
        refusals=np.full(len(order), ""),
        stages=(Stage("measure", np.arange(len(order)), MEASURE_S),),
        reached=np.ones(len(order), dtype=np.intp),
        reference=np.array([gain(o, truth[o.metric]).min() for o in objectives]),
        depends=dict.fromkeys(truth, AXES),
    )
