"""Where networks run on a virtual board, by the real agent: what a build tells, and what it refuses."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from explorer.statistics import power as host_power

from ..test_runtimes import packed
from . import nets
from .conftest import Board

Start = Callable[..., Board]


def test_a_build_tells_which_layers_run_where_and_why_some_fell_back(start: Start, tmp_path: Path) -> None:
    network = nets.mixed(tmp_path / "n", changes=2)
    reply, _ = start("agx-orin-64").built(network, precision="fp16", placement="dla")
    part = reply["parts"]["dla"]
    assert list(reply["parts"]) == ["dla"]
    assert (part["placed"], part["dla_blocks"]) == ({"gpu": 2, "dla": 3, "unknown": 0}, 3)
    assert (part["dla_layers"], part["gpu_layers"]) == (["conv0", "conv1", "conv2"], ["erf0", "erf1"])
    assert part["fallbacks"] == [
        {"layer": name, "reason": "Erf is none of the DLA's layers"} for name in ("erf0", "erf1")
    ]
    assert part["share"]["layers"] == pytest.approx({"gpu": 0.4, "dla": 0.6})
    assert part["share"]["macs"] == {"dla": 1.0}
    assert reply["layers"] == part["layers"] == {"fp16": 3}


def test_gpu_and_dlas_together_are_slower_each_than_alone(start: Start, tmp_path: Path) -> None:
    board, network = start("agx-orin-64"), nets.dense(tmp_path / "n", channels=128)
    reply, deployment = board.built(network, precision="fp16", placement="gpu+dla", streams=3, batch=8)
    assert set(reply["parts"]) == {"gpu", "dla"}
    together = board.measured(reply["engine"], deployment)
    assert set(together.header["sharing"]) == {"gpu", "dla0", "dla1"}
    slower = [told["slowdown"] for told in together.header["sharing"].values()]
    assert all(0.95 < each < 2 for each in slower), "but for noise"
    assert max(slower) > 1.01
    alone, its = board.built(network, precision="fp16", placement="gpu", batch=8)
    single = board.measured(alone["engine"], its)
    assert len(together.series["latency_s"]) > len(single.series["latency_s"]) > 0


def test_a_dla_at_work_is_seen_in_its_rail_and_in_the_kernels_own_word(start: Start, tmp_path: Path) -> None:
    board, network = start("agx-orin-64"), nets.dense(tmp_path / "n", channels=128)
    watts = {}
    for placement in ("gpu", "dla"):
        reply, deployment = board.built(network, precision="fp16", placement=placement, batch=8, power_mode="MAXN")
        found = board.measured(reply["engine"], deployment)
        rails = found.header["meter"]["rails"]
        watts[placement] = {rail: float(np.median(found.series[f"meter_{n}"])) for n, rail in enumerate(rails)}
    assert watts["dla"]["VDD_CPU_CV"] > 1.3 * watts["gpu"]["VDD_CPU_CV"]
    assert watts["gpu"]["VDD_GPU_SOC"] > 2 * watts["dla"]["VDD_GPU_SOC"]


def test_a_calibrated_network_runs_in_int8_on_a_dla(start: Start, tmp_path: Path) -> None:
    board = start("agx-orin-64")
    source = nets.dense(tmp_path / "float", channels=32, size=16)
    network = nets.calibrated(source, tmp_path / "calibrated")
    inputs = np.random.default_rng(3).random((4, 32, 16, 16), dtype=np.float32)
    sent = board.put(packed(tmp_path / "inputs", input=inputs).read_bytes())

    def outputs(path: Path, **asked: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        reply, deployment = board.built(path, **asked)
        assert reply["type"] == "build", reply
        told, body = board.ask("infer", engine=reply["engine"], inputs=sent, deployment=deployment)
        assert told["simulated"] is True
        with np.load(io.BytesIO(body)) as found:
            return np.asarray(found["out"])

    exact = outputs(source, precision="fp32", placement="gpu")
    rounded = outputs(network, precision="int8", placement="dla")
    error = float(np.abs(rounded - exact).mean() / np.abs(exact).mean())
    assert 0.001 < error < 0.05, "really quantised"
    half = outputs(source, precision="fp16", placement="dla")
    assert 0 < float(np.abs(half - exact).mean() / np.abs(exact).mean()) < 0.002, "really rounded"


@pytest.mark.parametrize(
    ("network", "deployment", "reason"),
    [
        ("volume", {"placement": "dla"}, "conv3d convolves in 3 dimensions"),
        ("volume", {"placement": "gpu+dla", "streams": 3}, "conv3d convolves in 3 dimensions"),
        ("mixed", {"placement": "dla_only"}, "dla_only, but 1 layers need the GPU: erf0"),
        ("mixed", {"placement": "dla_only1"}, "dla_only, but 1 layers need the GPU: erf0"),
        ("pointwise", {"placement": "dla"}, "could run on a DLA, which is no DLA engine"),
    ],
)
def test_what_leaves_nothing_on_the_dla_is_refused(
    start: Start, tmp_path: Path, network: str, deployment: dict[str, object], reason: str
) -> None:
    path = getattr(nets, network)(tmp_path / "n")
    reply, _ = start("agx-orin-64").built(path, precision="fp16", **deployment)
    assert (reply["type"], reply["kind"]) == ("error", "infeasible")
    assert reason in reply["text"]


def test_the_second_core_serves_too_and_energy_is_had(start: Start, tmp_path: Path) -> None:
    board = start("xavier-nx")
    reply, deployment = board.built(nets.dense(tmp_path / "n"), precision="fp16", placement="dla_only1")
    metrics, _ = host_power.energy(board.measured(reply["engine"], deployment), 1)
    assert metrics["energy_mj"].value > 0
