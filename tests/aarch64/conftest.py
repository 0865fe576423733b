"""One emulated board for all tests of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aarch64.board import EmulatedBoard, make_tree


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedBoard]:
    """A running aarch64 board that ssh:// can log in to."""
    board = EmulatedBoard(make_tree(), tmp_path_factory.mktemp("aarch64"))
    try:
        with board.client():
            yield board
    finally:
        board.stop()
