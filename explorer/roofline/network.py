"""A network as a roofline sees it: layers that take time, as wide as a ratio of pruning is expected to leave them.

    conv 32 ─ relu ─ conv 64 ─ fc 10          by 0.5, to multiples of 8:   conv 16 ─ conv 32 ─ fc 10
                                              the last one's width is the network's answer and stays

Which channels really go is known once the network is cut: by their weights, over all layers at once. Here every layer
that may lose channels loses the same share, rounded as the pass rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from explorer.oracle.graph import QUANTISING, Graph, Node, Tensor

# What compilers merge with the layer before it, or what is no work at all.
_ACTIVATIONS = ("Clip", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Tanh")
_RENAMING = ("Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
_MERGED = frozenset((*_ACTIVATIONS, *_RENAMING, "Add", "BatchNormalization", "Mul", "Sub", *QUANTISING))


@dataclass(frozen=True)
class Layer:
    """One that takes time.

    Attributes:
        name: of its node.
        macs: multiply-accumulates for each input and output channel, at batch 1; of a layer without weights 0.
        grouped: its outputs see one input channel each: `macs` are for each output channel.
        channels_in: that it reads, after the cut; 0 of a layer without weights.
        channels_out: likewise.
        weights: elements.
        moved: elements read and written at batch 1.
        image: it reads what the network is asked, in so few channels that units have a format for it.
    """

    name: str
    macs: float
    grouped: bool
    channels_in: int
    channels_out: int
    weights: float
    moved: float
    image: bool = False

    def padded_macs(self, align: int) -> float:
        """At batch 1, by a unit that takes channels in groups of `align`."""
        into = 1 if self.grouped else _padded(self.channels_in, min(align, _IMAGE) if self.image else align)
        return self.macs * into * _padded(self.channels_out, align)

    @property
    def plain_macs(self) -> float:
        return self.padded_macs(1)


# "formats": an image of up to 4 channels has a format of its own (CHW4, HWC4) and is not filled up to a full group.
_IMAGE = 4


def _padded(channels: int, align: int) -> int:
    return -(-channels // align) * align


@lru_cache(maxsize=256)
def layers(graph: Graph, ratio: float, round_to: int) -> tuple[Layer, ...]:
    """The layers of `graph` without a share `ratio` of its channels, in widths that are multiples of `round_to`."""
    return tuple(_layers(graph, ratio, round_to))


def _layers(graph: Graph, ratio: float, round_to: int) -> Iterator[Layer]:
    asked = _asked(graph)
    keep: dict[str, float] = {}
    behind: set[str] = set()  # what some layer with weights has made
    for node in graph.nodes:
        given = _mean([keep.get(tensor.name, 1.0) for tensor in node.inputs if tensor.name and not tensor.constant])
        wide, own = _widths(node), given
        if wide is not None and not wide.grouped:
            own = 1.0 if asked.intersection(_names(node)) else kept(wide.out, ratio, round_to) / wide.out
        keep.update(dict.fromkeys(_names(node), own))
        made = bool(behind.intersection(tensor.name for tensor in node.inputs))
        behind.update(_names(node) if made or wide is not None else ())
        if wide is not None:
            yield _weighted(node, wide, given, own, image=not made and wide.into <= _IMAGE)
        elif node.op not in _MERGED:
            macs = node.macs * given  # a product of two activations: its summed dimension is not told apart
            yield Layer(node.name, macs, True, 1, 1, 0.0, _moved(node, given, own))


def kept(channels: int, ratio: float, round_to: int) -> int:
    """Of so many; rounded to the nearest multiple, never to none, as `explorer.passes.cutting` does."""
    wanted = channels - int(ratio * channels + 1e-9)
    return channels if wanted == channels else min(channels, max(round_to, round_to * round(wanted / round_to)))


@dataclass(frozen=True)
class _Width:
    into: int
    out: int
    grouped: bool


def _widths(node: Node) -> _Width | None:
    """Channels of a layer with weights; None for all else."""
    weights = node.inputs[1] if len(node.inputs) > 1 else None
    shape = weights.at(1) if weights is not None and weights.constant else None
    if not node.macs or shape is None or len(shape) < 2 or None in shape:
        return None
    sizes, groups = [int(size or 0) for size in shape], int(node.attributes.get("group", 1))
    match node.op:
        case "Conv":
            return _Width(sizes[1] * groups, sizes[0], groups > 1)
        case "ConvTranspose":
            return _Width(sizes[0], sizes[1] * groups, groups > 1)
        case "Gemm" if node.attributes.get("transB"):
            return _Width(sizes[1], sizes[0], grouped=False)
        case _:
            return _Width(sizes[-2], sizes[-1], grouped=False)


def _weighted(node: Node, wide: _Width, given: float, own: float, *, image: bool) -> Layer:
    into, out = round(wide.into * given), round(wide.out * own)
    each = node.macs / wide.out / (1 if wide.grouped else wide.into)
    weights = _elements(node.inputs[1]) * own * (1.0 if wide.grouped else given)
    return Layer(node.name, each, wide.grouped, max(1, into), max(1, out), weights, _moved(node, given, own), image)


def _moved(node: Node, given: float, own: float) -> float:
    read = sum(_elements(tensor) for tensor in node.inputs if tensor.name and not tensor.constant)
    return read * given + sum(map(_elements, node.outputs)) * own


def _elements(tensor: Tensor) -> float:
    """At batch 1; a dimension that is not known counts once."""
    return float(math.prod(size or 1 for size in tensor.at(1) or (0,)))


def _asked(graph: Graph) -> frozenset[str]:
    """Tensors whose width is that of the network's answer: nothing with weights is between."""
    used: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for tensor in node.inputs:
            used.setdefault(tensor.name, []).append(node)
    found: set[str] = set()
    for node in reversed(graph.nodes):
        for name in _names(node):
            behind = used.get(name, [])
            if not behind or any(_widths(one) is None and found.intersection(_names(one)) for one in behind):
                found.add(name)
    return frozenset(found)


def _names(node: Node) -> Sequence[str]:
    return [tensor.name for tensor in node.outputs if tensor.name]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0


def totals(found: Sequence[Layer]) -> Mapping[str, float]:
    """Multiply-accumulates and parameters of a network."""
    return {"macs": sum(layer.plain_macs for layer in found), "params": sum(layer.weights for layer in found)}
