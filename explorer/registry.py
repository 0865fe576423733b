"""Names to things, loaded late: ``Registry("models", {"gaitset": "explorer.models.gaitset:GaitSet"})``.

A name is looked up among our own entries, then among the entry points ``explorer.<kind>`` of installed packages, and last, when
it holds a colon, it is taken for ``package.module:attribute`` of the user's own.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from explorer.errors import BadInput, Problem


def nearest(word: str, known: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    """A hint naming the known word nearest to `word`; empty when none is near."""
    match = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    return f"did you mean {match[0]!r}?" if match else ""


@dataclass(frozen=True)
class Entry:
    """One registered name: where it lies, and one line of what it is."""

    name: str
    target: str
    summary: str = ""


class Registry:
    """Lazy names of one kind ("models", "datasets", …)."""

    def __init__(self, kind: str, entries: Mapping[str, tuple[str, str]]) -> None:
        """`entries`: name → (``module:attribute``, one line of what it is)."""
        self.kind = kind
        self._own = {name: Entry(name, target, summary) for name, (target, summary) in entries.items()}

    def entries(self) -> dict[str, Entry]:
        """Every known name, ours first; an installed plug-in never hides one of ours."""
        plugged = entry_points(group=f"explorer.{self.kind}")
        return {e.name: Entry(e.name, e.value, f"from {e.dist.name if e.dist else 'a plug-in'}") for e in plugged} | self._own

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries())

    def __contains__(self, name: str) -> bool:
        return name in self.entries()

    def load(self, name: str, *, search: Path | None = None) -> Any:
        """The object behind `name`; ``module:attribute`` is also looked for in the folder `search`.

        Raises:
            BadInput: the name is unknown, or what it points to cannot be imported.
        """
        entry = self.entries().get(name)
        if entry is None and ":" not in name:
            allowed = ", ".join(sorted(self.entries())) + ", or your own as package.module:attribute"
            raise BadInput(Problem(f"unknown {self.kind[:-1]}", seen=repr(name), allowed=allowed, hint=nearest(name, list(self))))
        return _import_target(entry.target if entry else name, self.kind, search)


def _import_target(target: str, kind: str, search: Path | None) -> Any:
    module_name, _, attribute = target.partition(":")
    if search is not None and str(search) not in sys.path:
        sys.path.insert(0, str(search))
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        problem = Problem(
            f"cannot import the {kind[:-1]} {target!r}", seen=str(error), hint=f"looked on sys.path and in {search or Path.cwd()}"
        )
        raise BadInput(problem) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        hint = nearest(attribute, [n for n in vars(module) if not n.startswith("_")])
        raise BadInput(Problem(f"module {module_name!r} has no {attribute!r}", seen=repr(target), hint=hint)) from error
