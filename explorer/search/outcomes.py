"""What Optuna's trials tell our sampler: gains, violations, and how far they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

Floats = NDArray[np.float64]
Quantity = int | str  # an objective, by its place, or a constraint, by its name

# Of a trial's user attributes: which of its values are none, because they were not measured; and by how much others may
# be off beside their noise, as pairs of a place and a standard deviation.
UNMEASURED, ROUGH = "unmeasured", "rough"


def signs_of(study: Study) -> Floats:
    """What a value is multiplied by to be a gain: larger is better ``[objectives]``."""
    return np.array([1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in study.directions])


def when_done(trial: FrozenTrial) -> tuple[bool, float, int]:
    """In the order of their ends, as they are written down; then those under way."""
    done = trial.datetime_complete
    return done is None, 0.0 if done is None else done.timestamp(), trial.number


def is_measured(trial: FrozenTrial) -> bool:
    """Whether it ended with at least one value that is one."""
    made_up = trial.user_attrs.get(UNMEASURED, ())
    return trial.state == TrialState.COMPLETE and any(
        math.isfinite(value) for i, value in enumerate(trial.values) if i not in made_up
    )


def outcomes_of(trial: FrozenTrial, signs: Floats, quantities: Sequence[Quantity]) -> Floats:
    """Gains and violations of a finished trial; NaN for what was not measured."""
    gains = signs * np.asarray(trial.values)
    gains[list(trial.user_attrs.get(UNMEASURED, ()))] = np.nan
    broken = [trial.constraints.get(name, np.nan) for name in quantities if isinstance(name, str)]
    told = np.concatenate([gains, broken])
    return np.where(np.isfinite(told), told, np.nan)


def off_of(trial: FrozenTrial, quantities: Sequence[Quantity]) -> Floats:
    """Variance of each outcome beside the noise that all of its quantity have."""
    variances = np.zeros(len(quantities))
    for place, sd in trial.user_attrs.get(ROUGH, ()):
        variances[place] = sd**2
    return variances
