"""The ONNX file as TensorRT is given it: the batch written into its inputs, and the notes that travel with it.

A batch that is fixed before parsing lets the parser work out every shape there and then. Shapes that are only known
later would leave layers behind that no DLA can run, and need a profile.

Fields (onnx.proto): ModelProto.graph = 7, .metadata_props = 14 (key = 1, value = 2); GraphProto.initializer = 5 (name =
8), .input = 11; ValueInfoProto.name = 1, .type = 2; TypeProto.tensor_type = 1; Tensor.shape = 2; TensorShapeProto.dim =
1; Dimension.dim_value = 1, .dim_param = 2.
"""

from __future__ import annotations

from typing import Callable, Iterator

from explorer_agent.messages import INFEASIBLE, AgentError
from explorer_agent.runtimes import protobuf
from explorer_agent.runtimes.protobuf import Field, fields, piece, pieces

# The calibration of an int8 network without QuantizeLinear, in the format of TensorRT's own cache.
CALIBRATION = "explorer.calibration"
# "strong": the network's own types are its precisions, also where TensorRT would choose.
TYPING = "explorer.typing"


def notes(model: bytes) -> dict[str, str]:
    """What the file's metadata_props say."""
    found = {}
    for number, _, value in _parsed(model):
        if number == 14:
            pair = {key: bytes(piece(text)).decode("utf-8", "replace") for key, _, text in fields(piece(value))}
            found[pair.get(1, "")] = pair.get(2, "")
    return found


def with_batch(model: bytes, batch: int) -> bytes:
    """`model` with `batch` as the first dimension of every input.

    Raises:
        AgentError: infeasible: no ONNX model, another batch written into it, or a dimension left open beside the batch.
    """
    return _mapped(_parsed(model), {7: lambda graph: _graph(graph, batch)})


def _graph(graph: memoryview, batch: int) -> bytes:
    weights = {bytes(name).decode("utf-8") for tensor in pieces(graph, 5) for name in pieces(tensor, 8)}
    return _mapped(fields(graph), {11: lambda port: _input(port, batch, weights)})


def _input(port: memoryview, batch: int, weights: set[str]) -> bytes:
    name = next((bytes(text).decode("utf-8") for text in pieces(port, 1)), "")
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
    return bytes(found) if batch is None else b"\x08" + protobuf.number(batch)


def _inside(inner: dict[int, Callable[[memoryview], bytes]]) -> Callable[[memoryview], bytes]:
    return lambda data: _mapped(fields(data), inner)


def _mapped(found: Iterator[Field], inner: dict[int, Callable[[memoryview], bytes]]) -> bytes:
    """The fields again, those of `inner` by its functions."""
    out = bytearray()
    for number, kind, value in found:
        out += protobuf.number(number << 3 | kind)
        if isinstance(value, int):
            out += protobuf.number(value)
        elif kind == protobuf.BYTES:
            within = inner[number](value) if number in inner else value
            out += protobuf.number(len(within))
            out += within
        else:
            out += value
    return bytes(out)


def _parsed(model: bytes) -> Iterator[Field]:
    try:
        yield from fields(memoryview(model))
    except (ValueError, IndexError) as error:
        raise AgentError(INFEASIBLE, f"the source is no ONNX model: {error}") from error
