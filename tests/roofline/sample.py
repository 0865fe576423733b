"""The study that comes with the repository, measured on a processor, and the network that it measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from explorer.models.build import build
from explorer.oracle import Graph
from explorer.passes import export
from explorer.result import Record
from explorer.store import read


def gaitset(folder: Path) -> Graph:
    """The uncompressed network; its weights do not matter."""
    path = folder / "gaitset_tiny.onnx"
    onnx.save(export.export(build("gaitset_tiny"), (6, 64, 44), opset=17), path)
    return Graph.of(path, final=False)


def capabilities(root: Path) -> dict[str, Any]:
    """Of the machine that measured."""
    return dict(read(root / "results" / "sample").study["device"])


def complete(root: Path) -> list[Record]:
    return [record for record in read(root / "results" / "sample").records if record.state == "complete"]
