"""Records and races with known truth, made of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.result import Evaluation, Metric, Objective, Record

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))


def trial(
    number: int, *, accuracy: float = 0.9, share: float = 0.002, flags: tuple[str, ...] = (), **times: float
) -> Record:
    """A complete trial; its metrics of time have 95 % intervals of ± 1.96 `share`."""
    timed = {
        name: Metric(value, value * np.exp(-1.96 * share), value * np.exp(1.96 * share))
        for name, value in times.items()
    }
    evaluation = Evaluation({"accuracy": Metric(accuracy), **timed}, flags=flags)
    return Record(number, "complete", {}, "local", "", 0.0, evaluation)


def race(
    trials: Sequence[int], logs: Sequence[float], *, sd: float = 0.001, name: str = "latency_ms"
) -> dict[str, Any]:
    """A line of races.jsonl."""
    cov: NDArray[np.float64] = np.eye(len(trials)) * sd**2
    return {
        "race": 1,
        "flags": [],
        "readings": {name: {"trials": list(trials), "mean": list(logs), "cov": cov.tolist()}},
    }
