"""What is asked of CUDA and TensorRT in a process of its own, and what is said when that process ends."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from explorer_agent.runtimes.tensorrt import probe
from explorer_agent.runtimes.tensorrt.cuda import Cuda

from . import faces
from .conftest import Boards

TOLD = "import sys; sys.stdout.write('chatter\\nexplorer-probe:{}\\n'); sys.stdout.flush(); "


def test_what_it_is_told_is_found_among_whatever_is_printed() -> None:
    assert probe.ask(TOLD.format('{"why_not": "", "sm": 87}')) == {"why_not": "", "sm": 87}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.exit('no such thing')", "starting Python ended with exit status 1: no such thing"),
        ("import os; os._exit(3)", "starting Python ended with exit status 3: without a word"),
        (
            TOLD.format('{"stage": "asking TensorRT"}') + "import os; os.kill(os.getpid(), 11)",
            "asking TensorRT ended by signal 11 (SIGSEGV): without a word",
        ),
    ],
)
def test_a_probe_that_dies_says_how_far_it_came(code: str, words: str) -> None:
    assert probe.ask(code) == {"why_not": words}


def test_a_probe_that_hangs_is_given_up() -> None:
    assert "took longer than 0 s" in probe.ask("import time; time.sleep(60)", patience_s=0.2)["why_not"]


@pytest.mark.parametrize("version", faces.VERSIONS)
def test_a_board_is_looked_at(version: str, board: Boards) -> None:
    there = board(version, sm=72, dla_cores=1)
    reached: list[str] = []
    found = probe.look(lambda: Cuda(there.world.cuda), lambda: reached.append("TensorRT"))
    numbers = ".".join(map(str, faces.VERSIONS[version]))
    assert found == {"why_not": "", "version": numbers, "sm": 72, "dla_cores": 1, "cuda": "12.2"}
    assert reached == ["TensorRT"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (35, "CUDA error 35 (CUDA driver version is insufficient for CUDA runtime version); no NVIDIA driver"),
        (100, "CUDA error 100 (no CUDA-capable device is detected); CUDA sees no device"),
        (700, "CUDA error 700 (an illegal memory access was encountered)"),
    ],
)
def test_without_a_device_tensorrt_is_never_asked(number: int, words: str, board: Boards) -> None:
    there = board()
    there.world.cuda.no_device = number
    reached: list[str] = []
    found = probe.look(lambda: Cuda(there.world.cuda), lambda: reached.append("TensorRT"))
    assert words in found["why_not"]
    assert not reached


def test_without_cuda_it_says_where_it_looked() -> None:
    def cuda() -> Cuda:
        raise OSError("no libcudart on this machine (looked for libcudart.so)")

    assert probe.look(cuda) == {"why_not": "no libcudart on this machine (looked for libcudart.so)"}


def test_a_tensorrt_that_cannot_be_imported_says_why(board: Boards, monkeypatch: pytest.MonkeyPatch) -> None:
    there = board()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert "importing tensorrt: " in probe.look(lambda: Cuda(there.world.cuda))["why_not"]


def test_a_tensorrt_that_is_too_old_says_so(board: Boards) -> None:
    there = board()
    del there.module.ICudaEngine.get_tensor_name
    assert "8.5 (JetPack 5) is the oldest that serves" in probe.look(lambda: Cuda(there.world.cuda))["why_not"]


def test_a_builder_that_cannot_be_made_is_told(board: Boards) -> None:
    there = board()

    def nothing(self: Any, logger: Any) -> None:
        raise TypeError("pybind11::init(): factory function returned nullptr")

    there.module.Builder.__init__ = nothing
    found = probe.look(lambda: Cuda(there.world.cuda))
    assert found["why_not"] == (
        "TensorRT 8.5.3.1 makes no builder: pybind11::init(): factory function returned nullptr"
    )
