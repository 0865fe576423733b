"""What a rule is asked: may this board run this network so? Nothing but what is given, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from explorer.oracle.board import Target, Version
from explorer.oracle.graph import QUANTISING, Graph, Node
from explorer.oracle.placement import ON_DLA, Reach, reach

RUNTIMES = ("tensorrt",)  # the rules are about; of others nothing is known here


@dataclass(frozen=True)
class Case:
    """A board, a network where there is one already, and a deployment; what a deployment leaves out is usual."""

    target: Target
    graph: Graph | None
    deployment: Mapping[str, Any]

    @property
    def concerned(self) -> bool:
        """Whether the deployment's runtime is one that the rules are about."""
        return self.deployment.get("runtime", RUNTIMES[0]) in RUNTIMES

    @property
    def precision(self) -> str:
        return str(self.deployment.get("precision", "fp32"))

    @property
    def placement(self) -> str:
        return str(self.deployment.get("placement", "gpu"))

    @property
    def batch(self) -> int:
        return int(self.deployment.get("batch", 1))

    @property
    def streams(self) -> int:
        return int(self.deployment.get("streams", 1))

    @property
    def units(self) -> int:
        """How many engines run at once."""
        return 1 + (self.target.dla_cores or 0) if self.placement == "gpu+dla" else 1

    @property
    def on_dla(self) -> bool:
        return self.placement in ON_DLA

    @property
    def file(self) -> Graph | None:
        """The very file that the board would get; None where it is still to be made."""
        return self.graph if self.graph and self.graph.final else None

    @cached_property
    def reach(self) -> Reach | None:
        """How far the board's DLA can go; None without a network, without a DLA, or where none is asked for."""
        if self.graph is None or not self.on_dla or self.target.dla_cores == 0:
            return None
        return reach(self.graph, self.batch, self.target)

    def release_in(self, first: Version, beyond: Version) -> bool:
        """Whether the board's TensorRT is known and at least `first`, and before `beyond`."""
        return bool(self.target.tensorrt) and first <= self.target.tensorrt < beyond

    def release_before(self, first: Version) -> bool:
        return self.release_in((0,), first)

    def release_from(self, first: Version) -> bool:
        return self.release_in(first, (math.inf,))  # type: ignore[arg-type]  # beyond every release

    def nodes(self, *ops: str) -> tuple[Node, ...]:
        """Those of the network that are one of ONNX's own operators `ops`."""
        return tuple(node for node in self.graph.nodes if node.op in ops and not node.domain) if self.graph else ()

    @property
    def quantising(self) -> tuple[Node, ...]:
        return self.nodes(*QUANTISING)

    def words(self) -> dict[str, Any]:
        """What a reason may speak of."""
        share = self.reach.share if self.reach else 0.0
        return {
            "target": self.target,
            "release": ".".join(map(str, self.target.tensorrt)),
            "module": self.target.module or "this board",
            "precision": self.precision,
            "placement": self.placement,
            "batch": self.batch,
            "streams": self.streams,
            "units": self.units,
            "opset": self.graph.opset if self.graph else 0,
            "opset_limit": self.target.opset_limit,
            "fixed": self.graph.batch if self.graph else None,
            "dynamic": ", ".join(self.graph.dynamic) if self.graph else "",
            "share": f"{share:.2%}",
            "rest": f"{1 - share:.2%}",
            "why": self.reach.why if self.reach else "",
            "loadables": self.reach.loadables if self.reach else 0,
        }
