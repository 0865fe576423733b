"""What is foretold goes where it should with each axis, and as what was really measured goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import spearmanr

from explorer.config.metrics import METRICS as KNOWN
from explorer.oracle import Graph
from explorer.roofline import METRICS, Roofline
from explorer.roofline.network import layers
from explorer.roofline.units import CALL_S, CORE_BYTES, CORE_MACS
from explorer.space import Candidate, Value
from tests.roofline.sample import capabilities, complete, gaitset
from tests.roofline.test_network import two

ORIN: Mapping[str, Any] = {"module": "p3701-0005", "jetpack": "6.2.2", "cores": 12}
PC: Mapping[str, Any] = {"cores": 4}
TRT: Mapping[str, Value] = {"runtime": "tensorrt", "precision": "fp16", "batch": 4, "power_mode": "MAXN"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return gaitset(tmp_path_factory.mktemp("network"))


def of(graph: Graph, board: Mapping[str, Any], **values: Value) -> dict[str, float]:
    def round_to(candidate: Candidate) -> Value:
        return candidate.all.get("round_to", 1)

    return Roofline(graph, board, round_to, {})(Candidate(values))


def test_two_layers_on_one_core_by_hand(tmp_path: Path) -> None:
    graph = two().graph(tmp_path)
    told = of(graph, PC, precision="fp32", batch=2, threads=1)
    seconds = 2 * CALL_S
    for macs, moved, weights in ((256 * 9 * 16 * 32, 256 * 48, 9 * 16 * 32), (256 * 32 * 8, 256 * 40, 256)):
        seconds += max(2 * macs / CORE_MACS, 4 * (2 * moved + weights) / CORE_BYTES)
    assert told["throughput_ips"] == pytest.approx(2 / seconds)
    assert told["latency_ms"] == pytest.approx(1e3 * seconds)
    assert told["energy_mj"] == pytest.approx(1e3 * 18 * seconds / 2)
    assert told["energy_net_mj"] == pytest.approx(1e3 * 8 * seconds / 2)
    assert (told["macs"], told["params"]) == (256 * (9 * 16 * 32 + 32 * 8), 9 * 16 * 32 + 32 * 8)


def test_it_foretells_metrics_that_there_are(network: Graph) -> None:
    assert set(METRICS) <= set(KNOWN)
    assert tuple(of(network, PC)) == METRICS


def test_declared_watts_are_taken(network: Graph) -> None:
    told = Roofline(network, PC, lambda _: 1, {"idle_w": 3.0, "busy_core_w": 2.0})
    assert told(Candidate({"threads": 2}))["power_w"] == 7.0


def rising(values: list[float]) -> bool:
    return values == sorted(values) and values[0] < values[-1]


@pytest.mark.parametrize("board", [ORIN, PC])
@pytest.mark.parametrize(
    ("axis", "levels"),
    [
        ("prune_ratio", (0.0, 0.2, 0.4, 0.6, 0.8)),
        ("precision", ("fp32", "fp16")),
        ("batch", (1, 2, 4, 8, 16, 32)),
        ("streams", (1, 2, 4)),
    ],
)
def test_more_of_it_gives_no_less_throughput(
    network: Graph, board: Mapping[str, Any], axis: str, levels: tuple[Value, ...]
) -> None:
    fixed: dict[str, Value] = {"threads": 1} if board is PC else dict(TRT)
    assert rising([of(network, board, **{**fixed, axis: level})["throughput_ips"] for level in levels])


def test_a_wide_network_gains_by_int8_on_every_unit(tmp_path: Path) -> None:
    graph = two(into=128, middle=256).graph(tmp_path)
    for placement in ("gpu", "dla", "gpu+dla"):
        given = {**TRT, "placement": placement, "streams": 3}
        slow, fast = (of(graph, ORIN, **{**given, "precision": one})["throughput_ips"] for one in ("fp16", "int8"))
        assert fast > slow, placement


def test_a_larger_mode_is_faster_and_draws_more(network: Graph) -> None:
    told = [of(network, ORIN, **{**TRT, "power_mode": mode}) for mode in ("MODE_15W", "MODE_30W", "MODE_50W", "MAXN")]
    assert rising([one["throughput_ips"] for one in told])
    assert rising([one["power_w"] for one in told])


def test_a_board_in_a_mode_that_no_axis_names_is_taken_as_it_is(network: Graph) -> None:
    given = {name: value for name, value in TRT.items() if name != "power_mode"}
    low = of(network, {**ORIN, "power_mode": {"current": "MODE_15W"}}, **given)
    assert low == of(network, ORIN, **{**given, "power_mode": "MODE_15W"})


def test_a_dla_spends_less_and_all_units_do_more(tmp_path: Path) -> None:
    """ "dlasw": a DLA is 3 to 5 times as thrifty, and slower than the GPU of its board."""
    graph = two(into=128, middle=256).graph(tmp_path)
    asked = {**TRT, "precision": "int8", "streams": 3, "batch": 16}
    gpu, dla, both = (of(graph, ORIN, **{**asked, "placement": place}) for place in ("gpu", "dla", "gpu+dla"))
    assert dla["energy_net_mj"] < gpu["energy_net_mj"]
    assert dla["throughput_ips"] < gpu["throughput_ips"] < both["throughput_ips"]


def test_a_board_without_a_dla_has_nothing_of_one(network: Graph) -> None:
    nano = {"module": "p3448-0000"}
    assert of(network, nano, **{**TRT, "placement": "dla"}) == of(network, nano, **{**TRT, "placement": "gpu"})


def test_rounding_makes_wider_layers(network: Graph) -> None:
    fine, coarse = (of(network, ORIN, **TRT, prune_ratio=0.6, round_to=multiple)["macs"] for multiple in (1, 8))
    assert fine < coarse < sum(one.plain_macs for one in layers(network, 0.0, 1))


def test_the_order_is_that_of_what_was_measured(root: Path, network: Graph) -> None:
    """Of the study that comes with the repository: 46 candidates on two cores of a processor."""
    records = complete(root)
    roofline = Roofline(network, capabilities(root), lambda _: 1, {})
    told = [roofline(Candidate(record.params, {"streams": 1})) for record in records]
    for metric in ("latency_ms", "throughput_ips", "energy_mj", "energy_net_mj", "power_w", "macs", "params"):
        measured = [record.metrics[metric].value for record in records]
        assert spearmanr(measured, [one[metric] for one in told]).statistic > 0.6, metric
