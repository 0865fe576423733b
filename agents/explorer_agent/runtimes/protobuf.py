"""Messages of protocol buffers, read field by field without any library: what there is to an ONNX file.

A message is a list of (field number, wire type, value); a value is a number, or the bytes of a text, a list or another
message. Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from typing import Iterator, Tuple, Union

Value = Union[int, memoryview]
Field = Tuple[int, int, Value]  # number, wire type, value
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message, in their order.

    Raises:
        ValueError, IndexError: it is none.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, kind, value
            continue
        size = {FIXED64: 8, FIXED32: 4}.get(kind)
        if kind == BYTES:
            size, at = _varint(data, at)
        if size is None or at + size > len(data):
            raise ValueError(f"a field of wire type {kind} is cut short")
        yield number, kind, data[at : at + size]
        at += size


def pieces(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """The texts or messages in the fields numbered `wanted`.

    Raises:
        ValueError, IndexError: as for `fields`.
    """
    return (piece(value) for number, kind, value in fields(data) if number == wanted and kind == BYTES)


def piece(value: Value) -> memoryview:
    """A value that is to be a text or a message.

    Raises:
        ValueError: it is a number.
    """
    if isinstance(value, int):
        raise ValueError("a number where a message should be")
    return value


def number(value: int) -> bytes:
    """`value` as a message holds it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
    raise ValueError("a number without end")
