"""What several studies of this folder need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.runtimes.tensorrt.faces.compiled import compiled


@pytest.fixture(scope="module")
def cudart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a CUDA runtime that has no GPU behind it; where none can be compiled, its tests are skipped."""
    folder = tmp_path_factory.mktemp("cuda")
    if why_not := compiled(folder):
        pytest.skip(why_not)
    return folder
