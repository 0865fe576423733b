"""What the user may say about the crowd, and what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from explorer.datasets.walkers.body import CONDITIONS, Condition
from explorer.errors import BadInput, Problem
from explorer.registry import nearest

Modality = Literal["silhouette", "flow", "stacked_flow"]
MODALITIES: tuple[Modality, ...] = ("silhouette", "flow", "stacked_flow")
MOST_NOISE = 10


@dataclass(frozen=True)
class Options:
    """Everything the pixels depend on."""

    modality: Modality
    seed: int
    subjects_train: int
    subjects_test: int
    views: tuple[int, ...]
    conditions: tuple[Condition, ...]
    sequences_train: int
    frames: int
    frames_train: int
    noise: float

    @property
    def flows(self) -> bool:
        """Whether it is flow that is drawn, however it is handed out."""
        return self.modality != "silhouette"


def check(options: Options, *, conditions: Sequence[str]) -> None:
    """Refuse what cannot be drawn.

    Args:
        options: as they will be used.
        conditions: as the user named them.

    Raises:
        BadInput: with every option that is wrong.
    """
    problems = [*_too_small(options), *_unknown(options, conditions), *_unusable(options)]
    if problems:
        raise BadInput(problems)


def _too_small(options: Options) -> list[Problem]:
    at_least = {
        "subjects_train": 2,
        "subjects_test": 2,
        "sequences_train": 1,
        "frames": 1,
        "seed": 0,
        "frames_train": 1,
    }
    seen: dict[str, Any] = {name: getattr(options, name) for name in at_least}
    if type(seen["frames"]) is int:
        at_least["frames_train"] = seen["frames"]
    return [
        Problem(
            f"{name} is no whole number" if type(seen[name]) is not int else f"{name} is too small",
            path=f"dataset.{name}",
            seen=repr(seen[name]),
            allowed=f"{least} or more",
        )
        for name, least in at_least.items()
        if type(seen[name]) is not int or seen[name] < least
    ]


def _unknown(options: Options, conditions: Sequence[str]) -> list[Problem]:
    said: dict[str, list[str]] = {"modality": [options.modality], "conditions": list(conditions)}
    allowed: dict[str, tuple[str, ...]] = {"modality": MODALITIES, "conditions": CONDITIONS}
    return [
        Problem(
            f"unknown {name.removesuffix('s')}",
            path=f"dataset.{name}",
            seen=", ".join(map(repr, strange)),
            allowed=", ".join(allowed[name]),
            hint=nearest(strange[0], allowed[name]),
        )
        for name, words in said.items()
        if (strange := [word for word in words if word not in allowed[name]])
    ]


def _unusable(options: Options) -> list[Problem]:
    problems = []
    views = options.views
    if (
        not views
        or len(set(views)) < len(views)
        or any(type(view) is not int or not 0 <= view <= 180 for view in views)
    ):
        allowed = "distinct whole degrees of 0…180"
        problems.append(Problem("no usable views", path="dataset.views", seen=str(list(views)), allowed=allowed))
    if not 0 <= options.noise <= MOST_NOISE:
        allowed = f"0…{MOST_NOISE}"
        problems.append(
            Problem("noise is out of range", path="dataset.noise", seen=str(options.noise), allowed=allowed)
        )
    return problems
