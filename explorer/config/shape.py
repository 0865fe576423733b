"""Sections of a document brought into shape: pydantic's verdicts told in the program's own words, with lines."""

from __future__ import annotations

import json
import re
from typing import Any, TypeGuard, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from explorer.config.document import Document, Where
from explorer.registry import nearest

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

# pydantic's kinds of error that say only that a value has the wrong type, and what would have been right.
_TYPES = {
    "string_type": "a word or text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}
_BOUNDS = {"ge": "{:g} or more", "gt": "more than {:g}", "le": "{:g} or less", "lt": "less than {:g}"}


def shaped(kind: type[T], document: Document, where: Where, value: Any) -> T | None:
    """`value` as a `kind`, or None with every reason noted in the document."""
    found: T | None = shaped_as(kind, document, where, value)
    return found


def shaped_as(kind: Any, document: Document, where: Where, value: Any) -> Any:
    """The same for annotations that are no class, such as a Literal."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        for details in error.errors():
            _complain(dict(details), kind, document, where)
        return None


def section_of(document: Document, name: str, kind: type[M]) -> M:
    """A section of the file; its defaults where it is left out or cannot be read."""
    given = document.data.get(name)
    return (shaped(kind, document, (name,), given) if given is not None else None) or kind()


def unknown_key(document: Document, where: Where, known: list[str], *, hint: str = "") -> None:
    """Note that the last step of `where` is no key here."""
    hint = hint or nearest(str(where[-1]), known)
    document.complain("unknown key", where, seen=repr(where[-1]), allowed=", ".join(known), hint=hint)


def shown(value: Any) -> str:
    """A value as it would stand in the file, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _complain(details: dict[str, Any], kind: Any, document: Document, where: Where) -> None:
    place, problem = (*where, *details["loc"]), details["type"]
    context, seen = details.get("ctx", {}), shown(details["input"])
    if problem == "extra_forbidden":
        unknown_key(document, place, _keys_at(kind, details["loc"][:-1]))
    elif problem == "missing":
        document.complain("this key is missing", place)
    elif problem in _TYPES:
        document.complain("wrong type", place, seen=_seen(details["input"]), allowed=_TYPES[problem])
    elif problem == "literal_error":
        words = re.findall(r"'([^']*)'", str(context["expected"]))
        document.complain(
            "not one of the words that can stand here",
            place,
            seen=seen,
            allowed=", ".join(words),
            hint=nearest(str(details["input"]), words),
        )
    elif problem == "value_error":
        document.complain("not a value that can stand here", place, seen=seen, allowed=str(context["error"]))
    else:
        document.complain(
            "not a value that can stand here", place, seen=seen, allowed=_bounds(context) or details["msg"]
        )


def _bounds(context: dict[str, Any]) -> str:
    if "pattern" in context:
        return "letters, digits and . + - _, beginning with a letter or digit"
    if "min_length" in context:
        return "at least one entry"
    return " and ".join(text.format(context[bound]) for bound, text in _BOUNDS.items() if bound in context)


def _seen(value: Any) -> str:
    names = {
        str: "the word",
        bool: "",
        int: "the number",
        float: "the number",
        list: "a list",
        dict: "keys and values",
        type(None): "",
    }
    name = names.get(type(value), "")
    return "nothing" if value is None else f"{name} {shown(value)}".strip()


def _keys_at(kind: Any, steps: tuple[str | int, ...]) -> list[str]:
    """The keys known at a place inside `kind`."""
    for step in steps:
        if isinstance(step, str) and _is_model(kind) and step in kind.model_fields:
            kind = kind.model_fields[step].annotation
    return list(kind.model_fields) if _is_model(kind) else []


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
