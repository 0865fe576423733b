"""trtexec on an engine's own plan, with a trtexec of each version that refuses what its version does not know."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from explorer_agent.messages import AgentError, Plan
from explorer_agent.runtimes.tensorrt import verify

from ...networks import convolutional
from . import faces
from .conftest import Board, Boards, deployment
from .faces.trtexec import installed

PLAN = Plan(warmup_s=0.02, budget_s=0.1)
FACES = list(faces.VERSIONS)
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is all of $PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(verify, "USUAL", tmp_path / "usual" / "trtexec")
    return tmp_path / "bin"


def checked(there: Board, *, graph: bool = True, **axes: Any) -> dict[str, Any]:
    file = there.folder / "scratch.plan"
    return there.runtime.verify(there.folder / "engine", deployment(**axes), PLAN, file=file, graph=graph)


@pytest.mark.parametrize("face", FACES)
def test_the_very_plan_is_run_and_its_medians_are_told(face: str, board: Boards, bare: Path) -> None:
    there, tool = board(face), installed(bare, face)
    there.build(convolutional(there.folder / "net"))
    told = checked(there)
    assert (told["passed"], told["exit"], told["why"]) == (True, 0, ""), told
    assert told["tool"] == told["command"][0] == str(tool)
    assert told["tool_version"] == {"8.5": "8.5.3", "10.3": "10.3.0", "11": "11.4.0"}[face]
    assert told["throughput_ips"] > 0
    assert told["latency_ms"] > told["compute_ms"] > told["enqueue_ms"] > 0
    assert {"--exposeDMA"} <= set(told["conditions"].values())


@pytest.mark.parametrize(
    ("face", "placement", "streams"), [*((face, "gpu", 3) for face in FACES), ("8.5", "dla1", 2), ("10.3", "dla", 1)]
)
def test_every_version_takes_its_switches(face: str, placement: str, streams: int, board: Boards, bare: Path) -> None:
    """What it does not know it refuses, as theirs does; batches are samples again in what is told."""
    there = board(face)
    installed(bare, face, latency_ms=2.0)
    axes = {"placement": placement, "streams": streams, "precision": "fp16" if "dla" in placement else "fp32"}
    there.build(convolutional(there.folder / "net"), **axes)
    told = checked(there, graph=False, **axes)
    assert told["passed"], told["why"]
    assert told["throughput_ips"] == pytest.approx(4 * streams * 1e3 / 2.0)
    assert told["latency_ms"] == 2.0
    assert ("--threads" in told["command"]) is (streams > 1)
    assert (f"--useDLACore={placement.endswith('1'):d}" in told["command"]) is ("dla" in placement)
    assert "no CUDA graphs" in told["conditions"]


def test_a_dla_is_run_without_a_graph_whatever_ours_does(board: Boards, bare: Path) -> None:
    there = board("10.3")
    installed(bare, "10.3", latency_ms=1.0)
    there.build(convolutional(there.folder / "net"), placement="dla", precision="fp16")
    told = checked(there, placement="dla", precision="fp16")
    assert "--useCudaGraph" not in told["command"]
    assert "no CUDA graphs" in told["conditions"]


def test_where_there_is_none_it_says_what_to_install(board: Boards, bare: Path) -> None:
    there = board()
    there.build(convolutional(there.folder / "net"))
    with pytest.raises(AgentError, match=r"no trtexec at \$PATH or at .*usual/trtexec") as refused:
        checked(there)
    assert refused.value.kind == "unsupported"
    assert "libnvinfer-bin" in refused.value.hint


def test_it_is_found_where_nvidia_puts_it(board: Boards, bare: Path) -> None:
    installed(bare.parent / "usual", "8.5")
    assert verify.tool() == str(bare.parent / "usual" / "trtexec")
    at_path = installed(bare, "8.5")
    assert verify.tool() == str(at_path)


def test_another_tensorrts_is_not_even_tried(board: Boards, bare: Path) -> None:
    there = board("8.5")
    installed(bare, "10.3")
    there.build(convolutional(there.folder / "net"))
    with pytest.raises(AgentError, match=r"is TensorRT 10\.3\.0's, and the engine was built by 8\.5\.3\.1"):
        checked(there)


def test_one_that_does_not_tell_its_version_gets_the_librarys_switches(board: Boards, bare: Path) -> None:
    there = board("8.5")
    installed(bare, "8.5", does="silent", latency_ms=1.0)
    there.build(convolutional(there.folder / "net"))
    told = checked(there)
    assert told["tool_version"] == "", "nobody said"
    assert "--streams=1" in told["command"]


@pytest.mark.parametrize(
    ("does", "status", "why"), [("refuse", 1, "stdVersionRead"), ("crash", 139, ""), ("stop", 0, "")]
)
def test_a_run_that_fails_is_told_and_has_no_figures(
    does: str, status: int, why: str, board: Boards, bare: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    there = board("10.3")
    installed(bare, "10.3", does=does)
    there.build(convolutional(there.folder / "net"))
    told = checked(there)
    assert (told["exit"], told["passed"]) == (status, does == "stop")
    assert why in told["why"]
    assert "throughput_ips" not in told
    assert "&&&& RUNNING TensorRT.trtexec" in capfd.readouterr().out, "the job's log has it"


def test_several_units_together_are_refused_in_words(board: Boards, bare: Path) -> None:
    there = board("10.3")
    installed(bare, "10.3")
    axes = {"placement": "gpu+dla", "streams": 3, "precision": "fp16"}
    there.build(convolutional(there.folder / "net"), **axes)
    with pytest.raises(AgentError, match=r"one engine on one unit, and gpu\+dla is 3 together \(gpu, dla0, dla1\)"):
        checked(there, **axes)


def test_a_file_that_is_no_program_is_told(board: Boards, bare: Path) -> None:
    there = board()
    tool = installed(bare, "8.5")
    tool.write_bytes(b"\x7fELF of another machine")
    there.build(convolutional(there.folder / "net"))
    with pytest.raises(AgentError, match="trtexec does not start: Exec format error") as failed:
        checked(there)
    assert failed.value.kind == "failed"
    assert shutil.which("trtexec") == str(tool)
