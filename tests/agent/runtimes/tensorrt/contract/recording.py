"""What the runtime touches of a face while it runs, so that the list of what it uses can be shown to be complete.

Only what is touched from the runtime's own files counts: a face calls itself too.
"""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

from explorer_agent.runtimes import tensorrt

OURS = str(Path(tensorrt.__file__).parent)


def watch(face: Any, touched: set[str]) -> ModuleType:
    """`face` with every class told to note into `touched` who is asked for what, as "Class.name"."""
    watched = _Watched(face.__name__)
    for name, found in vars(face).items():
        if isinstance(found, type) and issubclass(found, Enum):
            found = _Values(found, touched)
        elif isinstance(found, type):
            _watch_class(found, touched)
        setattr(watched, name, found)
    watched.touched = touched
    return watched


class _Watched(ModuleType):
    touched: set[str] = set()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("__") and name != "touched" and _from_ours():
            self.touched.add(name)
        return super().__getattribute__(name)


class _Values:
    """An enumeration; its values are what they were."""

    def __init__(self, values: type[Enum], touched: set[str]) -> None:
        self._values, self._touched = values, touched

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._values, name)
        if _from_ours():
            self._touched.add(f"{self._values.__name__}.{name}")
        return found

    def __dir__(self) -> list[str]:
        return list(self._values.__members__)

    def __call__(self, value: Any) -> Any:
        return self._values(value)

    def __iter__(self) -> Any:
        return iter(self._values)


def _watch_class(kind: Any, touched: set[str]) -> None:
    get, set_ = kind.__getattribute__, kind.__setattr__

    def reading(self: Any, name: str) -> Any:
        if not name.startswith("_") and _from_ours():
            touched.add(f"{kind.__name__}.{name}")
        return get(self, name)

    def writing(self: Any, name: str, value: Any) -> None:
        if _from_ours():
            touched.add(f"{kind.__name__}.{name}")
        set_(self, name, value)

    kind.__getattribute__, kind.__setattr__ = reading, writing


def _from_ours() -> bool:
    return sys._getframe(2).f_code.co_filename.startswith(OURS)
