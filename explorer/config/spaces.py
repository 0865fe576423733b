"""The space of a file: its free axes, the fixed ones, and the rules, checked so that at least one candidate is left."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from explorer.config.axes import AXES, AxisSpec, NotAValue, known_axes
from explorer.config.document import Document, Where
from explorer.config.sections import RuleSection
from explorer.config.shape import shaped, shown
from explorer.registry import nearest
from explorer.space import Axis, Rule, Space, Value

# A space is enumerated, so that its end is known exactly; this many points take about a second and 100 MB.
MAX_POINTS = 500_000


def read_space(document: Document) -> Space | None:
    """The space, or None with every reason noted."""
    axes = _free_axes(document)
    fixed = _fixed_axes(document)
    if axes is None:
        _check_rule_shapes(document)
        return None
    _refuse_both(document, axes)
    rules = _read_rules(document, {axis.name: axis.values for axis in axes} | {name: (v,) for name, v in fixed.items()})
    space = Space(tuple(axes), tuple(rule for _, rule in rules), fixed)
    return space if _has_candidates(document, space, rules) else None


def _free_axes(document: Document) -> list[Axis] | None:
    given = document.data.get("space")
    if not isinstance(given, dict):
        seen = "" if "space" not in document.data else shown(given)
        document.complain("the space needs axes with values", ("space",), seen=seen, allowed=known_axes())
        return None
    if not given:
        document.complain(
            "the space is empty: it names no axis, so there is nothing to explore", ("space",), allowed=known_axes()
        )
    axes = [_free_axis(document, name, value) for name, value in given.items()]
    return [axis for axis in axes if axis is not None] if given and all(axes) else None


def _free_axis(document: Document, name: str, given: Any) -> Axis | None:
    where: Where = ("space", name)
    spec = AXES.get(name)
    if spec is None:
        document.complain("unknown axis", where, seen=repr(name), allowed=known_axes(), hint=nearest(name, list(AXES)))
        return None
    if spec.unavailable:
        document.complain(f"{name} is not available yet", where, hint=spec.unavailable)
        return None
    listed = _listed(document, where, spec, given)
    if listed is None:
        return None
    values = [_value(document, (*where, *steps), spec, value) for steps, value in listed]
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


def _listed(document: Document, where: Where, spec: AxisSpec, given: Any) -> list[tuple[Where, Any]] | None:
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


def _value(document: Document, where: Where, spec: AxisSpec, value: Any) -> Value | None:
    try:
        return spec.read(value)
    except NotAValue as error:
        hint = nearest(value, spec.words) if isinstance(value, str) and value not in spec.later else ""
        document.complain(str(error), where, seen=shown(value), allowed=error.allowed, hint=hint)
        return None


def _fixed_axes(document: Document) -> dict[str, Value]:
    """What is constant: said at the top level, or by default; what is free is left out."""
    space = document.data.get("space")
    free = set(space) if isinstance(space, dict) else set()
    fixed: dict[str, Value] = {}
    for name, spec in AXES.items():
        if name in document.data:
            value = _fixed_axis(document, spec, document.data[name])
        else:
            value = spec.default
        if value is not None and name not in free:
            fixed[name] = value
    return fixed


def _fixed_axis(document: Document, spec: AxisSpec, given: Any) -> Value | None:
    where: Where = (spec.name,)
    if spec.unavailable:
        document.complain(f"{spec.name} is not available yet", where, hint=spec.unavailable)
        return None
    if isinstance(given, (list, dict)):
        hint = "to explore several values, write the axis below space:"
        document.complain(
            "outside space: an axis has one fixed value", where, seen=shown(given), allowed=spec.allowed, hint=hint
        )
        return None
    return _value(document, where, spec, given)


def _refuse_both(document: Document, axes: list[Axis]) -> None:
    for axis in axes:
        if axis.name in document.data:
            hint = f"keep it in space: (line {document.line(('space', axis.name))}) or outside, not both"
            document.complain(f"{axis.name} is free and fixed at once", (axis.name,), hint=hint)


def _read_rules(document: Document, values: Mapping[str, tuple[Value, ...]]) -> list[tuple[Where, Rule]]:
    given = document.data.get("rules")
    if given is None:
        return []
    if not isinstance(given, list):
        document.complain(
            "rules are a list", ("rules",), seen=shown(given), allowed="- {when: {axis: value}, then: {axis: value}}"
        )
        return []
    rules = [
        (where, _read_rule(document, where, item, values))
        for where, item in ((("rules", i), r) for i, r in enumerate(given))
    ]
    return [(where, rule) for where, rule in rules if rule is not None]


def _check_rule_shapes(document: Document) -> None:
    """All that can be said of the rules while the axes are not known."""
    given = document.data.get("rules")
    for index, item in enumerate(given if isinstance(given, list) else ()):
        shaped(RuleSection, document, ("rules", index), item)


def _read_rule(document: Document, where: Where, given: Any, values: Mapping[str, tuple[Value, ...]]) -> Rule | None:
    section = shaped(RuleSection, document, where, given)
    if section is None:
        return None
    when = _condition(document, (*where, "when"), section.when, values)
    then = _condition(document, (*where, "then"), section.then, values)
    return Rule(when, then) if when is not None and then is not None else None


def _condition(
    document: Document, where: Where, given: Mapping[str, Any], values: Mapping[str, tuple[Value, ...]]
) -> dict[str, tuple[Value, ...]] | None:
    known = [(_known_values(document, (*where, name), name, given[name], values), name) for name in given]
    return (
        None
        if any(found is None for found, _ in known)
        else {name: found for found, name in known if found is not None}
    )


def _known_values(
    document: Document, where: Where, name: str, given: Any, values: Mapping[str, tuple[Value, ...]]
) -> tuple[Value, ...] | None:
    if name not in values:
        what = "this rule speaks of an axis that the experiment does not have"
        document.complain(what, where, seen=repr(name), allowed=", ".join(values), hint=nearest(name, list(values)))
        return None
    listed = given if isinstance(given, list) else [given]
    if not listed:
        document.complain("a rule needs at least one value", where, seen="an empty list", allowed=_words(values[name]))
        return None
    strange = [value for value in listed if not _is_one_of(value, values[name])]
    for value in strange:
        what = f"this rule can never apply: {name} never has this value"
        document.complain(
            what,
            where,
            seen=shown(value),
            allowed=_words(values[name]),
            hint=nearest(str(value), list(map(str, values[name]))),
        )
    return None if strange else tuple(AXES[name].read(value) for value in listed)


def _is_one_of(value: Any, values: tuple[Value, ...]) -> bool:
    return not isinstance(value, (bool, list, dict)) and value in values


def _words(values: tuple[Value, ...]) -> str:
    return ", ".join(map(str, values))


def _has_candidates(document: Document, space: Space, rules: list[tuple[Where, Rule]]) -> bool:
    points = math.prod(len(axis.values) for axis in space.axes)
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


def _any_left(space: Space, rules: list[tuple[Where, Rule]]) -> bool:
    left = Space(space.axes, tuple(rule for _, rule in rules), space.fixed)
    return next(left.walk(), None) is not None


def _smallest_conflict(space: Space, rules: list[tuple[Where, Rule]]) -> list[tuple[Where, Rule]]:
    """Rules that exclude everything together; each of them is needed for that."""
    kept = list(rules)
    for rule in rules:
        without = [other for other in kept if other is not rule]
        if not _any_left(space, without):
            kept = without
    return kept
