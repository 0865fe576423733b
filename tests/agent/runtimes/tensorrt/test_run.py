"""Running plans: outputs are the network's, streams run beside each other, units take turns, errors are told."""

from __future__ import annotations

import gc
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from explorer_agent.messages import AgentError
from explorer_agent.runtimes import arrays
from explorer_agent.runtimes.tensorrt import plans, run
from explorer_agent.runtimes.tensorrt.units import GPU, Unit

from ...networks import convolutional, samples
from . import faces
from .conftest import Board, Boards
from .networks import half


def loaded(there: Board, **axes: Any) -> run.Engine:
    there.build(convolutional(there.folder / "net", outputs=2), **axes)
    return there.load(**axes)


def packed(folder: Path, **members: Any) -> Path:
    (folder / "in").write_bytes(arrays.pack(members))
    return folder / "in"


def answers(engine: run.Engine, inputs: Path) -> dict[str, Any]:
    with np.load(io.BytesIO(engine.outputs(inputs))) as file:
        return dict(file.items())


@pytest.mark.parametrize("version", faces.VERSIONS)
@pytest.mark.parametrize("batch", [1, 4, 16])
def test_outputs_are_the_networks_for_every_sample(version: str, batch: int, board: Boards, tmp_path: Path) -> None:
    found = answers(loaded(board(version), batch=batch), packed(tmp_path, x=samples(10)))
    session = onnxruntime.InferenceSession(tmp_path / "net", providers=["CPUExecutionProvider"])
    truth = dict(zip(("embedding", "features"), session.run(None, {"input": samples(10)}), strict=True))
    assert set(found) == set(truth)
    for name, expected in truth.items():
        np.testing.assert_allclose(found[name], expected, atol=1e-5)


def test_units_answer_in_turn_and_each_on_its_own_core(board: Boards, tmp_path: Path) -> None:
    there = board()
    axes = {"precision": "fp16", "placement": "gpu+dla", "streams": 3}
    found = answers(loaded(there, **axes), packed(tmp_path, x=samples(13)))
    assert found["embedding"].shape == (13, 10)
    # gpu and dla when they were inspected, then the GPU, where no core is named, and both cores
    assert there.world.cores_loaded[-3:] == [-1, 0, 1]


def test_a_step_runs_a_captured_graph(board: Boards) -> None:
    there = board()
    engine = loaded(there)
    step = engine.step(None)
    before = there.world.cuda.launches
    for _ in range(20):
        step()
    assert there.world.cuda.launches == before + 20
    assert engine.facts() == {
        "transfers": "included",
        "waits": "asleep",
        "streams": [{"unit": "gpu", "no_graph": ""}],
    }


def test_a_step_outlives_its_engine(board: Boards) -> None:
    """A graph holds nothing but addresses: what lies there must not go with whoever made it."""
    there = board()
    engine: Any = loaded(there)
    step = engine.step(None)
    held = len(there.world.cuda.alive)
    del engine
    gc.collect()
    assert len(there.world.cuda.alive) == held
    step()
    del step
    gc.collect()
    assert not there.world.cuda.alive, "and then everything is given back"


def test_where_nothing_can_be_captured_it_goes_call_by_call_and_says_so(
    board: Boards, capsys: pytest.CaptureFixture[str]
) -> None:
    there = board()
    there.world.cuda.no_capture = True
    engine = loaded(there)
    step = engine.step(None)
    step()
    assert there.world.cuda.launches == 0
    assert engine.facts()["streams"][0]["no_graph"].startswith("cudaStreamEndCapture: CUDA error 901")
    assert "no CUDA graph on gpu: " in capsys.readouterr().err


def test_streams_run_beside_each_other_with_buffers_of_their_own(board: Boards) -> None:
    engine = loaded(board(), streams=3)
    steps = [engine.step(None) for _ in range(3)]
    failures: list[BaseException] = []

    def work(step: Callable[[], Any]) -> None:
        try:
            for _ in range(10):
                step()
        except BaseException as error:  # noqa: BLE001  told by the test, in the thread that runs it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(engine.facts()["streams"]) == 3


def test_streams_are_dealt_out_to_the_units_in_turn(board: Boards) -> None:
    engine = loaded(board(), precision="fp16", placement="gpu+dla", streams=4)
    for _ in range(4):
        engine.step(None)
    assert [each["unit"] for each in engine.facts()["streams"]] == ["gpu", "dla0", "dla1", "gpu"]


def test_a_step_takes_the_samples_it_is_given(board: Boards, tmp_path: Path) -> None:
    there = board()
    engine = loaded(there, batch=2)
    engine.step(packed(tmp_path, input=samples(6)))()
    with pytest.raises(AgentError, match="samples of shape"):
        engine.step(packed(tmp_path, input=np.zeros((4, 1, 9, 16), np.float32)))


def test_half_precision_ports_carry_float16(board: Boards, tmp_path: Path) -> None:
    there = board("11")
    there.build(half(tmp_path / "net"), precision="fp16", batch=2)
    found = answers(there.load(precision="fp16", batch=2), packed(tmp_path, x=np.ones((3, 4), np.float32)))
    assert found["output"].dtype == np.float16
    np.testing.assert_allclose(found["output"], 0.4, atol=1e-3)


def test_the_devices_own_clock_times_a_batch(board: Boards) -> None:
    there = board()
    engine = loaded(there)
    lane = run.Lane(there.runtime._cuda(), engine._plans[0])
    works, why_not = lane.works(arrays.feeds(None, engine._plans[0].inputs))
    assert why_not == ""
    assert 0 < lane.device_ms(works[0]) < 10_000
    assert [each.shape for each in lane.results()] == [(4, 10), (4, 8)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no context", "no room on gpu for another inference"),
        ("no inference", "the inference on gpu was not begun"),
    ],
)
def test_an_inference_that_cannot_be_is_told(fault: str, words: str, board: Boards, tmp_path: Path) -> None:
    there = board(fault=fault)
    engine = loaded(there)
    for act in (lambda: engine.step(None), lambda: engine.outputs(packed(tmp_path, x=samples(2)))):
        with pytest.raises(AgentError, match=words) as failed:
            act()
        assert failed.value.kind == "failed"


def test_a_device_without_room_is_the_boards_doing(board: Boards) -> None:
    there = board()
    engine = loaded(there)
    there.world.cuda.room = 100
    with pytest.raises(AgentError, match="running on gpu: out of memory: cudaMalloc: CUDA error 2") as failed:
        engine.step(None)
    assert (failed.value.kind, "a smaller batch" in failed.value.hint) == ("failed", True)


def test_a_plan_of_another_version_is_refused_by_tensorrt_itself(board: Boards) -> None:
    older = board("8.5")
    loaded(older)
    plan = plans.read(older.folder / "engine", older.runtime._bound_to())[0]["gpu"]
    newer = board("10.3")
    with pytest.raises(AgentError, match="TensorRT cannot load the engine on gpu: an engine from elsewhere") as refused:
        run.Plan(newer.module, plan, Unit(GPU))
    assert refused.value.kind == "failed"


def test_types_and_shapes_that_are_not_carried_are_refused(board: Boards) -> None:
    there = board("10.3")
    loaded(there)
    engine = there.module.ICudaEngine
    shape = engine.get_tensor_shape
    engine.get_tensor_shape = lambda self, name: (-1, 10)
    with pytest.raises(AgentError, match=r"which only the outcome tells"):
        there.load()
    engine.get_tensor_shape = shape
    engine.get_tensor_dtype = lambda self, name: there.module.DataType.FP8
    with pytest.raises(AgentError, match="of type FP8, which is not carried"):
        there.load()
