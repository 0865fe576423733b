"""What the host knows to be impossible, and what a virtual board refuses: the same, so that neither hides the other."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from explorer.oracle.board import Target
from explorer.oracle.graph import Graph
from explorer.oracle.rules import refusals
from explorer_agent import board as board_room
from explorer_agent.messages import AgentError, Deployment
from explorer_agent.virtual import layers, tree
from explorer_agent.virtual.boards import BOARDS
from explorer_agent.virtual.runtime import Virtual
from explorer_agent.virtual.schedule import schedule
from explorer_agent.virtual.world import World

from . import nets

NETWORKS = {"dense": nets.dense, "mixed": nets.mixed, "volume": nets.volume}


@pytest.mark.parametrize("name", list(BOARDS))
@pytest.mark.parametrize("network", list(NETWORKS))
def test_board_and_oracle_agree(name: str, network: str, tmp_path: Path) -> None:
    board, path = BOARDS[name], NETWORKS[network](tmp_path / "n")
    root = tree.plant(tmp_path / "root", name)
    told = Virtual(World.below(root)).describe()
    target = Target.of_capabilities({**board_room.describe(root), "runtimes": {"tensorrt": told}})
    work, graph, mode = layers.of_onnx(path, 1), Graph.of(path), board.modes[board.default_mode]

    def refused(asked: Deployment) -> str:
        if told["precisions"][asked.precision]:
            return str(told["precisions"][asked.precision])
        try:
            schedule(work, asked, board, mode)
        except AgentError as error:
            return error.text
        return ""

    precisions, placements = ("fp32", "tf32", "fp16", "bf16", "best"), ("gpu", "dla", "dla_only", "gpu+dla")
    answers = set()
    for precision, placement in itertools.product(precisions, placements):
        asked = Deployment("tensorrt", precision, 1, streams=3 if placement == "gpu+dla" else 1, placement=placement)
        known = refusals(target, graph, vars(asked))
        words = refused(asked)
        assert bool(known) == bool(words), (precision, placement, [one.rule for one in known], words)
        answers.add(bool(words))
    assert answers == {True, False}
