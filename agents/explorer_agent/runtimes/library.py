"""Whether a runtime's library can be imported, and if not, why: in words."""

from __future__ import annotations

import importlib


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
