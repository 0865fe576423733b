"""The runtimes of a CPU: the contract, what each precision really runs in, and outputs that are the network's."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from explorer_agent.messages import AgentError, Deployment
from explorer_agent.runtimes import Runtime, arrays, onnxfile
from explorer_agent.runtimes.onnxruntime import OnnxRuntime
from explorer_agent.runtimes.openvino import OpenVino
from explorer_agent.testing import FakeRuntime, RuntimeContract

from .networks import convolutional, quantised, samples, two_inputs

onnxruntime = pytest.importorskip("onnxruntime")
RUNTIMES = {"onnxruntime": OnnxRuntime(), "openvino": OpenVino()}


class TestOnnxRuntime(RuntimeContract):
    runtime: Runtime = RUNTIMES["onnxruntime"]

    def source(self, folder: Path) -> Path:
        return convolutional(folder / "source")

    def samples(self, folder: Path) -> Path:
        return packed(folder / "samples", input=samples(3))


class TestOpenVino(TestOnnxRuntime):
    runtime: Runtime = RUNTIMES["openvino"]


class TestFake(RuntimeContract):
    runtime: Runtime = FakeRuntime()

    def source(self, folder: Path) -> Path:
        (folder / "source").write_text('{"latency_s": 0.0001}')
        return folder / "source"

    def samples(self, folder: Path) -> Path:
        return packed(folder / "samples", input=samples(3))


def packed(path: Path, **members: NDArray[np.float32]) -> Path:
    path.write_bytes(arrays.pack(members))
    return path


def outputs(runtime: Runtime, source: Path, inputs: Path, deployment: Deployment) -> dict[str, NDArray[np.float32]]:
    engine = source.with_suffix(".engine")
    runtime.build(source, deployment, engine)
    with np.load(io.BytesIO(runtime.load(engine, deployment).outputs(inputs))) as file:
        return dict(file.items())


def truth(source: Path, **inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, inputs)[0])


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("batch", [1, 4, 16])
def test_outputs_are_the_networks_for_every_sample_whatever_the_batch(name: str, batch: int, tmp_path: Path) -> None:
    source = convolutional(tmp_path / "net")
    found = outputs(RUNTIMES[name], source, packed(tmp_path / "in", x=samples(10)), Deployment(batch=batch, threads=1))
    assert found["embedding"].shape == (10, 10)
    np.testing.assert_allclose(found["embedding"], truth(source, input=samples(10)), atol=1e-5)


@pytest.mark.parametrize("name", RUNTIMES)
def test_several_inputs_go_by_name_and_several_outputs_come_by_name(name: str, tmp_path: Path) -> None:
    left, right = np.ones((3, 4), np.float32), np.arange(12, dtype=np.float32).reshape(3, 4)
    sums = outputs(
        RUNTIMES[name],
        two_inputs(tmp_path / "sum"),
        packed(tmp_path / "in", right=right, left=left),
        Deployment(batch=2, threads=1),
    )
    np.testing.assert_allclose(sums["sum"], left + right)
    both = convolutional(tmp_path / "net", outputs=2)
    found = outputs(RUNTIMES[name], both, packed(tmp_path / "in", input=samples(3)), Deployment(batch=2))
    assert {key: value.shape for key, value in found.items()} == {"embedding": (3, 10), "features": (3, 8)}


@pytest.mark.parametrize("name", RUNTIMES)
def test_int8_really_runs_in_int8(name: str, tmp_path: Path) -> None:
    source = quantised(convolutional(tmp_path / "net"), tmp_path / "quantised")
    deployment = Deployment(precision="int8", batch=2, threads=1)
    facts = RUNTIMES[name].build(source, deployment, tmp_path / "engine")
    assert facts["layers"]["int8"] >= 2, facts
    found = outputs(RUNTIMES[name], source, packed(tmp_path / "in", input=samples(5)), deployment)
    expected = truth(tmp_path / "net", input=samples(5))
    assert np.abs(found["embedding"] - expected).max() < 0.2 * np.abs(expected).max(), "int8 errs, but not much"


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_precision_that_the_file_does_not_hold_is_refused(name: str, tmp_path: Path) -> None:
    dense = convolutional(tmp_path / "net")
    with pytest.raises(AgentError, match="holds no QuantizeLinear"):
        RUNTIMES[name].build(dense, Deployment(precision="int8"), tmp_path / "engine")
    with pytest.raises(AgentError, match="fp32 asked for, but the network is quantised"):
        RUNTIMES[name].build(quantised(dense, tmp_path / "q"), Deployment(precision="fp32"), tmp_path / "engine")


def test_half_precisions_are_told_from_the_processor_and_else_refused_in_words() -> None:
    assert "cast" in RUNTIMES["onnxruntime"].describe()["precisions"]["fp16"]
    precisions = RUNTIMES["openvino"].describe()["precisions"]
    processor = set(Path("/proc/cpuinfo").read_text().split())
    has_fp16 = not processor.isdisjoint({"avx512_fp16", "amx_fp16", "asimdhp"})
    assert precisions["fp16"] == "" if has_fp16 else "silently" in precisions["fp16"]
    has_bf16 = any("bf16" in feature for feature in processor)
    assert (precisions["bf16"] == "") == has_bf16


def test_bf16_runs_in_bf16_where_the_processor_has_it(tmp_path: Path) -> None:
    if why_not := RUNTIMES["openvino"].describe()["precisions"]["bf16"]:
        pytest.skip(why_not)
    source = convolutional(tmp_path / "net", channels=32)
    facts = RUNTIMES["openvino"].build(source, Deployment(precision="bf16", batch=4), tmp_path / "engine")
    assert facts["layers"]["bf16"] >= 2


def test_an_engine_runs_on_as_many_threads_as_asked(tmp_path: Path) -> None:
    openvino = RUNTIMES["openvino"]
    openvino.build(convolutional(tmp_path / "net"), Deployment(threads=1), tmp_path / "engine")
    loaded = openvino.load(tmp_path / "engine", Deployment(threads=1))
    assert loaded._request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"a": np.zeros((3, 1, 9, 16), np.float32)}, "samples of shape"),
        ({"a": np.zeros((0, 1, 16, 16), np.float32)}, "samples of shape"),
        ({"a": np.zeros((), np.float32)}, "samples of shape"),
        ({"a": np.zeros((3, 4)), "b": np.zeros((3, 4))}, "no samples for the input 'input', only for a, b"),
    ],
)
def test_samples_that_do_not_fit_are_refused(
    members: dict[str, NDArray[np.float32]], words: str, tmp_path: Path
) -> None:
    port = arrays.Port("input", (2, 1, 16, 16), "float32")
    with pytest.raises(AgentError, match=words):
        arrays.read(packed(tmp_path / "in", **members), [port])


def test_only_the_samples_that_are_needed_are_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "in", x=samples(20))
    port = arrays.Port("input", (2, 1, 16, 16), "float32")
    np.testing.assert_array_equal(arrays.read(path, [port], at_most=5)["input"], samples(20)[:5])
    np.testing.assert_array_equal(arrays.read(path, [port])["input"], samples(20))
    assert len(arrays.feeds(path, [port])) == arrays.DISTINCT_BATCHES
    path.write_bytes(path.read_bytes().replace(b"(20, 1, 16, 16)", b"(90, 1, 16, 16)"))
    with pytest.raises(AgentError, match=r"no \.npz of plain arrays"):
        arrays.read(path, [port])


def test_pickles_and_noise_are_no_samples(tmp_path: Path) -> None:
    port = arrays.Port("input", (2, 4), "float32")
    np.savez(tmp_path / "pickled.npz", input=np.array([{"a": 1}], dtype=object))
    (tmp_path / "noise.npz").write_bytes(b"PK\x03\x04 not really")
    for name in ("pickled.npz", "noise.npz"):
        with pytest.raises(AgentError, match=r"no \.npz of plain arrays"):
            arrays.read(tmp_path / name, [port])


def test_the_last_batch_is_filled_with_its_own_samples() -> None:
    rows = np.arange(5)
    found = [(feed["x"].tolist(), meant) for feed, meant in arrays.batches({"x": rows}, 4)]
    assert found == [([0, 1, 2, 3], 4), ([4, 4, 4, 4], 1)]


def test_seeded_samples_are_the_same_every_time_and_fit_their_type() -> None:
    ports = [arrays.Port("x", (2, 3), "float32"), arrays.Port("i", (2,), "int64")]
    once, again = arrays.seeded(ports), arrays.seeded(ports)
    assert all(np.array_equal(once[name], again[name]) for name in once)
    assert once["i"].dtype == np.int64
    assert set(np.unique(once["i"])) <= {0, 1}


def test_operators_are_counted_without_the_onnx_package(tmp_path: Path) -> None:
    assert onnxfile.op_types(convolutional(tmp_path / "net")) == Counter(
        {"Conv": 2, "Relu": 1, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1}
    )


def test_what_is_no_onnx_file_is_refused_and_a_cut_one_never_crashes(tmp_path: Path) -> None:
    whole = convolutional(tmp_path / "net").read_bytes()
    for data in (b"", b"\xff" * 100, b"hello world"):
        (tmp_path / "bad").write_bytes(data)
        with pytest.raises(AgentError, match="no ONNX model"):
            onnxfile.op_types(tmp_path / "bad")
    for cut in np.random.default_rng(3).integers(0, len(whole), 50):
        (tmp_path / "bad").write_bytes(whole[: int(cut)])
        with contextlib.suppress(AgentError):  # cut behind its nodes it still reads as a network
            assert onnxfile.op_types(tmp_path / "bad")
