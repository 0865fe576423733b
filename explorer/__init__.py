"""Explore the design space of deploying a neural network, measured on the device it will run on.

Importing this package is cheap: torch, optuna, pandas and the rest load when a function that needs them is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.report.notebook import Study as Study
    from explorer.report.notebook import load_study as load_study

__version__ = "0.1.0"
__all__ = ["__version__", "load_study"]


def __getattr__(name: str) -> Any:
    if name == "load_study":
        from explorer.report.notebook import load_study

        return load_study
    raise AttributeError(f"module 'explorer' has no attribute {name!r}")
