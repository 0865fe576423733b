"""The table of boards: what every one of them must be, and how their figures are told apart."""

from __future__ import annotations

import copy

import pytest

from explorer_agent import jetson
from explorer_agent.rails import TOTALS
from explorer_agent.virtual.boards import AGX_ORIN_64, BOARDS, NANO, ORIN_NX_16, THOR, Board, Figure

ALL = pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))


def test_the_boards_that_were_promised() -> None:
    assert set(BOARDS) == {"nano", "xavier-nx", "agx-xavier", "orin-nano", "orin-nx-16", "agx-orin-64", "thor"}


@ALL
def test_modes_rails_and_software_belong_together(board: Board) -> None:
    assert board.default_mode in board.modes
    assert len({mode.number for mode in board.modes.values()}) == len(board.modes)
    assert board.l4t in jetson.JETPACKS
    assert board.soc in jetson.SOCS
    assert any({rail.name for rail in board.rails}.issuperset(total.rails) for total in TOTALS)
    assert bool(board.dla_cores) == bool(board.dla_rates) == all(mode.dla_tops > 0 for mode in board.modes.values())


@ALL
def test_the_rails_that_make_the_total_see_every_part_once(board: Board) -> None:
    rails = {rail.name: rail for rail in board.rails}
    total = next(total for total in TOTALS if set(rails).issuperset(total.rails))
    fed = sorted(part for name in total.rails for part in rails[name].feeds if part != "dla" or board.dla_cores)
    assert fed == sorted({"gpu", "cpu", "memory", *(["dla"] if board.dla_cores else [])})
    assert sum(rails[name].idle for name in total.rails) == pytest.approx(1.0)


@ALL
def test_a_mode_of_more_watts_is_slower_in_nothing(board: Board) -> None:
    modes = sorted(board.modes.values(), key=lambda mode: mode.budget_w)
    if board is ORIN_NX_16:  # its 25W lets more processors run, and clocks the GPU lower: nvpmodel's own choice
        modes = [mode for mode in modes if mode.number != 3]
    for slow, fast in zip(modes, modes[1:], strict=False):
        assert fast.gpu_tops >= slow.gpu_tops
        assert fast.gpu_w >= slow.gpu_w
        assert fast.bandwidth_gbs >= slow.bandwidth_gbs


def test_placements_are_worded_as_a_real_boards_runtime_words_them() -> None:
    assert AGX_ORIN_64.placements == ("gpu", "dla", "dla_only", "dla1", "dla_only1", "gpu+dla")
    assert THOR.placements == ("gpu",)


def test_clocks_follow_from_rates() -> None:
    assert AGX_ORIN_64.gpu_hz(AGX_ORIN_64.modes["MAXN"]) == pytest.approx(1.3e9, rel=0.01)
    assert NANO.gpu_hz(NANO.modes["MAXN"]) == pytest.approx(921.6e6, rel=0.01)
    assert AGX_ORIN_64.dla_hz(AGX_ORIN_64.modes["MAXN"]) == 1.6e9
    assert NANO.dla_hz(NANO.modes["MAXN"]) == 0


def test_parsers_read_what_their_version_reads() -> None:
    assert [BOARDS[name].opset for name in ("nano", "agx-xavier", "agx-orin-64", "thor")] == [13, 17, 20, 20]


def test_a_copied_figure_keeps_its_source() -> None:
    figure = copy.deepcopy(Figure(2.5, "a data sheet"))
    assert (figure, figure.source) == (2.5, "a data sheet")
