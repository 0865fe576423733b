"""The runtime of a virtual board, without an agent around it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from explorer_agent.messages import INFEASIBLE, AgentError, Deployment
from explorer_agent.virtual import tree
from explorer_agent.virtual.runtime import Virtual
from explorer_agent.virtual.world import World

from ..networks import convolutional, quantised, samples
from ..test_runtimes import packed
from . import nets

Make = Callable[..., Virtual]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def begin(name: str = "agx-orin-64", **faults: Any) -> Virtual:
        return Virtual(World.below(tree.settle(tmp_path / name, name, faults=faults)))

    return begin


def asked(precision: str = "fp16", placement: str = "gpu", **more: Any) -> Deployment:
    return Deployment("tensorrt", precision, 2, placement=placement, **more)


def test_it_is_available_here_and_describes_the_board(make: Make) -> None:
    runtime = make("thor")
    found = runtime.describe()
    assert runtime.available() == ""
    assert (found["version"], found["sm"], found["dla_cores"], found["placements"]) == ("10.13.3.9", 110, 0, ["gpu"])
    assert found["precisions"]["fp8"] == "the numbers come from ONNX Runtime, which has no fp8 on a CPU"
    assert not found["precisions"]["bf16"]


def test_an_engine_says_that_it_is_simulated_and_of_which_board(make: Make, tmp_path: Path) -> None:
    facts = make().build(nets.dense(tmp_path / "n"), asked(), tmp_path / "engine")
    with zipfile.ZipFile(tmp_path / "engine") as archive:
        header = json.loads(archive.read("engine.json"))
    assert header["simulated"] is True
    assert header["bound_to"] == {"simulated": "agx-orin-64", "l4t": "36.4.3", "tensorrt": "10.3.0.30"}
    assert facts["numerics"] == "6 tensors rounded to fp16, fp32 sums; by ONNX Runtime"
    assert facts["simulation"]["board"] == "agx-orin-64"


def test_the_same_build_is_the_same_engine(make: Make, root: Path, tmp_path: Path) -> None:
    """Its name seeds the order of turns; ONNX Runtime leaves the nodes of this network in either of two orders."""
    for name in range(8):
        make().build(root / "examples" / "own_onnx" / "small.onnx", asked(), tmp_path / f"engine-{name}")
    assert len({path.read_bytes() for path in tmp_path.glob("engine-*")}) == 1


def test_an_engine_of_another_board_is_refused(make: Make, tmp_path: Path) -> None:
    make().build(nets.dense(tmp_path / "n"), asked(), tmp_path / "engine")
    with pytest.raises(AgentError, match="built elsewhere: simulated 'agx-orin-64', here 'orin-nx-16'") as refusal:
        make("orin-nx-16").load(tmp_path / "engine", asked())
    assert refusal.value.kind == INFEASIBLE
    (tmp_path / "rubbish").write_bytes(b"PK rubbish")
    with pytest.raises(AgentError, match="not an engine of a virtual board"):
        make().load(tmp_path / "rubbish", asked())


@pytest.mark.parametrize(
    ("precision", "placement", "source", "words"),
    [
        ("int8", "gpu", "float", "neither QuantizeLinear nor a calibration"),
        ("fp16", "gpu", "quantised", "fp16 asked for, but the network is quantised"),
        ("int8", "dla", "quantised", "a DLA of TensorRT 10.3.0.30 takes no QuantizeLinear"),
        ("fp8", "gpu", "float", "fp8: agx-orin-64"),
    ],
)
def test_a_network_whose_numbers_are_not_those_asked_for_is_refused(
    make: Make, tmp_path: Path, precision: str, placement: str, source: str, words: str
) -> None:
    path = convolutional(tmp_path / "float", channels=64)
    path = quantised(path, tmp_path / "quantised") if source == "quantised" else path
    with pytest.raises(AgentError, match=words) as refusal:
        make().build(path, asked(precision, placement), tmp_path / "engine")
    assert refusal.value.kind == INFEASIBLE
    assert not (tmp_path / "engine").exists()


@pytest.mark.parametrize(("precision", "layers"), [("int8", {"int8": 2}), ("best", {"int8": 2}), ("fp16", {"fp16": 2})])
def test_a_calibrated_network_runs_as_it_is_asked_to(
    make: Make, tmp_path: Path, precision: str, layers: dict[str, int]
) -> None:
    source = nets.calibrated(nets.dense(tmp_path / "float"), tmp_path / "n")
    for placement in ("gpu", "dla"):
        assert make().build(source, asked(precision, placement), tmp_path / "engine")["layers"] == layers


def test_what_the_memory_cannot_hold_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="out of memory: the engine needs"):
        make(out_of_memory_mb=0.1).build(nets.dense(tmp_path / "n"), asked(), tmp_path / "engine")


def test_loading_takes_the_boards_time(make: Make, tmp_path: Path) -> None:
    runtime = make()
    runtime.build(nets.dense(tmp_path / "n"), asked(), tmp_path / "engine")
    bench = runtime.bench()
    began = bench.now_s()
    engine = runtime.load(tmp_path / "engine", asked())
    assert 0.3 < bench.now_s() - began < 1
    step = engine.step(None)
    loaded = bench.now_s()
    step()
    first = bench.now_s() - loaded
    step()
    assert first > 2 * (bench.now_s() - loaded - first), "the first inference takes longer"


def test_engines_of_one_network_answer_the_same_samples_once(make: Make, tmp_path: Path) -> None:
    """Whatever their units; another network, batch or other samples are computed."""
    board, first, other = make(), tmp_path / "first", tmp_path / "other"
    for path, count in ((first, 3), (other, 4)):
        packed(path, input=samples(count))

    def answers(path: Path, **more: Any) -> bytes:
        how = replace(asked(), **more)
        board.build(convolutional(tmp_path / "network"), how, tmp_path / "engine")
        return board.load(tmp_path / "engine", how).outputs(path)

    computed = answers(first)
    [kept] = (path for path in tmp_path.glob("agx-orin-64/answers/*"))
    assert answers(first, placement="dla", power_mode="MODE_15W") == computed
    assert answers(first, placement="gpu+dla", streams=3) == computed
    assert [kept] == list(kept.parent.iterdir())
    for count, differs in enumerate(({"batch": 3}, {"precision": "bf16"}, {"precision": "fp32"}), start=2):
        answers(first, **differs)
        assert len(list(kept.parent.iterdir())) == count
    assert answers(other) != computed


def test_what_was_kept_is_what_is_told(make: Make, tmp_path: Path) -> None:
    board, path = make(), packed(tmp_path / "samples", input=samples(3))
    board.build(convolutional(tmp_path / "network"), asked(), tmp_path / "engine")
    loaded = board.load(tmp_path / "engine", asked())
    computed = loaded.outputs(path)
    [kept] = tmp_path.glob("agx-orin-64/answers/*")
    kept.write_bytes(kept.read_bytes()[:-7])
    assert loaded.outputs(path) == computed, "a damaged one is computed again"
