"""What is kept of boards: every module has a sheet, modes are shares of the largest, and units are where they are."""

from __future__ import annotations

import pytest

from explorer.oracle import MODULES, TARGETS, Target
from explorer.roofline.sheet import SHEETS, SOURCES, sheet_of


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_sheet_with_the_units_that_the_oracle_knows(module: str) -> None:
    sheet = SHEETS[module]
    assert sheet.source in SOURCES
    assert bool(sheet.dla_tops) == bool(TARGETS[module].dla_cores)
    assert sheet_of(TARGETS[module]) is sheet


def test_a_board_that_is_not_known_is_like_its_soc_or_an_orin() -> None:
    assert sheet_of(Target(soc="tegra194")) is SHEETS["agx-xavier"]
    assert sheet_of(Target()) is SHEETS["agx-orin-64"]


@pytest.mark.parametrize("module", MODULES)
def test_narrower_numbers_are_no_slower(module: str) -> None:
    rates = [SHEETS[module].gpu_macs(precision) for precision in ("fp32", "tf32", "fp16", "int8")]
    assert rates == sorted(rates)


def test_modes_of_an_orin_are_published_ones() -> None:
    orin = SHEETS["agx-orin-64"]
    least, most = orin.share("MODE_15W"), orin.share("MAXN")
    assert (least.gpu, least.dla) == (14 / 171, 40 / 105)
    assert (most.watts, most.gpu, most.dla, most.rest) == (60, 1, 1, 1)
    low = orin.share("MODE_30W")  # "dlasw": there the DLAs do more than the GPU
    assert orin.dla_tops * low.dla > orin.gpu_tops * low.gpu


@pytest.mark.parametrize(
    ("module", "modes"),
    [("xavier-nx", ("MODE_10W_2CORE", "MODE_15W_6CORE", "MODE_20W_6CORE")), ("nano", ("5W", "MAXN"))],
)
def test_other_modes_go_with_their_watts(module: str, modes: tuple[str, ...]) -> None:
    shares = [SHEETS[module].share(mode) for mode in modes]
    assert [one.gpu for one in shares] == sorted({one.gpu for one in shares})
    assert [one.rest for one in shares] == sorted({one.rest for one in shares})
    assert shares[-1].gpu == 1


def test_a_mode_beyond_the_sheet_is_its_largest() -> None:
    assert SHEETS["orin-nano"].share("25W") == SHEETS["orin-nano"].share("MAXN_SUPER")
