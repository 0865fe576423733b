"""The dataset a pass is told to use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from explorer.datasets import DATASETS
from explorer.datasets.protocols import Dataset
from explorer.errors import BadInput, Problem


def search_folder(params: Mapping[str, Any]) -> Path | None:
    """The folder in which the user's own modules are looked for: ``params["search"]``."""
    return Path(params["search"]) if params.get("search") else None


def open_dataset(params: Mapping[str, Any]) -> Dataset:
    """The dataset of ``params["dataset"]``: {name, options}.

    Raises:
        BadInput: it is unknown, or refuses its options.
    """
    reference = params["dataset"]
    make = DATASETS.load(reference["name"], search=search_folder(reference) or search_folder(params))
    try:
        dataset: Dataset = make(**dict(reference.get("options") or {}))
    except TypeError as error:
        raise BadInput(
            Problem(f"dataset {reference['name']!r} cannot be opened with these options: {error}", path="dataset")
        ) from error
    return dataset
