"""The runtime as the agent sees it, on every face: the contract of all runtimes, and what this one says of itself."""

from __future__ import annotations

import importlib.util
import io
import json
import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explorer_agent.messages import AgentError, Deployment, refuse
from explorer_agent.runtimes import RUNTIMES, Runtime, arrays
from explorer_agent.runtimes.tensorrt import STREAMS_MOST, TensorRt, probe
from explorer_agent.testing import RuntimeContract

from ...networks import convolutional, samples, two_inputs
from . import faces
from .conftest import Boards, deployment


class OnAFace(RuntimeContract):
    """Has no name that pytest collects; the classes below are it on each version."""

    runtime: Runtime
    deployment = Deployment(runtime="tensorrt", placement="gpu", batch=2)
    version = ""

    @pytest.fixture(autouse=True)
    def on_a_board(self, board: Boards) -> None:
        self.runtime = board(self.version).runtime

    def source(self, folder: Path) -> Path:
        return convolutional(folder / "source")

    def samples(self, folder: Path) -> Path:
        (folder / "samples").write_bytes(arrays.pack({"input": samples(3)}))
        return folder / "samples"


class TestOn85(OnAFace):
    version = "8.5"


class TestOn10(OnAFace):
    version = "10.3"


class TestOn11(OnAFace):
    version = "11"


def test_there_is_a_class_for_every_face() -> None:
    assert {kind.version for kind in OnAFace.__subclasses__()} == set(faces.VERSIONS)


def test_it_is_among_the_agents_runtimes() -> None:
    assert isinstance(RUNTIMES["tensorrt"], TensorRt)


def test_a_board_says_what_it_has(board: Boards) -> None:
    said = board("8.5").runtime.describe()
    assert json.loads(json.dumps(said)) == said
    assert (said["version"], said["sm"], said["dla_cores"], said["cuda"]) == ("8.5.3.1", 87, 2, "12.2")
    assert said["placements"] == ["gpu", "dla", "dla_only", "dla1", "dla_only1", "gpu+dla"]
    assert said["streams_max"] == STREAMS_MOST
    assert said["strongly_typed_only"] is False
    assert {name for name, why_not in said["precisions"].items() if not why_not} == {
        "fp32",
        "tf32",
        "fp16",
        "int8",
        "best",
    }
    assert board("11").runtime.describe()["strongly_typed_only"] is True


def test_a_board_without_a_dla_refuses_one_before_any_work(board: Boards) -> None:
    said = board("10.3", dla_cores=0).runtime.describe()
    runtimes = {"tensorrt": {"available": True, "why_not": "", **said}}
    capabilities = {"runtimes": runtimes, "cores": 6, "power_modes": []}
    refuse(deployment(), capabilities)
    with pytest.raises(AgentError, match="runs only on gpu here") as refused:
        refuse(deployment(placement="dla", precision="fp16"), capabilities)
    assert refused.value.kind == "infeasible"


def test_it_asks_the_board_once(board: Boards) -> None:
    asked: list[int] = []
    there = board()

    def ask() -> dict[str, object]:
        asked.append(1)
        return {"why_not": "", "version": "8.5.3.1", "sm": 87, "dla_cores": 0, "cuda": "11.4"}

    runtime = TensorRt(ask, lambda: there.world.cuda)
    assert [runtime.available(), runtime.available()] == ["", ""]
    runtime.describe()
    assert len(asked) == 1


def test_without_tensorrt_it_says_where_that_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("tensorrt"):
        pytest.skip("there is a real TensorRT for this Python")
    assert "tensorrt is not installed for this Python; JetPack brings it" in TensorRt().available()


def test_on_this_very_machine_it_says_why_not_or_runs() -> None:
    """The real probe in a process of its own, with whatever CUDA and TensorRT there are."""
    facts = probe.ask()
    assert facts["why_not"] or facts["version"]
    if not Path("/dev/nvidia0").exists() and not Path("/dev/nvmap").exists():
        assert facts["why_not"], "without a driver there is no device"


@pytest.mark.parametrize("version", faces.VERSIONS)
def test_several_inputs_go_by_name(version: str, board: Boards, tmp_path: Path) -> None:
    there = board(version)
    left, right = np.ones((3, 4), np.float32), np.arange(12, dtype=np.float32).reshape(3, 4)
    there.build(two_inputs(tmp_path / "sum"), batch=2)
    (tmp_path / "in").write_bytes(arrays.pack({"right": right, "left": left}))
    with np.load(io.BytesIO(there.load(batch=2).outputs(tmp_path / "in"))) as found:
        np.testing.assert_allclose(found["sum"], left + right)


def test_an_engine_of_another_board_is_refused_in_words(board: Boards, tmp_path: Path) -> None:
    board("8.5", sm=87).build(convolutional(tmp_path / "net"))
    with pytest.raises(AgentError, match="built elsewhere: sm 87, here 72") as refused:
        board("8.5", sm=72).load()
    assert refused.value.kind == "failed", "a fact about that file, not about the network"
    with pytest.raises(AgentError, match=r"tensorrt '8.5.3.1', here '10.3.0'"):
        board("10.3", sm=87).load()


def test_an_engine_without_a_plan_for_a_unit_is_refused(board: Boards, tmp_path: Path) -> None:
    there = board()
    there.build(convolutional(tmp_path / "net"))
    with pytest.raises(AgentError, match="holds no plan for dla, only gpu"):
        there.load(placement="dla", precision="fp16")


def test_an_engine_is_bound_to_its_machine(board: Boards, tmp_path: Path) -> None:
    runtime = board().runtime
    assert runtime._bound_to()["machine"] == platform.machine()
    assert replace(deployment(), batch=8).batch == 8
