"""The oracle: what is known to be impossible, before anything is built.

    board ┐
    graph ├─► RULES, one after the other ──► refusals, each with its reason, its source and the nodes it is about
    wish  ┘   LIMITS of the DLA's layers ──┘

A rule refuses what is known to be impossible. What works by another way is not refused: `explorer.oracle.advice`
speaks of it. What is not known of a board or a network breaks no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from explorer.oracle.board import WITHOUT_INT8, Target, parser_source
from explorer.oracle.case import Case
from explorer.oracle.graph import Graph
from explorer.oracle.layers import MAX_BATCH
from explorer.oracle.placement import LEAST_SHARE, MAX_LOADABLES, ON_DLA
from explorer.oracle.sources import SOURCES

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8", "best")
PLACEMENTS = ("gpu", *ON_DLA)

Nodes = tuple[str, ...]
Verdict = bool | Nodes  # whether the rule is broken, or by which nodes


@dataclass(frozen=True)
class Refusal:
    """Why a deployment cannot be.

    Attributes:
        rule: its id.
        reason: one sentence.
        source: address or file of what says so.
        nodes: of the network it is about, by name; none where it is about the board.
        asks: of the deployment, beside what the network itself depends on, all that it follows from; None where that
            is not known.
    """

    rule: str
    reason: str
    source: str
    nodes: Nodes = ()
    asks: tuple[str, ...] | None = ("batch", "streams")

    def __str__(self) -> str:
        where = f" ({', '.join(self.nodes[:3])}{', …' if len(self.nodes) > 3 else ''})" if self.nodes else ""
        return f"{self.reason}{where} [{self.rule}; {self.source}]"


@dataclass(frozen=True)
class Rule:
    """One thing that is known to be impossible.

    Attributes:
        reason: a sentence, with names of `Case.words` in braces.
        source: the tag of a source, or a function of the board that tells it.
        broken: whether it is, or by which nodes.
        asks: of the batch and the streams, what it looks at.
    """

    id: str
    reason: str
    source: str | Callable[[Target], str]
    broken: Callable[[Case], Verdict]
    asks: tuple[str, ...] = ()

    def refusal(self, case: Case) -> Refusal | None:
        """The refusal, if `case` breaks the rule."""
        verdict = self.broken(case)
        if not verdict:
            return None
        source = self.source(case.target) if callable(self.source) else SOURCES[self.source]
        nodes = verdict if isinstance(verdict, tuple) else ()
        return Refusal(self.id, self.reason.format_map(case.words()), source, nodes, self.asks)


def refusals(target: Target, graph: Graph | None, deployment: Mapping[str, Any]) -> tuple[Refusal, ...]:
    """Why `deployment` is known to be impossible on the board; empty when nothing speaks against it.

    Args:
        target: the board.
        graph: the network, or None before there is one: then only the board is asked.
        deployment: ``precision`` (fp32 unless told), ``placement`` (gpu), ``batch`` (1), ``streams`` (1), ``runtime``
            (tensorrt; of another one nothing is known here); other keys are not looked at.
    """
    case = Case(target, graph, deployment)
    if not case.concerned:
        return ()
    found = [rule.refusal(case) for rule in RULES]
    return (*(refusal for refusal in found if refusal), *_left_out(case))


def _left_out(case: Case) -> Iterator[Refusal]:
    """Layers that a DLA on its own cannot run."""
    if case.reach and case.placement == "dla_only":
        for limit, nodes in case.reach.barred.items():
            reason = f"nothing may fall back to the GPU, and {limit.reason}"
            yield Refusal(limit.id, reason, limit.source, nodes, ("batch",))


def _names(nodes: Iterator[Any]) -> Nodes:
    return tuple(node.name for node in nodes)


def _lacks_types(case: Case) -> bool:
    """Whether the network itself does not say the precision asked for, and this TensorRT goes by that alone."""
    graph = case.file
    if graph is None or not (case.release_from((11, 0)) or case.precision == "fp8"):
        return False
    match case.precision:
        case "fp16" | "bf16":
            return case.precision not in graph.elements
        case "int8":
            return not graph.quantised or "fp8" in graph.elements
        case "fp8":
            return not graph.quantised or "fp8" not in graph.elements
    return False


def _asymmetric(case: Case) -> Nodes:
    if case.file is None:
        return ()
    return _names(node for node in case.quantising if any(node.values(2) or ()))


def _quantised_bias(case: Case) -> Nodes:
    if case.file is None:
        return ()
    return _names(node for node in case.quantising if node.inputs[0].element == "int32")


def _unsigned(case: Case) -> Nodes:
    if case.file is None:
        return ()
    ends = ((node, (*node.inputs[:1], *node.inputs[2:3])) for node in case.quantising)
    return _names(node for node, tensors in ends if any(tensor.element == "uint8" for tensor in tensors))


def _older_jetpack(case: Case) -> bool:
    told = tuple(int(part) for part in case.target.jetpack.split(" ")[0].split(".") if part.isdigit())
    return case.release_from((11, 4, 1)) and bool(told) and told < (7, 2, 2)


# From which release the parser has an operator ("onnx-changes", and the tables of 8.5 and 10.15).
_SINCE = {
    **dict.fromkeys(("Einsum", "GatherND", "IsNaN", "Round", "Scatter", "ScatterElements", "Sign"), (8, 2)),
    **dict.fromkeys(("Shrink", "Xor"), (8, 4)),
    **dict.fromkeys(("GridSample", "MeanVarianceNormalization", "Mod", "NonZero", "RoiAlign", "Trilu"), (8, 5)),
    **dict.fromkeys(("GroupNormalization", "IsInf", "LayerNormalization"), (8, 6)),
    "Hardmax": (9, 2),
    "DeformConv": (10, 1),
    **dict.fromkeys(("BlackmanWindow", "HammingWindow", "HannWindow"), (10, 4)),
    "STFT": (10, 5),
    **dict.fromkeys(("RMSNormalization", "RotaryEmbedding", "TensorScatter"), (10, 15)),
}
# Those that the tables of 8.5 and 10.15 both call unsupported.
_UNREAD_BY_NAME = (
    "Bernoulli BitShift Compress ConcatFromSequence ConvInteger DFT Det DynamicQuantizeLinear MatMulInteger MaxRoiPool "
    "MaxUnpool MelWeightMatrix Multinomial NegativeLogLikelihoodLoss Optional OptionalGetElement OptionalHasElement "
    "QLinearConv QLinearMatMul SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength "
    "SequenceMap SoftmaxCrossEntropyLoss SplitToSequence StringNormalizer TfIdfVectorizer Unique"
)
_UNREAD = tuple(_UNREAD_BY_NAME.split())


def _unread(case: Case) -> Nodes:
    if not case.release_before((11, 0)):  # no table of 11 was seen
        return ()
    later = [name for name, since in _SINCE.items() if case.release_before(since)]
    return _names(iter(case.nodes(*_UNREAD, *later)))


RULES = (
    # the words of a deployment
    Rule(
        "precision",
        f"{{precision!r}} is no precision of TensorRT: {', '.join(PRECISIONS)}",
        "support",
        lambda case: case.precision not in PRECISIONS,
    ),
    Rule(
        "placement",
        f"{{placement!r}} is no place TensorRT runs in: {', '.join(PLACEMENTS)}",
        "dla-11.3",
        lambda case: case.placement not in PLACEMENTS,
    ),
    # what the GPU's hardware computes in
    Rule(
        "int8-hardware",
        "the GPU of {module} has no int8 arithmetic",
        "support-8.6",
        lambda case: case.precision == "int8" and case.target.sm in WITHOUT_INT8,
    ),
    Rule(
        "tf32-hardware",
        "the GPU of {module} has no TF32, which came with compute capability 8.0: it would run fp32",
        "support-8.6",
        lambda case: case.precision == "tf32" and (case.target.sm or 80) < 80,
    ),
    Rule(
        "bf16-hardware",
        "the GPU of {module} has no BF16, which came with compute capability 8.0",
        "support",
        lambda case: case.precision == "bf16" and (case.target.sm or 80) < 80,
    ),
    Rule(
        "fp8-hardware",
        "the GPU of {module} has no FP8, which came with compute capability 8.9",
        "support",
        lambda case: case.precision == "fp8" and (case.target.sm or 89) < 89,
    ),
    # what the release of TensorRT computes in
    Rule(
        "bf16-release",
        "TensorRT {release} reads no BF16, which came with 9.0",
        "onnx-changes",
        lambda case: case.precision == "bf16" and case.release_before((9, 0)),
    ),
    Rule(
        "fp8-release",
        "TensorRT {release} reads no FP8, which came with 9.0",
        "onnx-changes",
        lambda case: case.precision == "fp8" and case.release_before((9, 0)),
    ),
    Rule(
        "best-release",
        "TensorRT {release} has no flags of precision to choose the best among: each is written into the network",
        "bindings-11",
        lambda case: case.precision == "best" and case.release_from((11, 0)),
    ),
    Rule(
        "types-in-network",
        "{precision} must be written into the network (casts, or QuantizeLinear) for TensorRT {release}, and is not",
        "bindings-11",
        _lacks_types,
    ),
    Rule(
        "quantised-unasked",
        "the network is quantised, and {precision} asked for",
        "agent",
        lambda case: bool(case.file and case.file.quantised and case.precision not in ("int8", "fp8", "best")),
    ),
    Rule("zero-point", "TensorRT quantises symmetrically: every zero point must be 0", "onnx-8.5", _asymmetric),
    Rule(
        "uint8",
        "TensorRT quantises to int8 and not to uint8",
        "onnx-10.15",
        _unsigned,
    ),
    Rule(
        "quantised-bias",
        "TensorRT takes int8 and no int32 into DequantizeLinear: the biases must stay float",
        "onnx-8.5",
        _quantised_bias,
    ),
    # what the parser reads
    Rule(
        "opset",
        "the network is of opset {opset}, the parser of TensorRT {release} reads up to {opset_limit}",
        lambda target: parser_source(target.tensorrt),
        lambda case: bool(case.graph and case.target.opset_limit and case.graph.opset > case.target.opset_limit),
    ),
    Rule("operator", "the parser of TensorRT {release} does not know these operators", "onnx-changes", _unread),
    Rule(
        "batch-fixed",
        "the network is fixed at a batch of {fixed}, and one of {batch} asked for",
        "dynamic-shapes",
        lambda case: bool(case.file and case.file.batch and case.file.batch != case.batch),
        asks=("batch",),
    ),
    # whether there is a DLA, and what it computes in
    Rule("dla-none", "{module} has no DLA", "support", lambda case: case.on_dla and case.target.dla_cores == 0),
    Rule(
        "dla-release",
        "TensorRT {release} serves no DLA: 10.7 was the last before 11.4.1",
        "dla-11.4.0",
        lambda case: case.on_dla and case.release_in((10, 8), (11, 4, 1)),
    ),
    Rule(
        "dla-jetpack",
        "TensorRT {release} serves the DLA from JetPack 7.2.2 on only",
        "dla-11.4.1",
        lambda case: case.on_dla and _older_jetpack(case),
    ),
    Rule(
        "dla-precision",
        "a DLA computes in fp16 and int8 only",
        "dla-layers",
        lambda case: case.on_dla and case.precision in ("fp32", "tf32", "bf16", "fp8"),
    ),
    Rule(
        "a-stream-each",
        "{placement} runs an engine on each of {units} units: it needs {units} streams or more, not {streams}",
        "agent-units",
        lambda case: "streams" in case.deployment and case.streams < case.units,
        asks=("streams",),
    ),
    Rule(
        "dla-dynamic",
        "a DLA takes no dynamic shapes, and the network leaves {dynamic} open",
        "dla-layers",
        lambda case: bool(case.on_dla and case.graph and case.graph.dynamic),
    ),
    Rule(
        "dla-batch",
        f"a DLA takes a batch of up to {MAX_BATCH}, not of {{batch}}",
        "dla-layers",
        lambda case: case.on_dla and case.batch > MAX_BATCH,
        asks=("batch",),
    ),
    Rule(
        "dla-nothing",
        "at most {share} of the network can run on a DLA, what is left would be an engine of the GPU: {why}",
        "dla-layers",
        lambda case: bool(case.reach and case.reach.share < LEAST_SHARE),
        asks=("batch",),
    ),
    Rule(
        "dla-loadables",
        f"a DLA's core holds {MAX_LOADABLES} loadables; the network makes {{loadables}} and may not fall back",
        "dla-layers",
        lambda case: bool(case.reach and case.placement == "dla_only" and case.reach.loadables > MAX_LOADABLES),
        asks=("batch",),
    ),
)
