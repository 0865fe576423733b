"""Placements and the units they mean."""

from __future__ import annotations

import pytest

from explorer_agent.messages import AgentError
from explorer_agent.runtimes.tensorrt import units
from explorer_agent.runtimes.tensorrt.units import DLA, GPU, Unit

BOTH = [Unit(DLA, 0), Unit(DLA, 1)]


@pytest.mark.parametrize(
    ("cores", "placements"),
    [
        (0, ["gpu"]),
        (1, ["gpu", "dla", "dla_only", "gpu+dla"]),
        (2, ["gpu", "dla", "dla_only", "dla1", "dla_only1", "gpu+dla"]),
    ],
)
def test_placements_of_a_board(cores: int, placements: list[str]) -> None:
    assert units.placements(cores) == placements
    assert all(units.units(placement, cores) for placement in placements)


@pytest.mark.parametrize(
    ("placement", "cores", "found", "kinds"),
    [
        ("gpu", 0, [Unit(GPU)], ["gpu"]),
        ("dla", 2, [Unit(DLA, 0)], ["dla"]),
        ("dla1", 2, [Unit(DLA, 1)], ["dla"]),
        ("dla_only1", 2, [Unit(DLA, 1)], ["dla"]),
        ("gpu+dla", 2, [Unit(GPU), *BOTH], ["gpu", "dla"]),
        ("gpu+dla", 1, [Unit(GPU), Unit(DLA, 0)], ["gpu", "dla"]),
    ],
)
def test_units_of_a_placement(placement: str, cores: int, found: list[Unit], kinds: list[str]) -> None:
    assert units.units(placement, cores) == found
    assert units.kinds(placement, cores) == kinds


@pytest.mark.parametrize(("placement", "cores"), [("dla", 0), ("dla1", 1), ("gpu+dla", 0), ("cpu", 2), ("", 2)])
def test_a_placement_that_there_is_not_is_refused_with_those_there_are(placement: str, cores: int) -> None:
    with pytest.raises(AgentError, match=f"has {cores} DLA cores, so there are only gpu") as refused:
        units.units(placement, cores)
    assert refused.value.kind == "infeasible"


def test_names_and_strictness() -> None:
    assert [str(unit) for unit in (Unit(GPU), *BOTH)] == ["gpu", "dla0", "dla1"]
    assert [units.is_strict(name) for name in ("gpu", "dla", "dla1", "dla_only", "dla_only1", "gpu+dla")] == [
        *[False] * 3,
        *[True] * 2,
        False,
    ]


def test_units_that_run_together_need_a_stream_each() -> None:
    units.require_a_stream_each([Unit(GPU), *BOTH], 3)
    with pytest.raises(AgentError, match="gpu, dla0, dla1 together need at least 3 streams, not 2"):
        units.require_a_stream_each([Unit(GPU), *BOTH], 2)
