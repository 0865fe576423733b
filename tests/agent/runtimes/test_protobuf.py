"""Protocol buffers, read as they are written."""

from __future__ import annotations

import pytest

from explorer_agent.runtimes import protobuf
from explorer_agent.runtimes.protobuf import Field

MESSAGE = b"\x08\x96\x01" + b"\x12\x03abc" + b"\x1d\x00\x00\x80\x3f" + b"\x21" + b"\x00" * 8 + b"\x12\x01d"


def read(data: bytes) -> list[Field]:
    return list(protobuf.fields(memoryview(data)))


def test_fields_are_read_as_they_are_written() -> None:
    found = [(number, kind, value if isinstance(value, int) else bytes(value)) for number, kind, value in read(MESSAGE)]
    of_three = [(1, 0, 150), (2, 2, b"abc"), (3, 5, b"\x00\x00\x80\x3f"), (4, 1, b"\x00" * 8)]
    assert found == [*of_three, (2, 2, b"d")]
    assert [bytes(piece) for piece in protobuf.pieces(memoryview(MESSAGE), 2)] == [b"abc", b"d"]
    assert list(protobuf.pieces(memoryview(MESSAGE), 1)) == [], "a number is no piece"


@pytest.mark.parametrize("data", [b"\x12\x7fshort", b"\xff" * 20, b"\x0b", b"\x08", b"\x1d\x00", b"\x21\x00\x00"])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        read(data)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 1 << 40])
def test_numbers_come_back(number: int) -> None:
    assert read(b"\x08" + protobuf.number(number)) == [(1, protobuf.VARINT, number)]


def test_a_number_is_no_text() -> None:
    with pytest.raises(ValueError, match="a number where a message should be"):
        protobuf.piece(3)
