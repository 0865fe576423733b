"""What is wanted of a candidate: objectives and constraints, on metrics that the experiment can yield."""

from __future__ import annotations

import itertools
from typing import Any, Literal

from explorer.config.document import Document, Where
from explorer.config.metrics import METRICS
from explorer.config.shape import shaped_as, shown
from explorer.registry import nearest
from explorer.result import Constraint, Objective


def read_objectives(document: Document, *, dataset: bool, extra: tuple[str, ...]) -> tuple[Objective, ...]:
    """The objectives; `dataset`: whether there is one to score outputs by, `extra`: further metrics it yields."""
    given = document.data.get("objectives")
    if not isinstance(given, dict) or not given:
        seen = shown(given) if "objectives" in document.data else ""
        document.complain(
            "an experiment needs objectives", ("objectives",), seen=seen, allowed="{metric: max or min, …}"
        )
        return ()
    found = [
        _objective(document, ("objectives", name), value, dataset=dataset, extra=extra) for name, value in given.items()
    ]
    return tuple(objective for objective in found if objective is not None)


def _objective(
    document: Document, where: Where, given: Any, *, dataset: bool, extra: tuple[str, ...]
) -> Objective | None:
    name = str(where[-1])
    known = _is_metric(document, where, name, dataset=dataset, extra=extra)
    direction = shaped_as(Literal["max", "min"], document, where, given)
    if not known or direction is None:
        return None
    if name in METRICS and METRICS[name].better != direction:
        document.complain(f"this looks for the worst {name}", where, seen=direction, allowed=METRICS[name].better)
        return None
    return Objective(name, direction)


def read_constraints(document: Document, *, dataset: bool, extra: tuple[str, ...]) -> tuple[Constraint, ...]:
    """The constraints; arguments as for the objectives."""
    given = document.data.get("constraints")
    if given is None:
        return ()
    if not isinstance(given, list):
        document.complain(
            "constraints are a list", ("constraints",), seen=shown(given), allowed='["accuracy >= 0.85", …]'
        )
        return ()
    found = [
        _constraint(document, ("constraints", i), text, dataset=dataset, extra=extra) for i, text in enumerate(given)
    ]
    constraints = tuple(constraint for constraint in found if constraint is not None)
    _refuse_contradictions(document, constraints)
    return constraints


def _constraint(
    document: Document, where: Where, given: Any, *, dataset: bool, extra: tuple[str, ...]
) -> Constraint | None:
    try:
        constraint = Constraint.parse(str(given))
    except ValueError:
        document.complain(
            "not a constraint", where, seen=shown(given), allowed="a text like 'accuracy >= 0.85' or 'latency_ms <= 40'"
        )
        return None
    if not _is_metric(document, where, constraint.metric, dataset=dataset, extra=extra):
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


def _is_metric(document: Document, where: Where, name: str, *, dataset: bool, extra: tuple[str, ...]) -> bool:
    own = ("accuracy", "accuracy_") if dataset else ()
    possible = [
        metric for metric, spec in METRICS.items() if spec.needs in ("", "dataset" if dataset else "no dataset")
    ]
    if name in possible or name in extra or (own and name.startswith("accuracy_")):
        return True
    if not dataset and (name == "accuracy" or name.startswith("accuracy_")):
        hint = "add a dataset:, or ask for output_error: min (how far outputs are from fp32)"
        document.complain(
            "accuracy needs a dataset to be measured on, and there is none", where, seen=repr(name), hint=hint
        )
    elif name in METRICS:
        hint = "with a dataset, accuracy says what the outputs are worth"
        document.complain(f"{name} is for networks without a dataset", where, seen=repr(name), hint=hint)
    else:
        allowed = ", ".join([*possible, *extra, *(["accuracy_… of the dataset"] if dataset else [])])
        document.complain(
            "unknown metric", where, seen=repr(name), allowed=allowed, hint=nearest(name, [*possible, *extra])
        )
    return False


def _refuse_contradictions(document: Document, constraints: tuple[Constraint, ...]) -> None:
    for one, other in itertools.permutations(constraints, 2):
        if one.metric == other.metric and (one.op, other.op) == (">=", "<=") and one.bound > other.bound:
            document.complain("nothing can keep both of these constraints", ("constraints",), seen=f"{one} and {other}")
