"""CUDA's calls, their errors in words, and that everything is given back: on a library within this process, on a real
shared one, and on a real device where there is one.
"""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

import pytest

from explorer_agent.runtimes.tensorrt import cuda
from explorer_agent.runtimes.tensorrt.cuda import Cuda, CudaError, Device, Event, Pinned, Stream

from .faces import FakeCudart
from .faces.compiled import compiled


@pytest.fixture
def fake() -> FakeCudart:
    return FakeCudart()


@pytest.fixture
def calls(fake: FakeCudart) -> Cuda:
    return Cuda(fake)


def test_a_device_says_what_it_is(fake: FakeCudart, calls: Cuda) -> None:
    fake.sm = 110
    calls.use()
    assert (calls.devices(), calls.compute_capability(), calls.version()) == (1, 110, "12.2")


def test_an_error_has_its_call_its_number_and_its_words(fake: FakeCudart, calls: Cuda) -> None:
    fake.no_device = 100
    with pytest.raises(CudaError, match=r"cudaGetDeviceCount: CUDA error 100 \(no CUDA-capable device") as error:
        calls.devices()
    assert error.value.number == cuda.NO_DEVICE
    with pytest.raises(CudaError, match="cudaSetDevice: CUDA error 1 "):
        calls.use(7)


def test_data_goes_there_and_back(fake: FakeCudart, calls: Cuda) -> None:
    stream = Stream(calls)
    there, device, back = Pinned(calls, 5), Device(calls, 5), Pinned(calls, 5)
    there.view[:] = b"hello"
    stream.to_device(device, there)
    stream.to_host(back, device)
    stream.wait()
    assert bytes(back.view) == b"hello"


def test_what_nobody_holds_is_given_back(fake: FakeCudart, calls: Cuda) -> None:
    held = [Stream(calls), Event(calls), Device(calls, 8), Pinned(calls, 8), Pinned(calls, 0)]
    assert len(fake.alive) == len(held)
    del held
    gc.collect()
    assert not fake.alive


def test_a_device_that_is_full_says_so_and_leaves_nothing(calls: Cuda, fake: FakeCudart) -> None:
    fake.room = 100
    with pytest.raises(CudaError, match="out of memory") as error:
        Device(calls, 101)
    assert error.value.number == cuda.MEMORY
    gc.collect()
    assert not fake.alive


def test_marks_tell_the_devices_own_time(calls: Cuda) -> None:
    stream, begin, end = Stream(calls), Event(calls), Event(calls)
    begin.record(stream)
    end.record(stream)
    end.wait()
    assert 0 <= end.ms_since(begin) < 1000


def test_a_graph_is_captured_once_and_launched_often(fake: FakeCudart, calls: Cuda) -> None:
    stream, there, device = Stream(calls), Pinned(calls, 3), Device(calls, 3)
    back = Pinned(calls, 3)
    there.view[:] = b"one"

    def both(to: Stream = stream, device: Device = device) -> None:
        to.to_device(device, there)
        to.to_host(back, device)

    graph = stream.captured(both)
    assert bytes(back.view) == b"\0\0\0", "nothing of it has run"
    graph.launch(stream)
    assert bytes(back.view) == b"one"
    there.view[:] = b"two"
    graph.launch(stream)
    assert bytes(back.view) == b"two", "it holds addresses, not data"
    assert fake.launches == 2


def test_a_graph_is_given_back(fake: FakeCudart, calls: Cuda) -> None:
    stream = Stream(calls)
    graph = stream.captured(lambda: None)
    assert len(fake.alive) == 2, "the stream and what is launched; what was captured is gone"
    del graph
    gc.collect()
    assert len(fake.alive) == 1


def test_what_cannot_be_captured_is_told_and_the_stream_is_sound(fake: FakeCudart, calls: Cuda) -> None:
    stream = Stream(calls)
    fake.no_capture = True
    with pytest.raises(CudaError, match="CUDA error 901"):
        stream.captured(lambda: None)
    fake.no_capture = False

    def breaks() -> None:
        raise ValueError("not to be captured")

    with pytest.raises(ValueError, match="not to be captured"):
        stream.captured(breaks)
    stream.captured(lambda: None).launch(stream)


def test_a_machine_without_cuda_says_where_it_looked() -> None:
    with pytest.raises(OSError, match="no libcudart on this machine .looked for libcudart.so, /usr/local/cuda"):
        cuda.library(lambda: iter(["libno-such-cudart.so"]))


def test_a_libcudart_that_is_too_old_is_told(fake: FakeCudart) -> None:
    del fake.cudaGraphInstantiateWithFlags  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="has no cudaGraphInstantiateWithFlags: CUDA 11.4 .JetPack 5. is the oldest"):
        Cuda(fake)


def test_libraries_are_looked_for_beside_pythons_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "nvidia" / "cuda_runtime" / "lib"
    folder.mkdir(parents=True)
    (folder / "libcudart.so.12").touch()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    found = list(cuda.candidates())
    assert found[: len(cuda.NAMES)] == list(cuda.NAMES)
    assert found[-1] == str(folder / "libcudart.so.12")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("cudart")
    if why_not := compiled(folder):
        pytest.skip(why_not)
    return str(folder / "libcudart.so")


def test_a_shared_library_is_loaded_by_its_name(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Cuda(cuda.library(lambda: iter(["libno-such-cudart.so", shared])))
    assert (found.devices(), found.compute_capability(), found.version()) == (1, 87, "12.2")
    stream, there, device, back = Stream(found), Pinned(found, 4), Device(found, 4), Pinned(found, 4)
    there.view[:] = b"real"
    graph = stream.captured(lambda: stream.to_device(device, there))
    graph.launch(stream)
    stream.to_host(back, device)
    stream.wait()
    assert bytes(back.view) == b"real"
    monkeypatch.setenv("CUDART_ROOM", "3")
    with pytest.raises(CudaError, match="out of memory"):
        Device(found, 4)


def test_one_that_sees_no_device_is_the_last_resort(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDART_ERROR", "35")
    found = Cuda(cuda.library(lambda: iter([shared])))
    with pytest.raises(CudaError, match="CUDA driver version is insufficient"):
        found.devices()


def test_every_function_of_the_shared_library_is_one_that_is_called(shared: str) -> None:
    library = ctypes.CDLL(shared)
    assert all(hasattr(library, name) for name in cuda.SIGNATURES)


@pytest.fixture(scope="module")
def real() -> Cuda:
    try:
        found = Cuda()
        found.use()
    except (OSError, CudaError) as why_not:
        pytest.skip(f"no CUDA device on this machine: {why_not}")
    return found


def test_a_real_device_says_what_it_is(real: Cuda) -> None:
    assert real.devices() >= 1
    assert 50 <= real.compute_capability() < 200
    assert int(real.version().partition(".")[0]) >= 10


def test_a_real_device_copies_captures_and_keeps_time(real: Cuda) -> None:
    size = 64 << 20
    stream, begin, end = Stream(real), Event(real), Event(real)
    there, device, back = Pinned(real, size), Device(real, size), Pinned(real, size)

    def both() -> None:
        stream.to_device(device, there)
        stream.to_host(back, device)

    graph = stream.captured(both)
    there.view[:4] = b"real"
    begin.record(stream)
    graph.launch(stream)
    end.record(stream)
    end.wait()
    assert bytes(back.view[:4]) == b"real"
    assert end.ms_since(begin) > 0.1, "128 MB take their time on any bus"


def test_a_real_device_that_is_full_says_so_and_goes_on(real: Cuda) -> None:
    with pytest.raises(CudaError) as full:
        Device(real, 1 << 50)
    assert full.value.number == cuda.MEMORY
    Device(real, 1)
