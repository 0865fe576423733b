"""Device-side plug-ins: modules named on the command line that bring runtimes or meters of their own.

Such a module holds ``RUNTIMES = {name: runtime}`` or ``METERS = {name: factory}``; this Python must be able to import
it.
"""

from __future__ import annotations

import importlib
from typing import Sequence

from explorer_agent import meters, runtimes
from explorer_agent.messages import UNSUPPORTED, AgentError


def load(plugins: Sequence[str], only: Sequence[str] = ()) -> None:
    """Import the modules `plugins` and enter what they bring; keep only the runtimes `only`, unless that is empty.

    Raises:
        AgentError: unsupported: a module that cannot be imported, or a runtime of that name that nobody brings.
    """
    for name in plugins:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise AgentError(UNSUPPORTED, f"cannot import the plug-in {name}: {error}") from error
        runtimes.RUNTIMES.update(getattr(module, "RUNTIMES", {}))
        meters.METERS.update(getattr(module, "METERS", {}))
    unknown = [name for name in only if name not in runtimes.RUNTIMES]
    if unknown:
        known = ", ".join(runtimes.RUNTIMES)
        raise AgentError(UNSUPPORTED, f"unknown runtime {', '.join(unknown)}", hint=f"known: {known}")
    for name in set(runtimes.RUNTIMES).difference(only) if only else ():
        del runtimes.RUNTIMES[name]
