"""The real agent serving a virtual board, over a real pipe, and its numbers derived by the host."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.oracle.board import Target
from explorer.statistics import power as host_power
from explorer.transports.bundle import make_bundle

from ..networks import convolutional, quantised, samples
from ..talk import Talk
from ..test_runtimes import packed
from . import nets
from .conftest import Board, has_libraries

Start = Callable[..., Board]


def test_hello_is_that_of_the_board_and_says_simulated(start: Start) -> None:
    told = start("agx-orin-64", "--seed", "3").told
    assert told["simulated"] == "agx-orin-64"
    assert (told["module"], told["soc"], told["l4t"], told["jetpack"]) == ("p3701-0005", "tegra234", "36.4.3", "6.2")
    assert (told["machine"], told["cores"], told["memory_mb"]) == ("aarch64", 12, 62841)
    assert told["power_modes"] == ["MAXN", "MODE_15W", "MODE_30W", "MODE_50W"]
    assert told["power_mode"]["current"] == "MODE_30W"
    assert list(told["runtimes"]) == ["tensorrt"]
    runtime = told["runtimes"]["tensorrt"]
    assert (runtime["version"], runtime["sm"], runtime["dla_cores"], runtime["parser_opset"]) == (
        "10.3.0.30",
        87,
        2,
        20,
    )
    assert runtime["placements"] == ["gpu", "dla", "dla_only", "dla1", "dla_only1", "gpu+dla"]
    assert runtime["simulation"]["seed"] == 3
    assert list(told["meters"]) == ["ina3221"]
    assert told["meters"]["ina3221"]["rails"] == ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"]
    assert told["meters"]["ina3221"]["what"].startswith("simulated")


@pytest.mark.parametrize(
    ("name", "module", "version", "sm", "dlas", "opset", "policy"),
    [
        ("nano", "p3448-0000", "8.2.1.8", 53, 0, 13, "module_input_5v/1"),
        ("xavier-nx", "p3668-0000", "8.5.2.2", 72, 2, 17, "module_input/1"),
        pytest.param(*("agx-xavier", "p2888-0004", "8.5.2.2", 72, 2, 17, "sum_of_six/1"), marks=pytest.mark.slow),
        pytest.param(*("orin-nano", "p3767-0005", "10.3.0.30", 87, 0, 20, "module_input/1"), marks=pytest.mark.slow),
        pytest.param(*("orin-nx-16", "p3767-0000", "10.3.0.30", 87, 2, 20, "module_input/1"), marks=pytest.mark.slow),
        ("thor", "p3834-0008", "10.13.3.9", 110, 0, 20, "carrier_input/1"),
    ],
)
def test_every_board_measures_with_its_own_sensors(
    start: Start, tmp_path: Path, name: str, module: str, version: str, sm: int, dlas: int, opset: int, policy: str
) -> None:
    board = start(name)
    runtime = board.told["runtimes"]["tensorrt"]
    assert (board.told["module"], board.told["simulated"]) == (module, name)
    assert board.told["jetpack"]
    found = (runtime["version"], runtime["sm"], runtime["dla_cores"], runtime["parser_opset"])
    assert found == (version, sm, dlas, opset)
    assert bool(runtime["simulated_only"]) is (name == "nano"), "its TensorRT is too old for a real one to be driven"
    target = Target.of_capabilities(board.told)
    assert (target.module, target.sm, target.dla_cores, target.parser_opset) == (name, sm, dlas, opset)
    assert board.told["meters"]["ina3221"]["policy"] == policy
    reply, deployment = board.built(nets.dense(tmp_path / "n"), precision="fp16", placement="gpu")
    measurement = board.measured(reply["engine"], deployment)
    metrics, _ = host_power.energy(measurement, 1)
    idle = np.median(measurement.series["meter_0"][:20])
    assert metrics["power_w"].value > 1
    assert np.isfinite(idle)


def test_a_trial_from_build_to_outputs(start: Start, tmp_path: Path) -> None:
    board = start("agx-orin-64")
    source = quantised(convolutional(tmp_path / "float", channels=64), tmp_path / "network")
    reply, deployment = board.built(source, precision="int8", placement="gpu", batch=2, power_mode="MAXN")
    assert reply["layers"] == {"int8": 3}
    assert reply["simulated"] is True
    assert reply["simulation"]["board"] == "agx-orin-64"
    assert reply["numerics"] == "int8 as QuantizeLinear says; by ONNX Runtime"
    began = time.monotonic()
    found = board.measured(reply["engine"], deployment)
    assert time.monotonic() - began < 5, "hours of a virtual board pass at once"
    assert found.header["simulated"] is True
    assert found.header["power_mode"] == "MAXN"
    assert found.header["simulation"]["model"].startswith("roofline/")
    assert found.header["meter"]["simulated"] is True
    assert list(found.flags) == ["clocks-not-locked"]
    assert found.series["window_count"].sum() == len(found.series["latency_s"]) >= 700
    assert np.all(np.diff(found.series["meter_time_s"]) > 0)
    inputs = board.put(packed(tmp_path / "inputs", input=samples(3)).read_bytes())
    outputs, body = board.ask("infer", engine=reply["engine"], inputs=inputs, deployment=deployment)
    assert (outputs["type"], outputs["simulated"]) == ("infer", True)
    assert len(body) > 3 * 10 * 4


def test_a_minute_of_the_board_passes_at_once(start: Start, tmp_path: Path) -> None:
    board = start("orin-nx-16")
    reply, deployment = board.built(nets.dense(tmp_path / "n"), precision="fp16", placement="gpu", batch=32)
    began = time.monotonic()
    plan = {"window_s": 1.0, "windows_min": 60, "budget_s": 60.0, "relative_interval": 1e-6}
    found = board.measured(reply["engine"], deployment, **plan)
    assert found.series["meter_time_s"][-1] - found.series["meter_time_s"][0] > 59
    assert time.monotonic() - began < 6


def test_locked_clocks_are_locked_by_the_agents_own_code_and_let_go_in_the_end(start: Start, tmp_path: Path) -> None:
    board = start("agx-orin-64", "--clocks", "lock")
    assert board.told["clocks"]["state"] == "locked", board.told["clocks"]
    reply, deployment = board.built(nets.dense(tmp_path / "n"), precision="fp16", placement="gpu", power_mode="MAXN")
    found = board.measured(reply["engine"], deployment)
    assert not list(found.flags)

    def limits() -> set[int]:
        gpu = board.root / "sys/class/devfreq/17000000.gpu"
        return {int((gpu / f"{end}_freq").read_text()) for end in ("min", "max")}

    assert len(limits()) == 1
    board.close()
    assert len(limits()) == 2
    assert "pmode:0002" in (board.root / "var/lib/nvpmodel/status").read_text(), "and the power mode was set back"


def test_the_host_derives_the_watts_that_the_model_put_in(start: Start, tmp_path: Path) -> None:
    board = start("orin-nx-16")
    reply, deployment = board.built(nets.dense(tmp_path / "n"), precision="fp16", placement="gpu", power_mode="15W")
    metrics, doubts = host_power.energy(board.measured(reply["engine"], deployment, relative_interval=0.001), 1)
    assert not doubts
    assert 8 < metrics["power_w"].value < 14, "4.8 W idle, a GPU of 6.5 W, and the memory"
    assert 0 < metrics["energy_net_mj"].value < metrics["energy_mj"].value


def test_power_modes_are_set_by_nvpmodel_and_change_what_is_measured(start: Start, tmp_path: Path) -> None:
    board = start("agx-orin-64")
    reply, deployment = board.built(nets.dense(tmp_path / "n"), precision="fp16", placement="gpu", batch=8)
    seconds = {}
    for mode in ("MAXN", "MODE_15W"):
        found = board.measured(reply["engine"], {**deployment, "power_mode": mode})
        seconds[mode] = float(np.median(found.series["latency_s"]))
        assert found.header["power_mode"] == found.header["board_before"]["power_mode"] == mode
    assert 5 < seconds["MODE_15W"] / seconds["MAXN"] < 14, "the GPU's peak differs by 12.2"


@pytest.mark.parametrize(
    ("name", "deployment", "reason"),
    [
        ("orin-nano", {"placement": "dla", "precision": "fp16"}, "runs only on gpu here"),
        ("thor", {"placement": "gpu+dla", "precision": "fp16"}, "runs only on gpu here"),
        ("nano", {"placement": "gpu", "precision": "int8"}, "computes fp16, fp32"),
        ("agx-xavier", {"placement": "gpu", "precision": "bf16"}, "computes int8, fp16, fp32"),
        ("thor", {"placement": "gpu", "precision": "fp8"}, "no fp8 on a CPU"),
        ("agx-orin-64", {"placement": "dla", "precision": "fp32"}, "fp16 and int8, not in fp32"),
        ("agx-orin-64", {"placement": "gpu+dla", "precision": "fp16", "streams": 2}, "needs 3 streams"),
        ("agx-orin-64", {"placement": "gpu", "precision": "int8"}, "neither QuantizeLinear nor a calibration"),
        ("xavier-nx", {"placement": "gpu", "precision": "fp16", "power_mode": "MAXN"}, "this board offers MODE_15W"),
    ],
)
def test_what_a_board_cannot_do_is_infeasible_in_words(
    start: Start, tmp_path: Path, name: str, deployment: dict[str, Any], reason: str
) -> None:
    reply, _ = start(name).built(nets.dense(tmp_path / "n"), **deployment)
    assert (reply["type"], reply["kind"]) == ("error", "infeasible")
    assert reason in reply["text"]


def test_an_answer_follows_from_the_question_and_the_seed_alone(start: Start, tmp_path: Path) -> None:
    def latencies(seed: int, *, other_first: bool = False) -> list[list[float]]:
        board = start("agx-orin-64", "--seed", str(seed))
        if other_first:
            reply, deployment = board.built(nets.mixed(tmp_path / "m"), precision="fp16", placement="dla")
            board.measured(reply["engine"], deployment)
        reply, deployment = board.built(nets.dense(tmp_path / "n"), precision="fp16", placement="gpu")
        return [board.measured(reply["engine"], deployment).series["latency_s"].tolist() for _ in range(2)]

    first = latencies(1)
    assert first[0] != first[1], "measured anew: other noise"
    assert latencies(1, other_first=True) == first
    assert latencies(2)[0] != first[0]


def test_another_board_in_the_same_home_starts_afresh(start: Start, tmp_path: Path) -> None:
    for name in ("agx-orin-64", "xavier-nx"):
        board = start(name, home=tmp_path / "home")
        assert board.told["simulated"] == name
        assert board.built(nets.dense(tmp_path / "n"), precision="fp16", placement="gpu")[0]["cached"] is False
        board.close()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--simulate", "agx-orion"), "unknown virtual board 'agx-orion'"),
        (("--simulate", "nano", "--fault", "gremlins=1"), "unknown fault 'gremlins'"),
        (("--simulate", "nano", "--fault", "fan"), "a fault is NAME=JSON"),
        (("--simulate", "nano", "--fault", "fan=0"), "the fault fan of a virtual board cannot be 0"),
        (("--simulate", "nano", "--fault", 'dead_rails=["VIN"]'), "cannot be VIN"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_words(
    virtual_bundle: Path, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    talk = Talk(sys.executable, virtual_bundle, tmp_path / "home", *words)
    message, _ = talk.hear()
    assert (message["type"], message["kind"]) == ("error", "unsupported")
    assert reason in message["text"]
    assert talk.close() == 1


def test_the_file_that_real_boards_get_holds_no_virtual_ones(tmp_path: Path) -> None:
    talk = Talk(sys.executable, make_bundle(tmp_path)[0], tmp_path / "home", "--simulate", "nano")
    assert talk.process.wait(20) == 1
    assert talk.process.stderr is not None
    assert b"this agent's file holds no virtual boards" in talk.process.stderr.read()
    talk.close()


@pytest.mark.parametrize("words", [("--fault", "fan=0.3"), ("--seed", "3")])
def test_a_real_board_has_no_faults_to_ask_for(virtual_bundle: Path, tmp_path: Path, words: tuple[str, str]) -> None:
    talk = Talk(sys.executable, virtual_bundle, tmp_path / "home", *words)
    assert talk.process.wait(20) == 2
    assert talk.process.stderr is not None
    assert b"name it with --simulate" in talk.process.stderr.read()
    talk.close()


@pytest.mark.slow
def test_under_the_oldest_python(start: Start, old_python: str, tmp_path: Path) -> None:
    board = start("agx-xavier", "--clocks", "lock", python=old_python)
    assert (board.told["python"][:4], board.told["simulated"]) == ("3.8.", "agx-xavier")
    assert board.told["meters"]["ina3221"]["available"]
    assert board.told["clocks"]["state"] == "locked"
    if not has_libraries(old_python):
        assert "is not installed for this Python" in board.told["runtimes"]["tensorrt"]["why_not"]
        return
    reply, deployment = board.built(nets.dense(tmp_path / "n"), precision="fp16", placement="dla")
    assert board.measured(reply["engine"], deployment).header["simulated"] is True
