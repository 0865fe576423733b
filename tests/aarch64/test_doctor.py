"""The doctor on a board that does not exist: it says so."""

from __future__ import annotations

import pytest

from explorer.doctor import examine
from tests.aarch64.board import EmulatedBoard

pytestmark = pytest.mark.slow


def test_the_doctor_sees_that_its_processor_is_a_program(emulated: EmulatedBoard) -> None:
    examination = examine(emulated.spec)
    (virtual,) = (one for one in examination.findings if one.topic == "virtual")
    assert "qemu-aarch64" in virtual.found
    assert virtual in examination.doubts
    (board,) = (one for one in examination.findings if one.topic == "board")
    assert "aarch64" in board.found
    assert any(one.found.startswith("onnxruntime") and one.state == "ok" for one in examination.findings)
    assert not examination.obstacles
