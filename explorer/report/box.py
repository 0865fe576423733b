"""The box between the worst and the best value of each objective, in which a front's hypervolume is measured."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer import pareto
from explorer.result import Objective, Record


class Scale(NamedTuple):
    """The range of one objective over the compared trials: hypervolume counts from `worst` = 0 to `best` = 1."""

    worst: float
    best: float


def scales(records: tuple[Record, ...], objectives: tuple[Objective, ...]) -> dict[str, Scale]:
    """The box, side by side; empty without a trial."""
    if not records:
        return {}
    ranked = {o.metric: sorted((r.metrics[o.metric].value for r in records), key=o.gain) for o in objectives}
    return {metric: Scale(values[0], values[-1]) for metric, values in ranked.items()}


def volume(records: tuple[Record, ...], objectives: tuple[Objective, ...]) -> float | None:
    """The share of the box that the front dominates, 0 to 1; None while no two trials differ."""
    gains = _gains(records, objectives)
    if not len(gains):
        return None
    worst, best = gains.min(axis=0), gains.max(axis=0)
    varies = best > worst
    if not varies.any():
        return None
    scaled = (gains[:, varies] - worst[varies]) / (best - worst)[varies]
    return pareto.hypervolume(scaled, np.zeros(int(varies.sum())))


def _gains(records: tuple[Record, ...], objectives: tuple[Objective, ...]) -> pareto.Gains:
    rows = [[o.gain(r.metrics[o.metric].value) for o in objectives] for r in records]
    return np.asarray(rows, dtype=np.float64).reshape(len(records), len(objectives))
