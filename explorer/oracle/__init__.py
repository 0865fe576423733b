"""The oracle: refuses what a board cannot run before it is built, with reason and source; knows what it does not know.

Target (a board) ─┐
Graph (a network) ├─► refusals(…)  impossible          Learnt.refusals(…)   seen to fail on that very board
a deployment ─────┘   advice(…)    possible, but …     channel_multiple(…)  what pruning should round to

A study asks them all through its `Foresight`.
"""

from __future__ import annotations

from explorer.oracle.advice import Advice, advice
from explorer.oracle.board import MODULES, TARGETS, Target
from explorer.oracle.foresight import Foresight, concerns, graph_of
from explorer.oracle.graph import Graph
from explorer.oracle.learnt import Learnt
from explorer.oracle.placement import Reach, reach
from explorer.oracle.pruning import Multiple, channel_multiple
from explorer.oracle.rules import Refusal, refusals

__all__ = [
    "MODULES",
    "TARGETS",
    "Advice",
    "Foresight",
    "Graph",
    "Learnt",
    "Multiple",
    "Reach",
    "Refusal",
    "Target",
    "advice",
    "channel_multiple",
    "concerns",
    "graph_of",
    "reach",
    "refusals",
]
