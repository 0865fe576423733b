"""What the runtimes share: why a library cannot be imported, in words, and how cores are dealt out to streams."""

from __future__ import annotations

import importlib
import os

from explorer_agent.messages import Deployment


def cores() -> int:
    """Cores this process may run on: more streams than that would only wait for each other."""
    return len(os.sched_getaffinity(0))


def threads_each(deployment: Deployment) -> int:
    """Threads of one inference, 0 for as many as the library likes; several streams share the cores."""
    if deployment.threads or deployment.streams == 1:
        return deployment.threads
    return max(1, cores() // deployment.streams)


def why_not_importable(*modules: str) -> str:
    """Empty when all of `modules` can be imported."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name == module:
                return f"{module} is not installed for this Python; pip install {module}"
            return f"importing {module}: {error}"
        except ImportError as error:
            return f"importing {module}: {error}"
    return ""
