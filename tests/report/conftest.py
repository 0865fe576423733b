"""A results folder of plausible numbers for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.report.view import View, load
from tests.report import studies


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 60 trials with three objectives; energy is estimated."""
    return studies.write(tmp_path_factory.mktemp("results") / "walkers-cpu", studies.walk())


@pytest.fixture(scope="session")
def view(folder: Path) -> View:
    return load(folder)
