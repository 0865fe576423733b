"""Which operators an ONNX file holds, read without the onnx package.

Fields (onnx.proto): ModelProto.graph = 7, GraphProto.node = 1, NodeProto.op_type = 4.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Iterator

from explorer_agent.messages import INFEASIBLE, AgentError
from explorer_agent.runtimes.protobuf import pieces

_GRAPH, _NODE, _OP_TYPE = 7, 1, 4


def op_types(path: Path) -> Counter[str]:
    """How often each operator occurs at the top level of the graph.

    Raises:
        AgentError: infeasible: the file is no ONNX model.
    """
    try:
        found = Counter(_op_types(memoryview(path.read_bytes())))
    except (ValueError, IndexError) as error:
        raise AgentError(INFEASIBLE, f"the source is no ONNX model: {error}") from error
    if not found:
        raise AgentError(INFEASIBLE, "the source is no ONNX model, or one without a single node")
    return found


def is_quantised(ops: Counter[str]) -> bool:
    """Whether the network carries its quantisation with it (QuantizeLinear and DequantizeLinear)."""
    return ops["QuantizeLinear"] > 0 and ops["DequantizeLinear"] > 0


def require(ops: Counter[str], precision: str) -> None:
    """Refuse a source whose numbers are not those asked for.

    Raises:
        AgentError: infeasible: int8 without quantisation in the file, or quantisation where none was asked for.
    """
    if precision == "int8" and not is_quantised(ops):
        raise AgentError(INFEASIBLE, "int8 asked for, but the network holds no QuantizeLinear: it would run in fp32")
    if precision != "int8" and is_quantised(ops):
        raise AgentError(
            INFEASIBLE,
            f"{precision} asked for, but the network is quantised ({ops['QuantizeLinear']} QuantizeLinear)",
        )


def _op_types(model: memoryview) -> Iterator[str]:
    for graph in pieces(model, _GRAPH):
        for node in pieces(graph, _NODE):
            for name in pieces(node, _OP_TYPE):
                yield bytes(name).decode("utf-8")
