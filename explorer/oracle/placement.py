"""What of a network a DLA can take at best, and in how many pieces.

    conv ─ relu ─ reshape ─ max ─ conv ─ relu          may run on a DLA: [conv relu]  [conv relu]
    └─ DLA ────┘  └── GPU ────┘  └─ DLA ───┘           two loadables at least, as nothing joins them

Both are bounds: TensorRT may leave more on the GPU, and cut further.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from explorer.oracle.board import Target
from explorer.oracle.graph import Graph
from explorer.oracle.layers import VANISHING, Limit, broken_by, effective_batch

ON_DLA = ("dla", "dla_only", "gpu+dla")  # placements that a DLA has a part in
MAX_LOADABLES = 16  # on a core at once
LEAST_SHARE = 0.01  # of the work: an engine with less of it on the DLA is one of the GPU by another name


@dataclass(frozen=True)
class Reach:
    """How far a DLA can go with a network.

    Attributes:
        share: of the multiply-accumulates that may run on it, at most; where there are none, of the nodes.
        barred: what each limit keeps off it: names of nodes.
        loadables: pieces it runs in, at least, when it takes all that it may.
    """

    share: float
    barred: Mapping[Limit, tuple[str, ...]]
    loadables: int

    @property
    def why(self) -> str:
        """The limit that keeps most nodes off it; empty where none does."""
        return max(self.barred, key=lambda limit: len(self.barred[limit])).reason if self.barred else ""


@lru_cache(maxsize=256)
def reach(graph: Graph, batch: int, target: Target) -> Reach:
    """What of `graph` at `batch` the board's DLA can take."""
    barred: dict[Limit, list[str]] = {}
    free: set[str] = set()
    for node in graph.nodes:
        limits = list(broken_by(node, batch, target))
        for limit in limits:
            barred.setdefault(limit, []).append(node.name)
        if not limits:
            free.add(node.name)
    named = {limit: tuple(names) for limit, names in barred.items()}
    return Reach(_share(graph, free), named, _pieces(graph, free, batch))


def _share(graph: Graph, free: set[str]) -> float:
    if graph.macs:
        return graph.share(frozenset(free))
    layers = [node.name for node in graph.nodes if node.op not in VANISHING]
    return sum(name in free for name in layers) / len(layers) if layers else 0.0


def _pieces(graph: Graph, free: set[str], batch: int) -> int:
    """Connected parts of the free nodes, cut where the batch changes; of one that vanishes alone none is made."""
    makers = {tensor.name: node for node in graph.nodes for tensor in node.outputs}
    root = {name: name for name in free}

    def top(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for node in graph.nodes:
        for tensor in node.inputs if node.name in free else ():
            maker = makers.get(tensor.name)
            if maker and maker.name in free and _joined(effective_batch(maker, batch), effective_batch(node, batch)):
                root[top(maker.name)] = top(node.name)
    return len({top(node.name) for node in graph.nodes if node.name in free and node.op not in VANISHING})


def _joined(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other
