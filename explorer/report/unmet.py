"""What to say of trials of which not one keeps the user's constraints: what none has kept, and who came nearest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from explorer.report import wording
from explorer.result import Constraint, Record


def unmet(records: Sequence[Record]) -> str:
    """A sentence; empty where a trial is complete, or where none was judged by a constraint."""
    judged = [(record, broken) for record in records if (broken := _broken(record))]
    if not judged or any(record.state == "complete" for record in records):
        return ""
    never = set.intersection(*(set(broken) for _, broken in judged))
    what = " and ".join(sorted(never)) or "every constraint at once"
    record, broken = min(judged, key=lambda one: _distance(one[1]))
    values = [f"{c.metric} {wording.number(record.metrics[c.metric].value)}" for c in map(Constraint.parse, broken)]
    nearest = f"trial {record.number} comes nearest, with {', '.join(values)}"
    return f"none of the {len(judged)} trials that were measured keeps {what}; {nearest}"


def _broken(record: Record) -> dict[str, float]:
    """The user's constraints that a trial breaks, each with by how much, in its metric's unit."""
    if record.state != "infeasible":
        return {}
    names = {name: amount for name, amount in record.constraints.items() if amount > 0 and name != "feasible"}
    return {name: amount for name, amount in names.items() if Constraint.parse(name).metric in record.metrics}


def _distance(broken: Mapping[str, float]) -> float:
    """How far the worst of them is off, as a share of its bound."""
    return max(amount / (abs(Constraint.parse(name).bound) or 1.0) for name, amount in broken.items())
