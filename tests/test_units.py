"""What a label of placement is worth, by what builds tell; no word of a board is trusted to be of its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from explorer.oracle import Graph
from explorer.report.remarks import on_a_dla
from explorer.result import Evaluation, Record
from explorer.units import FALLBACKS, units_of
from tests.oracle.networks import Net

SAME = [1, 1, 1, 1]


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    """Convolutions conv_0 (16 to 16 channels) and conv_2 (16 to 48), three times its work."""
    return Net().conv(pads=SAME).add("Relu").conv(out=48, into=16, pads=SAME).graph(tmp_path)


def part(**told: Any) -> dict[str, Any]:
    return {"gpu": {"layers": {"fp16": 3}}, "dla": told}


def test_shares_are_counted_by_names_and_by_their_work(graph: Graph) -> None:
    back = [{"layer": "conv_2", "reason": "too wide for it"}]
    told = units_of(part(gpu_layers=["conv_2"], dla_layers=["conv_0", "relu_1"], fallbacks=back), graph)
    assert told["layers"] == {"dla": 0.6667, "gpu": 0.3333}
    assert told["macs"] == {"dla": 0.25, "gpu": 0.75}
    assert (told["fallbacks"], told["fell_back"]) == (back, 1)


def test_what_the_board_has_counted_itself_comes_first(graph: Graph) -> None:
    counted = {"layers": {"dla": 1.0}, "macs": {"dla": 0.9, "gpu": 0.1}}
    told = units_of(part(gpu_layers=["conv_0"], dla_layers=[], share=counted), graph)
    assert (told["layers"], told["macs"]) == ({"dla": 1.0}, {"dla": 0.9, "gpu": 0.1})


def test_of_what_no_dla_was_asked_to_run_nothing_is_said(graph: Graph) -> None:
    assert units_of({}, graph) == units_of({"gpu": {"layers": {"fp16": 3}}}, graph) == {}


@pytest.mark.parametrize(
    "told",
    [
        {"gpu_layers": 3, "dla_layers": {"a": 1}, "fallbacks": "no"},
        {"share": {"layers": {"dla": "all", "gpu": float("nan")}, "macs": [1]}},
        {"share": 7, "fallbacks": [1, {"layer": None}]},
    ],
)
def test_whatever_an_agent_tells_is_no_traceback(told: dict[str, Any], graph: Graph) -> None:
    found = units_of(part(**told), graph)
    assert (found["layers"], found["macs"]) == ({}, {})


SHARING = {"gpu": {"alone_ms": 2.0, "together_ms": 2.5, "slowdown": 1.25}}


def test_what_units_cost_each_other_is_kept_and_told(graph: Graph) -> None:
    told = units_of(part(), graph, SHARING)
    assert told["sharing"] == SHARING
    records = [Record(n, "complete", {}, "orin", "", 1.0, Evaluation(units=told)) for n in (1, 4)]
    assert list(on_a_dla(records))[-1].endswith("longer than each alone (trials 1, 4): gpu 1.25×")
    for broken in (None, 3, {"gpu": 1.2}, {"gpu": {"alone_ms": 1.0}}, {"gpu": {**SHARING["gpu"], "slowdown": "much"}}):
        assert "sharing" not in units_of(part(), graph, broken)


def test_a_long_list_is_cut_and_counted(graph: Graph) -> None:
    back = [{"layer": f"l{number}", "reason": "x" * 1000} for number in range(99)]
    found = units_of(part(fallbacks=back), graph)
    assert (len(found["fallbacks"]), found["fell_back"]) == (FALLBACKS, 99)
    assert len(found["fallbacks"][0]["reason"]) == 200


def test_the_report_says_it_once_for_all_that_it_holds_of(graph: Graph) -> None:
    back = [{"layer": "conv_2", "reason": "too wide"}, {"layer": "relu_1", "reason": "alone"}]
    units = units_of(part(gpu_layers=["conv_2"], dla_layers=["conv_0"], fallbacks=back), graph)
    records = [
        Record(number, "complete", {}, "orin", "", 0.0, Evaluation(units=units if number else {}))
        for number in range(3)
    ]
    assert list(on_a_dla(records)) == [
        "on a DLA (trials 1, 2): 25% of the multiply-accumulates and 50% of the layers; on the GPU instead: conv_2 "
        "(too wide) and 1 more"
    ]
    assert Record.from_json(records[1].to_json()) == records[1]
