"""What NVIDIA publishes of large networks, asked of the gait zoo: who wins energy at low power, and who throughput."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
import pytest

from explorer.models.build import build
from explorer.passes.export import export
from explorer_agent.messages import AgentError, Deployment
from explorer_agent.virtual import layers
from explorer_agent.virtual.boards import AGX_ORIN_64, BOARDS
from explorer_agent.virtual.layers import Layer
from explorer_agent.virtual.schedule import schedule

BATCHES, STREAMS = (4, 8, 16), (1, 2)
Works = Mapping[int, tuple[Layer, ...]]


@pytest.fixture(scope="module", params=["gaitset", "gaitset_tiny"])
def gait(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Works]:
    path = tmp_path_factory.mktemp("zoo") / "gait.onnx"
    onnx.save(export(build(request.param, {}).eval(), (30, 64, 44), opset=17), path)
    return request.param, {batch: layers.of_onnx(path, batch, calibrated=True) for batch in BATCHES}


def best(works: Works, mode: str, placement: str) -> dict[str, float]:
    """The most images a second, the fewest mJ each, all of the board and beyond idle, over batches and streams."""
    power_mode, found = AGX_ORIN_64.modes[mode], {"ips": 0.0, "gross": 1e9, "net": 1e9}
    for batch, work in works.items():
        for streams in STREAMS:
            asked = Deployment("tensorrt", "int8", batch, streams=streams, placement=placement)
            lanes = schedule(work, asked, AGX_ORIN_64, power_mode).lanes
            ips = sum(batch / lane.seconds for lane in lanes)
            net_w = sum(sum(lane.joules.values()) / lane.seconds for lane in lanes)
            found["ips"] = max(found["ips"], ips)
            found["net"] = min(found["net"], net_w / ips * 1e3)
            found["gross"] = min(found["gross"], (net_w + power_mode.idle_w) / ips * 1e3)
    return found


@pytest.mark.parametrize("mode", ["MODE_15W", "MODE_30W"])
def test_the_dla_wins_energy_at_low_power(gait: tuple[str, Works], mode: str) -> None:
    name, works = gait
    dla, gpu = best(works, mode, "dla"), best(works, mode, "gpu")
    assert dla["net"] < gpu["net"]
    if name == "gaitset":  # a quarter of the channels leaves a DLA, which fills them up to 32, half empty: its own
        assert dla["gross"] < gpu["gross"]  # joules are fewer still, but the board idles for longer meanwhile


def test_the_gpu_wins_throughput_in_maxn(gait: tuple[str, Works]) -> None:
    assert best(gait[1], "MAXN", "gpu")["ips"] > 2 * best(gait[1], "MAXN", "dla")["ips"]


def test_the_dlas_catch_up_as_power_goes_down(gait: tuple[str, Works]) -> None:
    ratios = [
        best(gait[1], mode, "dla")["ips"] / best(gait[1], mode, "gpu")["ips"]
        for mode in ("MAXN", "MODE_30W", "MODE_15W")
    ]
    assert ratios == sorted(ratios)
    assert ratios[-1] > 2 * ratios[0]


@pytest.mark.parametrize("name", [board.name for board in BOARDS.values() if board.dla_cores])
@pytest.mark.parametrize("model", ["gait3d_cnn", "gait3d_cnn_tiny"])
def test_the_3d_cnn_never_claims_a_dla(tmp_path: Path, name: str, model: str) -> None:
    path, board = tmp_path / "volume.onnx", BOARDS[name]
    onnx.save(export(build(model, {}).eval(), (2, 25, 60, 60), opset=17), path)
    work, mode = layers.of_onnx(path, 2), board.modes[board.default_mode]
    for placement in board.placements[1:]:
        asked = Deployment("tensorrt", "fp16", 2, streams=3, placement=placement)
        with pytest.raises(AgentError, match="convolves in 3 dimensions"):
            schedule(work, asked, board, mode)
    assert schedule(work, Deployment("tensorrt", "fp16", 2, placement="gpu"), board, mode).lanes
