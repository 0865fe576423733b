"""Which layers a DLA cannot run: a table of limits, each with the operators it is about and a predicate.

A limit is broken only where that is certain: what is not known of a node breaks nothing. So a node that breaks none
may run on a DLA, and whether it does is for TensorRT to say (`can_run_on_DLA`, the build log).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from explorer.oracle.board import Target
from explorer.oracle.graph import QUANTISING, Node, Tensor
from explorer.oracle.sources import SOURCES

MAX_BATCH, MAX_SIZE = 4096, 8192

# No layers of an engine: TensorRT drops them or merges them with their neighbours.
VANISHING = frozenset({"Identity", "Dropout", "Cast", *QUANTISING})

# Operators that no TensorRT hands to a DLA: 3-D and normalising ones, activations with exponentials, whatever looks up
# or moves by index, recurrences. Those that "dla-operators" calls "None" or "Reconstruction" are impossible as they
# stand; Div, Pow, Min, Greater and Less are left out, as "dla-layers" has them for newer releases.
_NEVER_BY_NAME = (
    "Acos Acosh And Asin Asinh Atanh Attention Celu Cosh CumSum DeformConv DepthToSpace Einsum Elu Erf Exp Gather "
    "GatherElements GatherND Gelu GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample GroupNormalization GRU "
    "HardSigmoid HardSwish InstanceNormalization LayerNormalization Log LogSoftmax LpNormalization LSTM "
    "MeanVarianceNormalization Mish Mod Neg NonMaxSuppression Not Or Pad Reciprocal RMSNormalization RNN Round Scatter "
    "ScatterElements ScatterND Selu Sign Sinh Softplus Softsign SpaceToDepth Sqrt Tan ThresholdedRelu Tile TopK Where "
    "Xor"
)
_NEVER = frozenset(_NEVER_BY_NAME.split())
_CONVOLUTIONS, _POOLS = ("Conv", "ConvTranspose"), ("MaxPool", "AveragePool", "LpPool")
_REDUCED_BY = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
_REDUCTIONS = tuple(f"Reduce{name}" for name in _REDUCED_BY)
_SHUFFLES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")


@dataclass(frozen=True)
class Limit:
    """One restriction of the DLA.

    Attributes:
        broken: by a node, at a batch, on a board; called for the operators in `ops` only, for all where it is empty.
    """

    id: str
    reason: str
    source: str
    ops: tuple[str, ...]
    broken: Callable[[Node, int, Target], bool]


def broken_by(node: Node, batch: int, target: Target) -> Iterator[Limit]:
    """Every limit that keeps `node` from running on a DLA of the board."""
    if node.op in VANISHING:
        return
    for limit in LIMITS:
        if (not limit.ops or node.op in limit.ops) and limit.broken(node, batch, target):
            yield limit


def effective_batch(node: Node, batch: int) -> int | None:
    """What the DLA counts as the batch of a node: the product of all dimensions but the last three; None if unknown."""
    return _batch_of(node.outputs[0], batch) if node.outputs else None


def _batch_of(tensor: Tensor, batch: int) -> int | None:
    shape = tensor.at(batch)
    if shape is None or len(shape) < 4:
        return None  # of fewer dimensions it is not documented which is which
    leading = [size for size in shape[:-3] if size is not None]
    return math.prod(leading) if len(leading) == len(shape) - 3 else None


def _runs(node: Node) -> Iterator[Tensor]:
    """The tensors that flow through a node."""
    yield from (tensor for tensor in (*node.inputs, *node.outputs) if tensor.name and not tensor.constant)


def _kernel(node: Node) -> tuple[int, ...]:
    if told := node.ints("kernel_shape"):
        return told
    weights = node.inputs[1].at(1) if node.op in _CONVOLUTIONS and len(node.inputs) > 1 else None
    return tuple(size for size in (weights or ())[2:] if size is not None)


def _channels(node: Node) -> tuple[int, ...]:
    """Of a convolution, in and out."""
    shapes = [tensor.at(1) for tensor in (node.inputs[0], node.outputs[0])]
    return tuple(size for shape in shapes if shape and len(shape) > 1 if (size := shape[1]) is not None)


def _beyond(values: tuple[int, ...], least: int, most: int) -> bool:
    return any(not least <= value <= most for value in values)


def _is_3d(node: Node, _: int, __: Target) -> bool:
    rank = node.inputs[0].rank
    return (rank is not None and rank > 4) or len(_kernel(node)) > 2


def _batch_too_large(node: Node, batch: int, _: Target) -> bool:
    return any((_batch_of(tensor, batch) or 0) > MAX_BATCH for tensor in _runs(node))


def _size_too_large(node: Node, batch: int, _: Target) -> bool:
    shapes = [tensor.at(batch) or () for tensor in _runs(node)]
    return any((size or 0) > MAX_SIZE for shape in shapes if len(shape) > 3 for size in shape[-3:])


def _two_inputs_computed(node: Node, _: int, __: Target) -> bool:
    return len(node.inputs) > 1 and not node.inputs[1].constant


def _batch_changes(node: Node, batch: int, _: Target) -> bool:
    before, after = _batch_of(node.inputs[0], batch), _batch_of(node.outputs[0], batch)
    return before is not None and after is not None and before != after


def _not_rank_4(node: Node, _: int, __: Target) -> bool:
    return any(tensor.rank not in (4, None) for tensor in (node.inputs[0], node.outputs[0]))


def _reduces_unlike_max(node: Node, _: int, target: Target) -> bool:
    return node.op != "ReduceMax" or target.dla_version == 1


def _reduces_batch(node: Node, _: int, __: Target) -> bool:
    rank, axes = node.inputs[0].rank, node.ints("axes") or tuple(int(axis) for axis in node.values(1) or ())
    if not axes and len(node.inputs) < 2:
        return True  # all of them
    return rank is not None and any((axis + rank if axis < 0 else axis) < rank - 3 for axis in axes)


def _concatenates_elsewhere(node: Node, _: int, __: Target) -> bool:
    rank, axis = node.inputs[0].rank, node.ints("axis", (1,))[0]
    return rank is not None and rank >= 4 and axis % rank != rank - 3


def _slices_unknown(node: Node, _: int, __: Target) -> bool:
    return any(tensor.name and not tensor.constant for tensor in node.inputs[1:])


def _resizes_too_far(node: Node, batch: int, _: Target) -> bool:
    before, after = node.inputs[0].at(batch), node.outputs[0].at(batch)
    most = 4 if node.attributes.get("mode", "nearest") == "linear" else 32
    for old, new in zip((before or ())[2:], (after or ())[2:], strict=False):
        if old and new and not old <= new <= most * old:
            return True
    return False


LIMITS = (
    Limit(
        "dla-3d",
        "a DLA has two spatial dimensions: no 3-D convolution or pooling runs on one",
        SOURCES["dla-layers"],
        (*_CONVOLUTIONS, *_POOLS, "LRN"),
        _is_3d,
    ),
    Limit(
        "dla-operator",
        "TensorRT hands no such operator to a DLA",
        SOURCES["dla-operators"],
        (),
        lambda node, _, __: node.op in _NEVER and not node.domain,
    ),
    Limit(
        "dla-matmul",
        "a DLA multiplies by constant weights only: no product of two computed matrices, so no attention",
        SOURCES["dla-operators"],
        ("MatMul", "Gemm"),
        _two_inputs_computed,
    ),
    Limit(
        "dla-computed-kernel",
        "a DLA convolves with constant weights only",
        SOURCES["dla-layers"],
        _CONVOLUTIONS,
        _two_inputs_computed,
    ),
    Limit(
        "dla-kernel",
        "a DLA convolves with kernels of 1 to 32",
        SOURCES["dla-layers"],
        ("Conv",),
        lambda node, _, __: _beyond(_kernel(node), 1, 32),
    ),
    Limit(
        "dla-stride",
        "a DLA convolves with strides of 1 to 8",
        SOURCES["dla-layers"],
        ("Conv",),
        lambda node, _, __: _beyond(node.ints("strides"), 1, 8),
    ),
    Limit(
        "dla-padding",
        "a DLA pads a convolution by 0 to 31",
        SOURCES["dla-layers"],
        ("Conv",),
        lambda node, _, __: _beyond(node.ints("pads"), 0, 31),
    ),
    Limit(
        "dla-dilation",
        "a DLA dilates a convolution by 1 to 32",
        SOURCES["dla-layers"],
        ("Conv",),
        lambda node, _, __: _beyond(node.ints("dilations"), 1, 32),
    ),
    Limit(
        "dla-groups",
        "a DLA convolves in 1 to 8192 groups",
        SOURCES["dla-layers"],
        ("Conv",),
        lambda node, _, __: _beyond(node.ints("group", (1,)), 1, 8192),
    ),
    Limit(
        "dla-channels",
        "a convolution on a DLA has 1 to 8192 channels",
        SOURCES["dla-layers"],
        _CONVOLUTIONS,
        lambda node, _, __: _beyond(_channels(node), 1, 8192),
    ),
    Limit(
        "dla-deconvolution-groups",
        "a DLA runs no grouped transposed convolution",
        SOURCES["dla-layers"],
        ("ConvTranspose",),
        lambda node, _, __: node.ints("group", (1,)) != (1,),
    ),
    Limit(
        "dla-deconvolution-dilation",
        "a DLA runs no dilated transposed convolution",
        SOURCES["dla-layers"],
        ("ConvTranspose",),
        lambda node, _, __: _beyond(node.ints("dilations"), 1, 1),
    ),
    Limit(
        "dla-deconvolution-padding",
        "a DLA runs no padded transposed convolution",
        SOURCES["dla-layers"],
        ("ConvTranspose",),
        lambda node, _, __: _beyond(node.ints("pads"), 0, 0),
    ),
    Limit(
        "dla-pool-window",
        "a DLA pools windows of 1 to 8; a larger mean can be written as two",
        SOURCES["dla-layers"],
        _POOLS,
        lambda node, _, __: _beyond(_kernel(node), 1, 8),
    ),
    Limit("dla-pool-kind", "a DLA pools by maximum or mean only", SOURCES["dla-layers"], ("LpPool",), lambda *_: True),
    Limit(
        "dla-reduction",
        "TensorRT hands no reduction but Orin's maximum to a DLA; a global mean of up to 8 x 8 can be an AveragePool",
        SOURCES["dla-operators"],
        _REDUCTIONS,
        _reduces_unlike_max,
    ),
    Limit(
        "dla-reduces-batch",
        "a DLA reduces channels, height and width only, and all before them is its batch",
        SOURCES["dla-layers"],
        _REDUCTIONS,
        _reduces_batch,
    ),
    Limit(
        "dla-shuffle-batch",
        "all layers of a DLA's loadable have one batch, and here it changes",
        SOURCES["dla-layers"],
        _SHUFFLES,
        _batch_changes,
    ),
    Limit(
        "dla-shuffle-rank",
        "on a DLA nothing is reshaped to or from other than four dimensions",
        SOURCES["dla-layers"],
        _SHUFFLES,
        _not_rank_4,
    ),
    Limit(
        "dla-concatenation",
        "a DLA concatenates along the channels only",
        SOURCES["dla-layers"],
        ("Concat",),
        _concatenates_elsewhere,
    ),
    Limit("dla-slice", "a DLA slices at constant places only", SOURCES["dla-layers"], ("Slice",), _slices_unknown),
    Limit(
        "dla-resize-kind",
        "a DLA resizes to the nearest or bilinearly only",
        SOURCES["dla-layers"],
        ("Resize", "Upsample"),
        lambda node, _, __: node.attributes.get("mode", "nearest") not in ("nearest", "linear"),
    ),
    Limit(
        "dla-resize-scale",
        "a DLA enlarges 1 to 32 times (nearest) or 1 to 4 times (bilinear)",
        SOURCES["dla-layers"],
        ("Resize", "Upsample"),
        _resizes_too_far,
    ),
    Limit(
        "dla-softmax",
        "Xavier's DLA has no softmax",
        SOURCES["dla-layers"],
        ("Softmax",),
        lambda _, __, target: target.dla_version == 1,
    ),
    Limit(
        "dla-lrn-window",
        "a DLA normalises over windows of 3, 5, 7 or 9",
        SOURCES["dla-layers"],
        ("LRN",),
        lambda node, _, __: node.ints("size", (3,))[0] not in (3, 5, 7, 9),
    ),
    Limit(
        "dla-layer-batch",
        f"a DLA takes a batch of up to {MAX_BATCH}, and all dimensions before the channels count",
        SOURCES["dla-layers"],
        (),
        _batch_too_large,
    ),
    Limit(
        "dla-size",
        f"a DLA takes channels, height and width of up to {MAX_SIZE}",
        SOURCES["dla-layers"],
        (),
        _size_too_large,
    ),
)
