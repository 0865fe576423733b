"""An engine's file: the plans that TensorRT serialised, one for each kind of unit, and what they are bound to.

A stored zip of ``engine.json`` and ``gpu.plan``, ``dla.plan``. A plan is tied to the TensorRT, the GPU and the
platform that made it, and is code: one from elsewhere is refused before TensorRT sees a byte of it.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, Mapping

from explorer_agent.messages import FAILED, AgentError

_FACTS = "engine.json"


def write(path: Path, plans: Mapping[str, bytes], facts: Mapping[str, Any]) -> None:
    """Write `plans`, by the kind of unit, and `facts`, which hold "bound_to"."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(_FACTS, json.dumps(facts, sort_keys=True))
        for unit, plan in plans.items():
            file.writestr(f"{unit}.plan", plan)


def read(path: Path, bound_to: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The plans and facts of an engine that was built here.

    Raises:
        AgentError: failed: the file is something else, or was built elsewhere.
        OSError: there is no such file.
    """
    try:
        with zipfile.ZipFile(path) as file:
            facts = json.loads(file.read(_FACTS).decode("utf-8"))
            _refuse_foreign(dict(facts["bound_to"]), bound_to)
            names = [name for name in file.namelist() if name.endswith(".plan")]
            return {name[: -len(".plan")]: file.read(name) for name in names}, facts
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise AgentError(FAILED, f"the engine is none of TensorRT's: {error}") from error


def _refuse_foreign(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    differing = [f"{name} {theirs.get(name)!r}, here {ours[name]!r}" for name in ours if theirs.get(name) != ours[name]]
    if differing:
        text = "the engine was built elsewhere: " + ", ".join(differing)
        raise AgentError(FAILED, text, hint="build it on this board, or on one that is equal in all of that")
