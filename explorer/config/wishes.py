"""What is wanted of a candidate: objectives and constraints, on metrics that the experiment can yield."""

from __future__ import annotations

import itertools
from typing import Any, Literal

from explorer.config.document import Document, Where
from explorer.config.metrics import METRICS, Yields
from explorer.config.shape import shaped_as, shown
from explorer.registry import nearest
from explorer.result import Constraint, Objective


def read_objectives(document: Document, yields: Yields) -> tuple[Objective, ...]:
    """The objectives, on metrics that the experiment yields."""
    given = document.data.get("objectives")
    if not isinstance(given, dict) or not given:
        seen = shown(given) if "objectives" in document.data else ""
        document.complain(
            "an experiment needs objectives", ("objectives",), seen=seen, allowed="{metric: max or min, …}"
        )
        return ()
    found = [_objective(document, ("objectives", name), value, yields) for name, value in given.items()]
    return tuple(objective for objective in found if objective is not None)


def _objective(document: Document, where: Where, given: Any, yields: Yields) -> Objective | None:
    name = str(where[-1])
    known = _is_metric(document, where, name, yields)
    direction = shaped_as(Literal["max", "min"], document, where, given)
    if not known or direction is None:
        return None
    if name in METRICS and METRICS[name].better != direction:
        document.complain(f"this looks for the worst {name}", where, seen=direction, allowed=METRICS[name].better)
        return None
    return Objective(name, direction)


def read_constraints(document: Document, yields: Yields) -> tuple[Constraint, ...]:
    """The constraints, on metrics that the experiment yields."""
    given = document.data.get("constraints")
    if given is None:
        return ()
    if not isinstance(given, list):
        document.complain(
            "constraints are a list", ("constraints",), seen=shown(given), allowed='["accuracy >= 0.85", …]'
        )
        return ()
    found = [_constraint(document, ("constraints", i), text, yields) for i, text in enumerate(given)]
    constraints = tuple(constraint for constraint in found if constraint is not None)
    _refuse_contradictions(document, constraints)
    return constraints


def _constraint(document: Document, where: Where, given: Any, yields: Yields) -> Constraint | None:
    try:
        constraint = Constraint.parse(str(given))
    except ValueError:
        document.complain(
            "not a constraint", where, seen=shown(given), allowed="a text like 'accuracy >= 0.85' or 'latency_ms <= 40'"
        )
        return None
    if not _is_metric(document, where, constraint.metric, yields):
        return None
    if _is_share(constraint.metric) and not 0 <= constraint.bound <= 1:
        hint = f"{constraint.metric} is a share: write 0.85 for 85 %"
        document.complain(
            "this bound lies outside what the metric can be", where, seen=shown(given), allowed="0 to 1", hint=hint
        )
        return None
    return constraint


def _is_share(name: str) -> bool:
    return name.startswith("accuracy_") or (name in METRICS and METRICS[name].share)


def _is_metric(document: Document, where: Where, name: str, yields: Yields) -> bool:
    scored = name == "accuracy" or name.startswith("accuracy_")
    if name in yields.names or (scored and yields.dataset):
        return True
    if yields.columns is not None:
        allowed, hint = ", ".join(yields.names) or "nothing", nearest(name, yields.names)
        document.complain("the table has no such column of numbers", where, seen=name, allowed=allowed, hint=hint)
        return False
    if scored:
        hint = "add a dataset:, or ask for output_error: min (how far outputs are from fp32)"
        document.complain("accuracy needs a dataset to be measured on, and there is none", where, seen=name, hint=hint)
    elif name in METRICS:
        what = {"no dataset": "for networks without a dataset", "module": "not known of a bare .onnx file"}
        document.complain(f"{name} is {what[METRICS[name].needs]}", where, seen=name, allowed=", ".join(yields.names))
    else:
        allowed = ", ".join([*yields.names, *(["accuracy_… of the dataset"] if yields.dataset else [])])
        document.complain("unknown metric", where, seen=name, allowed=allowed, hint=nearest(name, yields.names))
    return False


def _refuse_contradictions(document: Document, constraints: tuple[Constraint, ...]) -> None:
    for one, other in itertools.permutations(constraints, 2):
        if one.metric == other.metric and (one.op, other.op) == (">=", "<=") and one.bound > other.bound:
            document.complain("nothing can keep both of these constraints", ("constraints",), seen=f"{one} and {other}")
