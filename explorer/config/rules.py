"""The rules of a file: every axis and value they speak of must be the experiment's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from explorer.config.document import Document, Where
from explorer.config.sections import RuleSection
from explorer.config.shape import shaped, shown
from explorer.registry import nearest
from explorer.space import Rule, Value

Rules = list[tuple[Where, Rule]]  # with the place in the file where each stands


def read_rules(document: Document, values: Mapping[str, tuple[Value, ...]]) -> Rules:
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


def check_rule_shapes(document: Document) -> None:
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
    return None if strange else tuple(next(held for held in values[name] if held == value) for value in listed)


def _is_one_of(value: Any, values: tuple[Value, ...]) -> bool:
    return not isinstance(value, (bool, list, dict)) and value in values


def _words(values: tuple[Value, ...]) -> str:
    return ", ".join(map(str, values))
