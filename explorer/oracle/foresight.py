"""What a study knows of its boards before it asks them: the rules on the network as it is now, and what was learnt.

before(deployment)        the board and the uncompressed network: nothing has been made for the candidate yet
of(onnx, sha256, …)       the board, the candidate's own file, and what that board has shown of it
learn(…)                  a board has called it infeasible: not asked again
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from explorer.oracle.board import Target
from explorer.oracle.case import RUNTIMES
from explorer.oracle.graph import Graph
from explorer.oracle.learnt import Learnt
from explorer.oracle.rules import Refusal, refusals

FILE = "learnt.jsonl"
ASKED = ("runtime", "precision", "placement", "batch", "streams")  # of a deployment; a space is asked of as a whole


class Foresight:
    """Of boards that are all alike."""

    def __init__(self, capabilities: Mapping[str, Any], folder: Path, *, graph: Graph | None = None) -> None:
        """
        Args:
            capabilities: what one of them said in its hello.
            folder: where what is learnt is kept.
            graph: the uncompressed network; without, only the boards are asked.
        """
        self._target, self._graph = Target.of_capabilities(capabilities), graph
        self._before: dict[tuple[tuple[str, Any], ...], tuple[Refusal, ...]] = {}
        self._fingerprint = str(capabilities["fingerprint"])
        self._learnt = Learnt(folder / FILE)

    def before(self, deployment: Mapping[str, Any]) -> tuple[Refusal, ...]:
        """Why no candidate that is run so can work, whatever is done to the network; empty when nothing is known."""
        if not concerns(deployment):
            return ()
        asked = tuple((name, deployment[name]) for name in ASKED if name in deployment)
        if asked not in self._before:
            self._before[asked] = refusals(self._target, self._graph, deployment)
        return self._before[asked]

    def of(self, onnx: Path, sha256: str, deployment: Mapping[str, Any]) -> tuple[Refusal, ...]:
        """Why the very file `onnx` cannot be run so; empty when nothing is known.

        Raises:
            BadInput: it is no ONNX file, or what was learnt cannot be read.
        """
        if not concerns(deployment):
            return ()
        found = refusals(self._target, graph_of(onnx), deployment)
        return (*found, *self._learnt.refusals(self._fingerprint, sha256, deployment))

    def learn(self, sha256: str, deployment: Mapping[str, Any], reason: str) -> None:
        """Keep that a board has refused the file.

        Raises:
            BadInput: it cannot be kept.
        """
        if concerns(deployment):
            self._learnt.learn(self._fingerprint, sha256, deployment, reason=reason)


def concerns(deployment: Mapping[str, Any]) -> bool:
    """Whether anything is known of the runtime of `deployment`."""
    return deployment.get("runtime") in RUNTIMES


@lru_cache(maxsize=32)
def graph_of(onnx: Path) -> Graph:
    """A file of the cache never changes."""
    return Graph.of(onnx)
