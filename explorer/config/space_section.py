"""The space of a file: its free axes, the fixed ones, and the rules, checked so that at least one candidate is left."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from explorer.config.axes import AXES, AxisSpec, Domain, NotAValue
from explorer.config.document import Document, Where
from explorer.config.rules import Rules, check_rule_shapes, read_rules
from explorer.config.shape import shown
from explorer.registry import nearest
from explorer.space import IDLE_UNPRUNED, QUANTISATION_AXES, TRAINING_AXES, Axis, Space, Value

# A space is enumerated, so that its end is known exactly; this many points take about a second and 100 MB.
MAX_POINTS = 500_000


def read_space(document: Document, *, bare: bool = False, own: bool = False) -> Space | None:
    """The space, or None with every reason noted.

    Args:
        document: the space file.
        bare: the network is a file, which nothing trains.
        own: the boards are brought runtimes of the user's own.
    """
    axes = free_axes(document, AXES, own=own)
    fixed = _fixed_axes(document, own)
    if bare:
        fixed = {name: value for name, value in fixed.items() if name not in TRAINING_AXES}
    if axes is None:
        check_rule_shapes(document)
        return None
    _refuse_both(document, axes)
    _refuse_idle(document, axes, fixed)
    rules = read_rules(document, {axis.name: axis.values for axis in axes} | {name: (v,) for name, v in fixed.items()})
    space = Space(tuple(axes), tuple(rule for _, rule in rules), fixed)
    if own:
        _refuse_own_int8(document, space)
    return space if has_candidates(document, space, rules) else None


def free_axes(document: Document, domains: Mapping[str, Domain], *, own: bool = False) -> list[Axis] | None:
    """The axes that may vary, each with its values as its domain holds them; None with every reason noted."""
    known = ", ".join(domains)
    given = document.data.get("space")
    if not isinstance(given, dict):
        seen = "" if "space" not in document.data else shown(given)
        document.complain("the space needs axes with values", ("space",), seen=seen, allowed=known)
        return None
    if not given:
        document.complain(
            "the space is empty: it names no axis, so there is nothing to explore", ("space",), allowed=known
        )
    axes = [_free_axis(document, domains, name, value, own) for name, value in given.items()]
    return [axis for axis in axes if axis is not None] if given and all(axes) else None


def _free_axis(document: Document, domains: Mapping[str, Domain], name: str, given: Any, own: bool) -> Axis | None:
    where: Where = ("space", name)
    spec = domains.get(name)
    if spec is None:
        known = list(domains)
        document.complain("unknown axis", where, seen=repr(name), allowed=", ".join(known), hint=nearest(name, known))
        return None
    listed = _listed(document, where, spec, given)
    if listed is None:
        return None
    values = [_value(document, (*where, *steps), spec, value, own) for steps, value in listed]
    if None in values:
        return None
    return _axis_of(document, where, [value for value in values if value is not None])


def _axis_of(document: Document, where: Where, values: list[Value]) -> Axis | None:
    if not values:
        document.complain(
            "an axis needs at least one value",
            where,
            seen="an empty list",
            hint="leave the axis out to keep its default",
        )
        return None
    twice = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    if twice:
        document.complain("a value is here twice", where, seen=shown(twice[0]), hint="keep one")
        return None
    numeric = all(isinstance(value, (int, float)) for value in values)
    return Axis(str(where[-1]), tuple(sorted(values, key=float) if numeric else values))


def _listed(document: Document, where: Where, spec: Domain, given: Any) -> list[tuple[Where, Any]] | None:
    """Every value of an axis with the steps to it, whichever way it is written."""
    if isinstance(given, list):
        return [((index,), value) for index, value in enumerate(given)]
    if isinstance(given, dict) and set(given) == {"values"} and isinstance(given["values"], list):
        return [(("values", index), value) for index, value in enumerate(given["values"])]
    if isinstance(given, dict) and set(given) == {"from", "to", "step"}:
        return _stepped(document, where, given)
    ways = "a list, {values: [...]}, or {from: ..., to: ..., step: ...}"
    hint = "" if isinstance(given, (dict, list)) else f"to fix it, write {spec.name}: {shown(given)} outside space:"
    document.complain("an axis is a list of values", where, seen=shown(given), allowed=ways, hint=hint)
    return None


def _stepped(document: Document, where: Where, given: Mapping[str, Any]) -> list[tuple[Where, Any]] | None:
    start, stop, step = given["from"], given["to"], given["step"]
    numbers = all(
        isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n) for n in (start, stop, step)
    )
    if not numbers or step <= 0 or stop < start or (stop - start) / step > MAX_POINTS:
        document.complain(
            "from, to and step make no series", where, seen=shown(given), allowed="numbers with from <= to and step > 0"
        )
        return None
    count = math.floor((stop - start) / step + 1e-9) + 1
    # Rounded, so that from 0 to 0.3 by 0.1 ends at 0.3 and not at 0.30000000000000004.
    return [((), round(start + index * step, 10)) for index in range(count)]


def _value(document: Document, where: Where, spec: Domain, value: Any, own: bool) -> Value | None:
    try:
        return spec.read(value, own=own)
    except NotAValue as error:
        hint = nearest(value, spec.words) if isinstance(value, str) else ""
        if spec.open and not hint:
            hint = "a runtime of your own comes with a module: device_options: {plugins: [...]}"
        document.complain(str(error), where, seen=shown(value), allowed=error.allowed, hint=hint)
        return None


def _fixed_axes(document: Document, own: bool) -> dict[str, Value]:
    """What is constant: said at the top level, or by default; what is free is left out."""
    space = document.data.get("space")
    free = set(space) if isinstance(space, dict) else set()
    fixed: dict[str, Value] = {}
    for name, spec in AXES.items():
        if name in document.data:
            value = _fixed_axis(document, spec, document.data[name], own)
        else:
            value = spec.default
        if value is not None and name not in free:
            fixed[name] = value
    return fixed


def _fixed_axis(document: Document, spec: AxisSpec, given: Any, own: bool) -> Value | None:
    where: Where = (spec.name,)
    if isinstance(given, (list, dict)):
        hint = "to explore several values, write the axis below space:"
        document.complain(
            "outside space: an axis has one fixed value", where, seen=shown(given), allowed=spec.allowed, hint=hint
        )
        return None
    return _value(document, where, spec, given, own)


def _refuse_both(document: Document, axes: list[Axis]) -> None:
    for axis in axes:
        if axis.name in document.data:
            hint = f"keep it in space: (line {document.line(('space', axis.name))}) or outside, not both"
            document.complain(f"{axis.name} is free and fixed at once", (axis.name,), hint=hint)


def _refuse_idle(document: Document, axes: list[Axis], fixed: dict[str, Value]) -> None:
    """An axis that could never change anything is a mistake: somebody expects it to."""
    values = {name: (value,) for name, value in fixed.items()} | {axis.name: axis.values for axis in axes}
    for axis in axes:
        if axis.name in QUANTISATION_AXES and "int8" not in values["precision"]:
            document.complain(f"{axis.name} changes nothing: precision is never int8", ("space", axis.name))
        if axis.name in IDLE_UNPRUNED and values.get("prune_ratio") == (0.0,):
            document.complain(f"{axis.name} changes nothing: prune_ratio is always 0", ("space", axis.name))


def _refuse_own_int8(document: Document, space: Space) -> None:
    """The host quantises by a recipe for each runtime it knows."""
    known = AXES["runtime"].words
    points = (candidate.all for candidate in space.walk())
    strange = next((p["runtime"] for p in points if p["runtime"] not in known and p["precision"] == "int8"), None)
    if strange is not None:
        free = any(axis.name == "precision" for axis in space.axes)
        where: Where = ("space", "precision") if free else ("precision",)
        what = f"no recipe for int8 is known for the runtime {strange}"
        hint = "leave int8 out, or exclude it by a rule: when that runtime, then another precision"
        document.complain(what, where, seen="int8", allowed=f"int8 with {' or '.join(known)}", hint=hint)


def has_candidates(document: Document, space: Space, rules: Rules) -> bool:
    """Whether the space is small enough and its rules leave anything; complains otherwise."""
    points = math.prod(len(axis.values) for axis in space.axes) if space.listed is None else len(space.listed)
    if points > MAX_POINTS:
        document.complain(
            "the space is too large to enumerate",
            ("space",),
            seen=f"{points:,} points",
            allowed=f"up to {MAX_POINTS:,}",
        )
        return False
    if _any_left(space, rules):
        return True
    culprits = _smallest_conflict(space, rules)
    for where, rule in culprits:
        others = [str(rule_) for where_, rule_ in culprits if where_ != where]
        with_whom = f" together with: {'; '.join(others)}" if others else ""
        document.complain(f"the space is empty: this rule leaves no candidate{with_whom}", where, seen=str(rule))
    return False


def _any_left(space: Space, rules: Rules) -> bool:
    return next(replace(space, rules=tuple(rule for _, rule in rules)).walk(), None) is not None


def _smallest_conflict(space: Space, rules: Rules) -> Rules:
    """Rules that exclude everything together; each of them is needed for that."""
    kept = list(rules)
    for rule in rules:
        without = [other for other in kept if other is not rule]
        if not _any_left(space, without):
            kept = without
    return kept
