"""Which rungs the shipped spaces have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from explorer.config import Experiment, load, override
from explorer.study.rungs import Rungs, rungs_of


@pytest.fixture(scope="module")
def orin(root: Path) -> Experiment:
    return override(load(root / "search_spaces" / "jetson_orin.yaml"), simulate=True)


def test_the_quickstart_has_none(root: Path) -> None:
    assert rungs_of(load(root / "search_spaces" / "quickstart.yaml"), 100) == Rungs()


def test_a_board_elsewhere_has_a_preview_and_long_measurements_a_short_bench(orin: Experiment) -> None:
    assert rungs_of(orin, 288) == Rungs(preview=True)
    assert rungs_of(replace(orin, devices=("ssh://nvidia@orin.local",)), 288) == Rungs(preview=True)
    long = replace(orin, measure=replace(orin.measure, budget_s=10.0))
    assert rungs_of(long, 288) == Rungs(preview=True, short=True)
    assert rungs_of(replace(long, devices=("local:",)), 288) == Rungs(short=True)


def test_without_a_score_there_is_nothing_to_preview(orin: Experiment) -> None:
    timed = tuple(objective for objective in orin.objectives if objective.metric != "accuracy")
    assert rungs_of(replace(orin, objectives=timed), 288) == Rungs()


def test_there_are_none_where_nobody_can_tell_or_nobody_wants_them(orin: Experiment) -> None:
    assert rungs_of(replace(orin, search=replace(orin.search, sampler="tpe")), 288) == Rungs()
    assert rungs_of(replace(orin, search=replace(orin.search, ladder=False)), 288) == Rungs()
    assert rungs_of(orin, 30_001) == Rungs(), "of so many, auto takes tpe"
