"""Of the meters that a board tells of: whether the wanted one can be used, and which one might be mended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Meters = Mapping[str, Mapping[str, Any]]


def why_unusable(wanted: Mapping[str, Any], known: Meters) -> str:
    """Why the meter asked for by name cannot be used; empty when it can, or when any will do."""
    name = wanted.get("name", "auto")
    if name not in ("auto", "declared", *known):
        return f"unknown meter {name!r}; known: auto, {', '.join(known)}"
    if name == "declared":
        missing = [key for key in ("idle_w", "busy_core_w") if not isinstance(wanted.get(key), (int, float))]
        return f"the meter 'declared' needs {' and '.join(missing)}, in watts" if missing else ""
    why_not = known[name]["why_not"] if name in known else ""
    return f"the meter {name!r} cannot be used: {why_not}" if why_not else ""


def better(wanted: Mapping[str, Any], known: Meters) -> str:
    """The first meter that would be taken before the one that is, if what keeps it from being used were mended, and
    how; empty when there is none, or one was asked for by name.
    """
    if wanted.get("name", "auto") != "auto":
        return ""
    for name, facts in known.items():
        if facts["available"] and not facts.get("units"):
            return ""
        if facts.get("mendable"):
            return f"{name}: {facts['why_not']}"
    return ""
