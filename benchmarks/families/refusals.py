"""What a drawn board cannot do: some values, some pairs of them, and whatever its memory has no room for.

Rules are drawn until as many candidates are impossible as wanted; memory makes up what is left to that share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from explorer.space import Space, Value

Floats = NDArray[np.float64]

NO_ROOM = "out of memory"
FOR_MEMORY = 0.02  # of all candidates, at least, are left to it


def refusals(space: Space, memory: Floats, share: float, rng: np.random.Generator) -> NDArray[np.str_]:
    """Why each candidate is impossible; "" for those that are possible ``[candidates]``.

    `memory` is what each candidate needs ``[candidates]``, `share` how many of all are to be impossible.
    """
    reasons = np.full(space.size, "", dtype="U96")
    for forbidden in _drawn(space, rng):
        meets = np.array([forbidden.items() <= candidate.params.items() for candidate in space.candidates])
        fresh = meets & (reasons == "")
        if fresh.any() and (fresh | (reasons != "")).mean() <= share - FOR_MEMORY:
            reasons[fresh] = " and ".join(f"{axis} is {value}" for axis, value in forbidden.items())
    left = np.flatnonzero(reasons == "")
    too_many = round(share * space.size) - (space.size - len(left))
    reasons[left[np.argsort(-memory[left], kind="stable")[:too_many]]] = NO_ROOM
    return reasons


def forbidden(reason: str, params: Mapping[str, Value]) -> dict[str, Value]:
    """The values that a rule forbids together, of a candidate that has them; none where it is no rule."""
    words = set(reason.split(" and "))
    return {axis: value for axis, value in params.items() if f"{axis} is {value}" in words}


def _drawn(space: Space, rng: np.random.Generator) -> Sequence[dict[str, Value]]:
    """What may be impossible together: fp32 on a DLA first, the others in an order that is drawn."""
    axes = {axis.name: axis.values for axis in space.axes}
    smallest, largest = {n: v[0] for n, v in axes.items()}, {n: v[-1] for n, v in axes.items()}
    others: list[dict[str, Value]] = [
        {"placement": "dla", "batch": largest["batch"]},
        {"placement": "gpu+dla", "power_mode": smallest["power_mode"]},
        {"precision": "int8", "round_to": smallest.get("round_to", 0)},
        {"precision": "mixed", "power_mode": smallest["power_mode"]},
        {"placement": "dla", "streams": largest.get("streams", 0)},
        {"precision": "fp32", "batch": largest["batch"]},
        {"prune_ratio": largest["prune_ratio"]},
        {"precision": "fp16", "streams": largest.get("streams", 0)},
    ]
    order = rng.permutation(len(others)).tolist()
    first: list[dict[str, Value]] = [
        {"placement": "dla", "precision": "fp32"},
        {"placement": "gpu+dla", "precision": "fp32"},
    ]
    return [*first, *(others[i] for i in order)]
