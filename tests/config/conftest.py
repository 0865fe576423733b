"""A small valid space file to take apart: a bare ONNX file, so that neither torch nor data are needed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from explorer.config import Experiment, load
from explorer.errors import BadInput, Problem

SMALL = """\
study: small
model: {onnx: small.onnx}
space:
  precision: [fp32, int8]
  batch: [1, 4]
objectives: {output_error: min, throughput_ips: max}
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, root: Path) -> Write:
    """Writes a space file beside small.onnx and beside a module `own_data` with a dataset; its path."""
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", tmp_path)

    def to_file(text: str) -> Path:
        path = tmp_path / "space.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


@pytest.fixture
def read(write: Write) -> Callable[[str], Experiment]:
    """Reads the text of a space file."""
    return lambda text: load(write(text))


@pytest.fixture
def problems(write: Write) -> Callable[[str], list[Problem]]:
    """The problems of the text of a space file; none when it is valid."""

    def of(text: str) -> list[Problem]:
        path = write(text)
        try:
            load(path)
        except BadInput as error:
            return list(error.problems)
        return []

    return of
