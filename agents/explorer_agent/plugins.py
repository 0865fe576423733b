"""Device-side plug-ins: modules named on the command line that bring runtimes or meters of their own.

Such a module holds ``RUNTIMES = {name: runtime}`` or ``METERS = {name: factory}``; it must be importable by this
Python.
"""

from __future__ import annotations

import importlib
from typing import Iterable

from explorer_agent import meters, runtimes


def load(names: Iterable[str]) -> None:
    """Import the modules `names` and enter what they bring."""
    for name in names:
        module = importlib.import_module(name)
        runtimes.RUNTIMES.update(getattr(module, "RUNTIMES", {}))
        meters.METERS.update(getattr(module, "METERS", {}))
