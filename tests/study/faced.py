"""Whole studies on a board that has a face of TensorRT, and two DLAs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import onnx
import pytest

from explorer.config import load
from explorer.store import StudyData, read
from explorer.study import run
from explorer.transports import boards, bundle
from tests.agent.runtimes.tensorrt.faces.packed import packed
from tests.fixtures.watching import Watching

OPSETS = {"8.5": 17, "10.3": 20, "11": 22}


def explored(face: str, space: str, place: Path, *, cudart: Path, root: Path, tools: Path | None = None) -> StudyData:
    """Explore a space on such a board.

    Args:
        face: of TensorRT.
        space: the file's text; its network is small.onnx.
        place: where it all lies.
        cudart: folder of the compiled libcudart.
        root: of the repository.
        tools: a folder that the board has at its $PATH.
    """
    _small(root / "examples" / "own_onnx" / "small.onnx", place / "small.onnx", OPSETS[face])
    (place / "space.yaml").write_text(space)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(boards, "make_bundle", _with_face)
        patched.setenv("FACE", face)
        patched.setenv("LD_LIBRARY_PATH", str(cudart))
        patched.setenv("XDG_CACHE_HOME", str(place / "own"))
        if tools is not None:
            patched.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
        ending = run(load(place / "space.yaml"), results=place / "results", cache=place / "cache", watcher=Watching())
    return read(ending.folder)


def _small(source: Path, path: Path, opset: int) -> None:
    """The example's network in an opset that the parser reads; its nodes have names."""
    model = onnx.version_converter.convert_version(onnx.load(source), opset)
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    onnx.save(model, path)


def _with_face(cache: Path, **how: Any) -> tuple[Path, str]:
    """The agent's file, and in it a module `tensorrt`."""
    path, sha256 = bundle.make_bundle(cache, **how)
    made = cache / "with-face.pyz"
    return made if made.exists() else packed(path, made), sha256
