"""Data by name: what a dataset owes the program is in `protocols`; each name is imported only when it is asked for."""

from __future__ import annotations

from explorer.registry import Registry

DATASETS = Registry(
    "datasets",
    {
        "walkers": ("explorer.datasets.walkers:Walkers", "a procedural crowd of walkers: silhouettes or optical flow"),
        "casia_b": ("explorer.datasets.casia_b:CasiaB", "CASIA-B silhouettes from your own licensed copy"),
    },
)
