"""Names to things, loaded late: ``Registry("models", {"gaitset": ("explorer.models.gaitset:gaitset", "GaitSet")})``.

A name is looked up among our own entries, then among the entry points ``explorer.<kind>`` of installed packages, and
last, when it holds a colon, it is taken for ``package.module:attribute`` of the user's own.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from explorer.errors import BadInput, Problem


def nearest(word: str, known: Iterable[str]) -> str:
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
        theirs = {e.name: Entry(e.name, e.value, f"from {e.dist.name if e.dist else 'a plug-in'}") for e in plugged}
        return self._own | {name: entry for name, entry in theirs.items() if name not in self._own}

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
        if entry is not None:
            return _import_target(entry.target, self.kind, None)
        if ":" in name:
            return _import_target(name, self.kind, search)
        allowed = ", ".join(sorted(self)) + ", or your own as package.module:attribute"
        raise BadInput(Problem(f"unknown {self.kind[:-1]}", seen=repr(name), allowed=allowed, hint=nearest(name, self)))


def _import_target(target: str, kind: str, search: Path | None) -> Any:
    module_name, _, attribute = target.partition(":")
    module = _import_module(module_name, f"{kind[:-1]} {target!r}", search)
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        hint = nearest(attribute, [name for name in vars(module) if not name.startswith("_")])
        raise BadInput(Problem(f"module {module_name!r} has no {attribute!r}", seen=repr(target), hint=hint)) from error


def _import_module(name: str, what: str, search: Path | None) -> ModuleType:
    """Import `name`; the folder `search` comes last, so that a file of the user's never hides an installed library."""
    if search is not None and str(search) not in sys.path:
        sys.path.append(str(search))
        importlib.invalidate_caches()
    looked = f"looked in {search or 'the installed packages'}"
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise BadInput(Problem(f"cannot import the {what}", seen=str(error), hint=looked)) from error
    except Exception as error:  # a user's module runs here, and may raise whatever it likes
        raise BadInput(Problem(f"the {what} fails on import", seen=f"{type(error).__name__}: {error}")) from error
    _refuse_namesake(module, name, what, search)
    return module


def _refuse_namesake(module: ModuleType, name: str, what: str, search: Path | None) -> None:
    """An installed module was found although the user has a file of that name beside the space file."""
    if search is None or not (own := search.joinpath(*name.split(".")).with_suffix(".py")).is_file():
        return
    found = Path(getattr(module, "__file__", None) or "nowhere")
    if found.resolve() != own.resolve():
        hint = f"rename {own.name}: {found} has the same name"
        raise BadInput(Problem(f"the {what} is hidden by another module", seen=repr(name), hint=hint))
