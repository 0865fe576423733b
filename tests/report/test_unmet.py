"""Where nobody keeps the constraints: which none has kept, and who came nearest."""

from __future__ import annotations

from explorer.report.unmet import unmet
from explorer.result import Evaluation, Metric, Record


def record(number: int, state: str = "infeasible", **broken: float) -> Record:
    """A trial with a latency and a power, each so far beyond its bound of 10."""
    values = {"latency_ms": broken.get("latency_ms", -1.0), "power_w": broken.get("power_w", -1.0)}
    metrics = {name: Metric(10 + amount) for name, amount in values.items()}
    constraints = {f"{name} <= 10": amount for name, amount in values.items()}
    return Record(number, state, {"batch": number}, "b", "", 1.0, Evaluation(metrics), constraints)  # type: ignore[arg-type]


def test_the_constraint_that_none_keeps_and_the_nearest_trial() -> None:
    told = unmet([record(0, latency_ms=5, power_w=1), record(1, latency_ms=2), record(2, "failed")])
    assert told == (
        "none of the 2 trials that were measured keeps latency_ms <= 10; trial 1 comes nearest, with latency_ms 12"
    )


def test_constraints_that_are_kept_one_at_a_time() -> None:
    told = unmet([record(0, power_w=3), record(1, latency_ms=4)])
    assert told.startswith("none of the 2 trials that were measured keeps every constraint at once; trial 0 comes")


def test_nothing_is_said_where_one_is_complete_or_none_was_judged() -> None:
    assert unmet([record(0, power_w=3), record(1, "complete")]) == ""
    refused = Record(0, "infeasible", {}, "b", "", 0.0, constraints={"feasible": 1.0}, reason="no")
    assert unmet([refused]) == unmet([]) == ""
