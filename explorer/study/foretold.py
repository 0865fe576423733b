"""What a model foretells of a study's candidates before anything is run, and the same whenever the study goes on.

    a sampler that can use it ─ an objective that it knows ─ the uncompressed network ──► a roofline ──► Search
           └ no: nothing             └ no: nothing              └ cannot be read: a note says so

A study that began without it goes on without it, whatever has become possible meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from explorer.compression import Compression
from explorer.config import Experiment
from explorer.errors import ExplorerError, in_one_line
from explorer.oracle import Graph
from explorer.roofline import METRICS, Roofline
from explorer.search import is_front
from explorer.search.search import Prior

KEY = "foretold"  # in study.json


@dataclass(frozen=True)
class Foretold:
    """A model at work.

    Attributes:
        prior: what it says of a candidate.
        macs: of the uncompressed network.
        metrics: those of the objectives that it foretells.
    """

    prior: Prior
    macs: int
    metrics: tuple[str, ...]

    def __str__(self) -> str:
        told = f"a roofline of {self.macs / 1e6:.4g} M MACs foretells {', '.join(self.metrics)}"
        return f"{told}: modelled; it steers the search and is never reported"

    def to_json(self) -> dict[str, Any]:
        """As ``study.json`` keeps it."""
        return {"by": "roofline", "macs": self.macs, "metrics": list(self.metrics)}


def foretold(
    experiment: Experiment,
    compression: Compression,
    capabilities: Mapping[str, Any],
    *,
    network: Callable[[], Graph],
    candidates: int,
    note: Callable[[str], None],
    kept: Mapping[str, Any] | None = None,
) -> Foretold | None:
    """The model of a study; None where there is none, or no use for it.

    Args:
        experiment: whose.
        compression: how its candidates are compressed.
        capabilities: what a board said in its hello.
        network: makes and reads the uncompressed network; it is asked for only where there is a use for it.
        candidates: how many may be tried.
        note: hears why there is none although there might have been.
        kept: ``study.json`` of a study that goes on; None for a new one.
    """
    metrics = tuple(one.metric for one in experiment.objectives if one.metric in METRICS)
    if not experiment.search.prior or not metrics or not is_front(experiment.search.sampler, candidates):
        return None
    if kept is not None and KEY not in kept:
        return None
    try:
        graph = network()
    except ExplorerError as why:
        note(f"nothing is foretold, as the network cannot be read beforehand: {in_one_line(str(why))}")
        return None
    if not graph.macs:
        note("nothing is foretold: of the network's layers no size is known")
        return None
    told = experiment.device_options.get("meter", {})
    plan = experiment.measure
    board = kept.get("device", capabilities) if kept is not None else capabilities  # which may be in another mode now
    roofline = Roofline(graph, board, compression.multiple, told, plan.rate_hz, plan.deadline_ms)
    return Foretold(roofline, graph.macs, metrics)
