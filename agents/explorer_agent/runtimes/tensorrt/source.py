"""The ONNX file as TensorRT is given it: the batch written into its inputs, and the notes that travel with it.

A batch that is fixed before parsing lets the parser work out every shape there and then. Shapes that are only known
later would leave layers behind that no DLA can run, and need a profile.

Fields (onnx.proto): ModelProto.graph = 7, .metadata_props = 14 (key = 1, value = 2); GraphProto.initializer = 5 (name =
8), .input = 11; ValueInfoProto.name = 1, .type = 2; TypeProto.tensor_type = 1; Tensor.shape = 2; TensorShapeProto.dim =
1; Dimension.dim_value = 1, .dim_param = 2.
"""

from __future__ import annotations

from typing import Callable, Iterator, Tuple, Union

from explorer_agent.messages import INFEASIBLE, AgentError

# The calibration of an int8 network without QuantizeLinear, in the format of TensorRT's own cache.
CALIBRATION = "explorer.calibration"
# "strong": the network's own types are its precisions, also where TensorRT would choose.
TYPING = "explorer.typing"

Value = Union[int, memoryview]
Field = Tuple[int, int, Value]  # number, wire type, value
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def notes(model: bytes) -> dict[str, str]:
    """What the file's metadata_props say."""
    found = {}
    for number, _, value in _parsed(model):
        if number == 14:
            pair = {key: bytes(_piece(text)).decode("utf-8", "replace") for key, _, text in fields(_piece(value))}
            found[pair.get(1, "")] = pair.get(2, "")
    return found


def with_batch(model: bytes, batch: int) -> bytes:
    """`model` with `batch` as the first dimension of every input.

    Raises:
        AgentError: infeasible: no ONNX model, another batch written into it, or a dimension left open beside the batch.
    """
    return _mapped(_parsed(model), {7: lambda graph: _graph(graph, batch)})


def _graph(graph: memoryview, batch: int) -> bytes:
    weights = {
        bytes(_piece(name)).decode("utf-8")
        for number, _, tensor in fields(graph)
        if number == 5
        for field, _, name in fields(_piece(tensor))
        if field == 8
    }
    return _mapped(fields(graph), {11: lambda port: _input(port, batch, weights)})


def _input(port: memoryview, batch: int, weights: set[str]) -> bytes:
    name = next((bytes(_piece(value)).decode("utf-8") for number, _, value in fields(port) if number == 1), "")
    if name in weights:  # before version 4 of the format weights were inputs too
        return bytes(port)
    first = [True]

    def dimension(found: memoryview) -> bytes:
        is_batch, first[0] = first[0], False
        return _dimension(found, batch if is_batch else None, name)

    shape = _inside({1: dimension})
    return _inside({2: _inside({1: _inside({2: shape})})})(port)


def _dimension(found: memoryview, batch: int | None, name: str) -> bytes:
    size = next((value for number, _, value in fields(found) if number == 1), None)
    if batch is None and not size:
        raise AgentError(INFEASIBLE, f"the input {name} leaves a dimension open beside the batch")
    if batch is not None and isinstance(size, int) and size > 0 and size != batch:
        raise AgentError(INFEASIBLE, f"a batch of {batch} asked for, but {size} is written into the input {name}")
    return bytes(found) if batch is None else b"\x08" + _number(batch)


def _inside(inner: dict[int, Callable[[memoryview], bytes]]) -> Callable[[memoryview], bytes]:
    return lambda data: _mapped(fields(data), inner)


def _mapped(found: Iterator[Field], inner: dict[int, Callable[[memoryview], bytes]]) -> bytes:
    """The fields again, those of `inner` by its functions."""
    out = bytearray()
    for number, kind, value in found:
        out += _number(number << 3 | kind)
        if isinstance(value, int):
            out += _number(value)
        elif kind == _BYTES:
            piece = inner[number](value) if number in inner else value
            out += _number(len(piece))
            out += piece
        else:
            out += value
    return bytes(out)


def _parsed(model: bytes) -> Iterator[Field]:
    try:
        yield from fields(memoryview(model))
    except (ValueError, IndexError) as error:
        raise AgentError(INFEASIBLE, f"the source is no ONNX model: {error}") from error


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message of protocol buffers.

    Raises:
        ValueError, IndexError: it is none.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, kind, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if kind == _BYTES:
            size, at = _varint(data, at)
        if size is None or at + size > len(data):
            raise ValueError(f"a field of wire type {kind} is cut short")
        yield number, kind, data[at : at + size]
        at += size


def _piece(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message should be")
    return value


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


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
