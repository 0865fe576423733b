"""How far a DLA can go, and in how many pieces."""

from __future__ import annotations

from pathlib import Path

from explorer.oracle import TARGETS, reach
from tests.oracle import networks
from tests.oracle.networks import Net

ORIN = TARGETS["agx-orin-64"]


def test_a_network_that_fits_is_one_piece(tmp_path: Path) -> None:
    found = reach(networks.plain().graph(tmp_path), 4, ORIN)
    assert (found.share, found.loadables, dict(found.barred), found.why) == (1.0, 1, {}, "")


def test_what_no_dla_does_cuts_it(tmp_path: Path) -> None:
    found = reach(networks.fragments(5).graph(tmp_path), 1, ORIN)
    assert (found.share, found.loadables) == (1.0, 5)
    assert [(limit.id, len(nodes)) for limit, nodes in found.barred.items()] == [("dla-operator", 4)]
    assert found.why == next(iter(found.barred)).reason


def test_two_branches_that_meet_are_one_piece(tmp_path: Path) -> None:
    net = Net().conv(pads=[1, 1, 1, 1])
    first, net.last = net.last, "x"
    graph = net.conv(pads=[1, 1, 1, 1]).add("Add", first).graph(tmp_path)
    assert reach(graph, 1, ORIN).loadables == 1


def test_a_cast_alone_is_no_piece(tmp_path: Path) -> None:
    graph = Net().conv(pads=[1, 1, 1, 1]).add("Erf").add("Identity").graph(tmp_path)
    assert reach(graph, 1, ORIN).loadables == 1


def test_a_network_without_products_counts_its_nodes(tmp_path: Path) -> None:
    graph = Net().add("Relu").add("Erf").add("Relu").add("Erf").graph(tmp_path)
    assert graph.macs == 0
    assert reach(graph, 1, ORIN).share == 0.5
