"""The real agent with a face of TensorRT: its probe loads a libcudart by name, its jobs build, measure and infer."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from explorer_agent.runtimes import arrays
from explorer_agent.runtimes.tensorrt import verify
from explorer_agent.wire import Message

from ...networks import convolutional, quantised, samples
from ...talk import Talk, family, gone
from . import faces
from .faces.compiled import compiled
from .faces.packed import packed
from .faces.trtexec import installed

onnxruntime = pytest.importorskip("onnxruntime")
QUICK = {"warmup_s": 0.02, "window_s": 0.02, "budget_s": 0.2, "windows_min": 3, "relative_interval": 0.5, "idle_s": 0.0}
Board = Callable[..., Talk]


@pytest.fixture(scope="module")
def cudart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cuda")
    if why_not := compiled(folder):
        pytest.skip(why_not)
    return folder


@pytest.fixture(scope="module")
def with_face(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent's own file, and in it a module `tensorrt`."""
    return packed(bundle, tmp_path_factory.mktemp("agent") / "agent.pyz")


@pytest.fixture(scope="module")
def board(with_face: Path, cudart: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """The agent of a board, with its hello as `talk.notes[0]`; the same one for tests that ask for the same board."""
    talks: dict[str, Talk] = {}

    def of(face: str = "8.5", **environment: str) -> Talk:
        board = f"{face} {environment}"
        if board not in talks:
            home = tmp_path_factory.mktemp("home")
            where = {"LD_LIBRARY_PATH": str(cudart), "XDG_CACHE_HOME": str(home / "cache"), "FACE": face}
            words = ("--runtime", "tensorrt")
            talk = Talk(sys.executable, with_face, home, *words, environment={**os.environ, **where, **environment})
            talks[board] = talk
            talk.notes.append(talk.hear()[0])
        return talks[board]

    yield of
    for talk in talks.values():
        talk.close()


def said(talk: Talk) -> Any:
    return talk.notes[0]["capabilities"]["runtimes"]["tensorrt"]


def deployment(**axes: Any) -> dict[str, Any]:
    return {"runtime": "tensorrt", "placement": "gpu", "batch": 4, **axes}


def built(talk: Talk, source: Path, **axes: Any) -> Message:
    return talk.ask("build", source=talk.put(source.read_bytes()), deployment=deployment(**axes))[0]


def faulty(path: Path, fault: str) -> Path:
    """A network that makes the face's builder fail like that."""
    model = onnx.load(convolutional(path))
    onnx.helper.set_model_props(model, {faces.FAULT: fault})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("face", faces.VERSIONS)
def test_it_builds_measures_and_infers(face: str, board: Board, tmp_path: Path) -> None:
    talk, source = board(face), convolutional(tmp_path / "net")
    assert (said(talk)["available"], said(talk)["sm"], said(talk)["dla_cores"]) == (True, 87, 2), said(talk)
    made = built(talk, source)
    assert made["type"] == "build", made
    assert made["layers"] == {"fp32": 3}
    measured, body = talk.ask("measure", engine=made["engine"], deployment=deployment(), plan=QUICK)
    assert measured["type"] == "measure", measured
    assert body
    inputs = talk.put(arrays.pack({"input": samples(10)}))
    told, outputs = talk.ask("infer", engine=made["engine"], inputs=inputs, deployment=deployment())
    assert told["type"] == "infer", told
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    with np.load(io.BytesIO(outputs)) as found:
        np.testing.assert_allclose(found["embedding"], session.run(None, {"input": samples(10)})[0], atol=1e-5)


def test_the_gpu_is_meant_when_no_unit_is_named(board: Board, tmp_path: Path) -> None:
    talk = board("8.5")
    source = talk.put(convolutional(tmp_path / "net").read_bytes())
    made = talk.ask("build", source=source, deployment={"runtime": "tensorrt", "batch": 2})[0]
    assert made["type"] == "build", made
    assert list(made["parts"]) == ["gpu"]


def test_the_gpu_and_both_dlas_run_together(board: Board, tmp_path: Path) -> None:
    talk = board("10.3")
    asked = {"precision": "fp16", "placement": "gpu+dla", "streams": 3}
    made = built(talk, convolutional(tmp_path / "net"), **asked)
    assert made["type"] == "build", made
    assert set(made["parts"]) == {"gpu", "dla"}
    assert made["parts"]["dla"]["placed"]["dla"] == 3
    assert {each["layer"] for each in made["parts"]["dla"]["fallbacks"]}
    measured, _ = talk.ask("measure", engine=made["engine"], deployment=deployment(**asked), plan=QUICK)
    assert measured["type"] == "measure", measured
    assert {unit: set(told) for unit, told in measured["sharing"].items()} == {
        unit: {"alone_ms", "together_ms", "slowdown"} for unit in ("gpu", "dla0", "dla1")
    }


def test_a_network_with_its_own_types_is_int8_in_11(board: Board, tmp_path: Path) -> None:
    source = quantised(convolutional(tmp_path / "net"), tmp_path / "int8")
    made = built(board("11"), source, precision="int8")
    assert made["type"] == "build", made
    assert made["strongly_typed"]
    assert made["layers"]["int8"] >= 2


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("memory", "failed", "out of memory"),
        ("workspace", "failed", "out of memory"),
        ("implementation", "infeasible", "without any implementation"),
        ("loadables", "infeasible", "too many pieces for a DLA"),
        ("device", "failed", "the device failed"),
        ("silence", "failed", "TensorRT gave no reason"),
    ],
)
def test_a_builder_that_gives_nothing_says_why(fault: str, kind: str, words: str, board: Board, tmp_path: Path) -> None:
    reply = built(board("8.5"), faulty(tmp_path / "net", fault))
    assert (reply["type"], reply["kind"]) == ("error", kind), reply
    assert words in reply["text"]


def test_where_no_graph_can_be_captured_it_runs_call_by_call_and_says_so(board: Board, tmp_path: Path) -> None:
    talk = board("11", CUDART_SPOILT="1")
    made = built(talk, convolutional(tmp_path / "net"))
    measured, _ = talk.ask("measure", engine=made["engine"], deployment=deployment(), plan=QUICK)
    assert measured["type"] == "measure", measured
    assert "no CUDA graph on gpu: cudaStreamEndCapture: CUDA error 901" in measured["log_tail"]
    (stream,) = measured["entrants"][0]["runs"]["streams"]
    assert stream["unit"] == "gpu"
    assert "CUDA error 901" in stream["no_graph"]
    assert "no-cuda-graph" in measured["flags"]


def test_a_device_without_room_fails_in_words(board: Board, tmp_path: Path) -> None:
    talk = board("8.5", CUDART_ROOM="1000")
    made = built(talk, convolutional(tmp_path / "net"))
    reply, _ = talk.ask("measure", engine=made["engine"], deployment=deployment(), plan=QUICK)
    assert (reply["type"], reply["kind"]) == ("error", "failed"), reply
    assert "out of memory: cudaMalloc: CUDA error 2" in reply["text"]


@pytest.mark.parametrize(("error", "words"), [("35", "no NVIDIA driver, or one older"), ("100", "CUDA sees no device")])
def test_a_board_without_a_device_says_so_in_its_hello(error: str, words: str, board: Board) -> None:
    found = said(board("8.5", CUDART_ERROR=error))
    assert not found["available"]
    assert words in found["why_not"]


def test_a_board_without_a_libcudart_says_where_it_looked(board: Board, tmp_path: Path) -> None:
    found = said(board("8.5", LD_LIBRARY_PATH=str(tmp_path)))
    assert not found["available"]
    assert "libcudart" in found["why_not"] or "CUDA error" in found["why_not"], found["why_not"]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder at the $PATH of the board that `verified` asks."""
    return tmp_path_factory.mktemp("tools")


@pytest.fixture
def verified(board: Board, tools: Path, tmp_path: Path) -> Callable[..., tuple[Talk, int]]:
    """Asks a board to verify an engine; its trtexec behaves as told."""

    def ask(face: str = "10.3", timeout_s: float = 60.0, no_graph: str = "", **told: Any) -> tuple[Talk, int]:
        installed(tools, face, **told)
        talk = board(face, PATH=f"{tools}:{os.environ['PATH']}")
        engine = built(talk, convolutional(tmp_path / "net"))["engine"]
        words = {"engine": engine, "deployment": deployment(), "plan": QUICK, "no_graph": no_graph}
        return talk, talk.say("verify", **words, timeout_s=timeout_s)

    return ask


def left(talk: Talk) -> list[str]:
    return [path.name for path in talk.home.rglob("new-*")]


def test_trtexec_runs_the_engine_that_was_built(verified: Callable[..., tuple[Talk, int]]) -> None:
    talk, number = verified()
    assert "verify" in talk.notes[0]["capabilities"]["requests"]
    told, body = talk.answer(number)
    assert (told["type"], told["passed"], body) == ("verify", True, b""), told
    assert told["throughput_ips"] > 0
    assert told["tool_version"] == "10.3.0"
    assert told["conditions"]["CUDA graphs"] == "--useCudaGraph"
    assert isinstance(told["flags"], list)
    assert "cooldown" in told, "the board was made ready as for a measurement"
    assert "&&&& PASSED TensorRT.trtexec" in told["log_tail"]
    assert not left(talk), "nor is the plan left behind"


def test_what_ours_could_not_trtexec_is_not_asked_for(verified: Callable[..., tuple[Talk, int]]) -> None:
    talk, number = verified(latency_ms=1.0, no_graph="capture was spoilt")
    told, _ = talk.answer(number)
    assert "--useCudaGraph" not in told["command"]
    assert told["latency_ms"] == 1.0


def test_a_plan_that_trtexec_refuses_is_an_answer(verified: Callable[..., tuple[Talk, int]]) -> None:
    talk, number = verified(does="refuse")
    told, _ = talk.answer(number)
    assert (told["type"], told["passed"], told["exit"]) == ("verify", False, 1)
    assert "stdVersionRead" in told["why"]


@pytest.mark.parametrize("end", ["cancel", pytest.param("time", marks=pytest.mark.slow)])
def test_one_that_hangs_is_ended_with_all_it_started(end: str, verified: Callable[..., tuple[Talk, int]]) -> None:
    talk, number = verified(does="hang", timeout_s=8.0 if end == "time" else 60.0)
    while not (hanging := [pid for pid in family(talk.process.pid) if "loadEngine" in command_of(pid)]):
        heard, _ = talk.hear()  # the job's heartbeat
        assert heard.get("id") != number, heard
    if end == "cancel":
        talk.say("cancel", job=number)
    told, _ = talk.answer(number)
    assert (told["type"], told["kind"]) == ("error", "failed"), told
    assert ("longer than the 8 s" if end == "time" else "cancelled by the host") in told["text"]
    assert "&&&& RUNNING TensorRT.trtexec" in told["trace"]
    assert gone(hanging)
    assert not left(talk)


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""


def test_without_a_trtexec_it_is_refused_in_words(board: Board, tmp_path: Path) -> None:
    if shutil.which("trtexec") or verify.USUAL.exists():
        pytest.skip("this machine has one")
    talk = board("8.5")
    engine = built(talk, convolutional(tmp_path / "net"))["engine"]
    told, _ = talk.ask("verify", engine=engine, deployment=deployment(), plan=QUICK)
    assert (told["type"], told["kind"]) == ("error", "unsupported")
    assert "no trtexec at $PATH" in told["text"]


def test_a_measurement_says_how_its_engine_ran(board: Board, tmp_path: Path) -> None:
    """So that a verification can be done under the same conditions."""
    talk = board("8.5")
    made = built(talk, convolutional(tmp_path / "net"))
    measured, _ = talk.ask("measure", engine=made["engine"], deployment=deployment(), plan=QUICK)
    (entrant,) = measured["entrants"]
    assert entrant["runs"]["streams"] == [{"unit": "gpu", "no_graph": ""}]
