"""The paths that a virtual board shows its sensors at are those that real ones do."""

from __future__ import annotations

import pytest
from fixtures import boards as real

from explorer_agent.virtual import wiring
from explorer_agent.virtual.boards import BOARDS, Board

ALL = pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
REAL = {"agx-orin-64": "agx-orin", "orin-nx-16": "orin-nx"}


@ALL
def test_every_rail_has_its_channel_and_no_two_share_one(board: Board) -> None:
    wires = wiring.of(board)
    assert set(wires.channels) == {rail.name for rail in board.rails}
    assert len({wires.amps(rail.name) for rail in board.rails}) == len(board.rails)


@ALL
def test_chips_and_voltages_are_those_of_the_real_boards(board: Board) -> None:
    spec = real.BOARDS[REAL.get(board.name, board.name)]
    known = {name: (chip, millivolts) for chip, channels in spec.rails.items() for name, millivolts, _ in channels}
    for name, channel in wiring.of(board).channels.items():
        if name != "VIN":
            assert (channel.chip, channel.millivolts) == known[name]


@ALL
def test_only_boards_with_a_dla_name_its_host(board: Board) -> None:
    wires = wiring.of(board)
    assert bool(wires.host1x) == bool(board.dla_cores)
    if board.dla_cores:
        assert wires.dla(1).endswith("host1x/158c0000.nvdla1/power/runtime_status")
