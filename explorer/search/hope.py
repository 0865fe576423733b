"""What a candidate may still come to, in the terms of a study: by metrics and their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from explorer.result import Metric, Objective
from explorer.search.prospect import Prospect
from explorer.search.quantities import TIMED, gain_and_sd


@dataclass(frozen=True)
class Hope:
    """What a candidate may come to, in the terms of a study."""

    prospect: Prospect
    objectives: tuple[Objective, ...]

    @classmethod
    def of(cls, prospect: Prospect, objectives: tuple[Objective, ...], *, spread: float) -> Hope:
        """`spread` is what a measured time or energy may be off by from run to run, as a share of it."""
        runs = np.array([spread * objective.metric.startswith(TIMED) for objective in objectives])
        return cls(replace(prospect, sd=np.hypot(prospect.sd, runs)), objectives)

    def chance(self, metrics: Mapping[str, Metric]) -> float:
        """That no candidate known so far dominates it, by what was measured of it until now."""
        told = [gain_and_sd(objective, metrics.get(objective.metric)) for objective in self.objectives]
        gains, off = (np.array(part) for part in zip(*told, strict=True))
        return self.prospect.chance(gains, off)
