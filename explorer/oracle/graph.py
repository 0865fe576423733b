"""An ONNX file as the rules see it: operators, attributes, sizes at any batch, multiply-accumulates.

    Graph ─► Node (operator, attributes) ─► Tensor ─► Size, a line over the batch

What TensorRT works out while it builds (constants, and what follows from them alone) is left out: it is no layer of
the engine. Only the quantisation of weights is kept, as there are rules about it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from explorer.errors import BadInput, Problem

QUANTISING = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class Size:
    """One dimension: a line over the batch."""

    at_one: int
    each_more: int = 0

    def at(self, batch: int) -> int:
        return self.at_one + self.each_more * (batch - 1)


@dataclass(frozen=True)
class Tensor:
    """One edge of the graph.

    Attributes:
        sizes: of its dimensions, each None where it is not known; None where not even their number is.
        constant: it does not depend on what the network is asked.
        values: of a small constant, flat; None where they were not read.
        element: fp32, fp16, bf16, fp8, or else the name that ONNX has for it; "" when it is not known.
    """

    name: str
    sizes: tuple[Size | None, ...] | None = None
    constant: bool = False
    values: tuple[float, ...] | None = None
    element: str = ""

    def at(self, batch: int) -> tuple[int | None, ...] | None:
        """The shape at `batch`."""
        return None if self.sizes is None else tuple(None if size is None else size.at(batch) for size in self.sizes)

    @property
    def rank(self) -> int | None:
        return None if self.sizes is None else len(self.sizes)


@dataclass(frozen=True)
class Node:
    """One operator that is left when constants are worked out."""

    name: str
    op: str
    domain: str  # "" for ONNX's own operators
    attributes: Mapping[str, Any]
    inputs: tuple[Tensor, ...]  # one that is left out has the name ""
    outputs: tuple[Tensor, ...]

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates at batch 1 of a convolution or a matrix product; 0 for all else and for the unknown."""
        return _macs(self)

    def ints(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A list of whole numbers among the attributes; a single one counts as a list."""
        value = self.attributes.get(name, default)
        return tuple(value) if isinstance(value, (list, tuple)) else (int(value),)

    def values(self, number: int) -> tuple[float, ...] | None:
        """What the input `number` holds; None where there is none or it is not known."""
        return self.inputs[number].values if number < len(self.inputs) else None


@dataclass(frozen=True, eq=False)
class Graph:
    """A network; it equals itself alone, so that what was found out about it can be kept by it.

    Attributes:
        nodes: in the order of the file, which is one of execution.
        opset: of ONNX's own operators.
        batch: that the file is fixed at; None where it is open.
        dynamic: inputs' dimensions other than the batch that are open, "flow[2]".
        elements: number types of the weights and inputs (`Tensor.element`).
        final: the board gets this very file; otherwise the types of its numbers are still to be written into it.
    """

    nodes: tuple[Node, ...]
    opset: int
    batch: int | None = None
    dynamic: tuple[str, ...] = ()
    elements: frozenset[str] = field(default_factory=frozenset)
    final: bool = True

    @classmethod
    def of(cls, path: Path, *, final: bool = True) -> Graph:
        """Read the ONNX file `path`.

        Raises:
            BadInput: it is no ONNX file, or its shapes contradict each other.
        """
        import onnx

        from explorer.oracle.reading import read

        try:
            return read(onnx.load(str(path), load_external_data=False), final=final)
        except OSError as error:
            raise BadInput(Problem("cannot read the network", file=path, seen=error.strerror or str(error))) from error
        except Exception as error:  # protobuf's and ONNX's own errors have no common root
            seen = f"{type(error).__name__}: {error}".strip()[:300]
            hint = "`python -m onnx.checker` may say more"
            raise BadInput(Problem("this is no usable ONNX file", file=path, seen=seen, hint=hint)) from error

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates at batch 1."""
        return sum(node.macs for node in self.nodes)

    @property
    def quantised(self) -> bool:
        return any(node.op in QUANTISING for node in self.nodes)

    def share(self, nodes: frozenset[str]) -> float:
        """The share of the multiply-accumulates in the nodes of these names; 0 of a graph that has none."""
        return sum(node.macs for node in self.nodes if node.name in nodes) / self.macs if self.macs else 0.0


def _macs(node: Node) -> int:
    """Output elements times what is summed up for each (of a transposed convolution: input elements, spread)."""
    if len(node.inputs) < 2 or not node.outputs:
        return 0
    given, weights, result = (tensor.at(1) for tensor in (node.inputs[0], node.inputs[1], node.outputs[0]))
    match node.op:
        case "Conv":
            return _product(result, weights and weights[1:])
        case "ConvTranspose":
            return _product(given, weights and weights[1:])
        case "MatMul" | "Gemm":
            summed = given and (given[0] if node.attributes.get("transA") else given[-1])
            return _product(result, (summed,) if summed else None)
    return 0


def _product(*shapes: tuple[int | None, ...] | None) -> int:
    known = [size for shape in shapes if shape is not None for size in shape if size is not None]
    whole = all(shape is not None and None not in shape for shape in shapes)
    return math.prod(known) if whole else 0
