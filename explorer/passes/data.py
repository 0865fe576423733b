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


def sample_shape(params: Mapping[str, Any]) -> tuple[int, ...]:
    """Shape of one input without the batch axis: given, or the dataset's.

    Raises:
        BadInput: neither says it.
    """
    given = params.get("sample_shape") or (params.get("dataset") or {}).get("sample_shape")
    if given:
        return tuple(int(size) for size in given)
    if not params.get("dataset"):
        raise BadInput(
            Problem("the shape of one input is not known", path="sample_shape", hint="give sample_shape or a dataset")
        )
    return tuple(open_dataset(params).sample_shape)
