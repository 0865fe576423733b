"""The list is complete, and nothing in it is idle: by the runtime's source, and by what it touches while it runs."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from explorer_agent.messages import AgentError
from explorer_agent.runtimes import arrays
from explorer_agent.runtimes.tensorrt import api, build, run

from ....networks import convolutional, quantised, samples
from .. import faces
from ..conftest import Board, Boards
from ..networks import calibrated
from . import recording
from .used import USED

LISTED = {name.path for name in USED}
FILES = sorted(Path(recording.OURS).glob("*.py"))


def chains(tree: ast.AST) -> Iterator[str]:
    """Dotted names below the module, whether it is called ``tensorrt``, ``trt``, ``self._trt`` or ``task.trt``."""
    for node in ast.walk(tree):
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            parts.insert(0, node.id)
        roots = [number for number, part in enumerate(parts) if part in ("tensorrt", "trt", "_trt")]
        if roots and parts[roots[0] + 1 :]:
            yield ".".join(parts[roots[0] + 1 :])


def listed(path: str) -> bool:
    """A class is listed with any of its names."""
    return path in LISTED or any(name.startswith(path + ".") for name in LISTED)


def named_in_the_source() -> set[str]:
    return {path for file in FILES for path in chains(ast.parse(file.read_text(encoding="utf-8")))}


def test_whatever_the_source_names_is_listed() -> None:
    found = named_in_the_source() - {"__version__"}
    assert {"Builder", "OnnxParser", "Runtime", "DataType.FLOAT", "MemoryPoolType.WORKSPACE"} <= found, "it finds them"
    assert not sorted(path for path in found if not listed(path))


def test_whatever_is_looked_up_by_a_word_is_listed() -> None:
    assert {f"BuilderFlag.{flag}" for flag in api.FLAGS.values()} <= LISTED
    assert {f"DataType.{kind}" for kind in run._TYPES} <= LISTED
    types = {node.value for node in ast.walk(ast.parse(inspect.getsource(build))) if isinstance(node, ast.Constant)}
    assert {f"DataType.{kind}" for kind in types & {"HALF", "BF16", "FLOAT"}} <= LISTED


def unreadable(path: Path) -> Path:
    """A network with an operator that nobody knows."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("x", "y")]
    node = helper.make_node("Sorcery", ["x"], ["y"], domain="nowhere")
    graph = helper.make_graph([node], "g", ports[:1], ports[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def everything(board: Board) -> None:
    """Every way through the runtime that this version has."""
    folder = board.folder
    dense, int8 = convolutional(folder / "dense"), quantised(convolutional(folder / "d"), folder / "int8")
    assert board.runtime.available() == ""
    board.runtime.describe()
    board.build(dense)
    engine = board.load()
    engine.step(None)()
    (folder / "in").write_bytes(arrays.pack({"input": samples(6)}))
    engine.outputs(folder / "in")
    board.build(int8, precision="int8")
    with pytest.raises(AgentError, match="operator that TensorRT's parser does not know"):
        board.build(unreadable(folder / "odd"))
    if api.Api.of(board.module).weakly_typed:
        board.build(dense, precision="best")
        board.build(calibrated(folder / "cal"), precision="int8", placement="dla", streams=1)
        board.load(precision="int8", placement="dla").step(None)()
        with pytest.raises(AgentError, match="dla_only asked for"):
            board.build(dense, precision="fp16", placement="dla_only")


@pytest.mark.parametrize("version", faces.VERSIONS)
def test_whatever_is_touched_is_listed(version: str, board: Boards) -> None:
    touched: set[str] = set()
    everything(board(version, lambda face: recording.watch(face, touched)))
    assert {"Builder.build_serialized_network", "IExecutionContext.execute_async_v3"} <= touched, "it records"
    assert not sorted(path for path in touched - {"__version__"} if not listed(path))


def test_whatever_is_listed_is_touched_in_some_version(board: Boards) -> None:
    touched: set[str] = set()
    for version in faces.VERSIONS:
        everything(board(version, lambda face: recording.watch(face, touched)))
    by_word = {f"DataType.{kind}" for kind in (*run._TYPES, "BF16")}  # compared as text
    by_word |= {f"BuilderFlag.{flag}" for flag in api.FLAGS.values()}  # asked for with dir
    idle = LISTED - touched - named_in_the_source() - by_word - {"ILogger.log"}  # which the runtime overrides
    idle -= {path for path in LISTED if path.endswith(".__init__") and path.partition(".")[0] in touched}
    assert not sorted(idle)


def test_the_module_is_never_patched_for_good(board: Boards) -> None:
    plain: Any = faces.face("8.5", faces.World())
    assert "reading" not in plain.Builder.__getattribute__.__qualname__
