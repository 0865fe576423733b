"""A board with a face of TensorRT, within the test's own process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime")

from explorer_agent.messages import Deployment
from explorer_agent.runtimes.tensorrt import TensorRt, probe
from explorer_agent.runtimes.tensorrt.cuda import Cuda
from explorer_agent.runtimes.tensorrt.run import Engine

from . import faces


@dataclass
class Board:
    """The module that ``import tensorrt`` gives, what is behind it, and the runtime on top."""

    module: Any
    world: faces.World
    runtime: TensorRt
    folder: Path

    def build(self, source: Path, **axes: Any) -> dict[str, Any]:
        return self.runtime.build(source, deployment(**axes), self.folder / "engine")

    def load(self, **axes: Any) -> Engine:
        return self.runtime.load(self.folder / "engine", deployment(**axes))


Boards = Callable[..., Board]


def deployment(**axes: Any) -> Deployment:
    return Deployment(**{"runtime": "tensorrt", "placement": "gpu", "batch": 4, **axes})


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Boards:
    """Makes a board with that version of TensorRT, in a world as told; `module` instead of the face, if given."""

    def make(version: str = "8.5", module: Callable[[Any], Any] = lambda face: face, **world: Any) -> Board:
        there = faces.World(**world)
        found = module(faces.face(version, there))
        monkeypatch.setitem(sys.modules, "tensorrt", found)

        def cuda() -> Cuda:
            return Cuda(there.cuda)

        runtime = TensorRt(lambda: probe.look(cuda), cuda, tmp_path / "timing")
        return Board(found, there, runtime, tmp_path)

    return make
