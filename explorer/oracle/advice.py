"""What works, but not as one may think: fallbacks, detours, and what is not documented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from explorer.oracle.board import Target
from explorer.oracle.case import Case
from explorer.oracle.graph import Graph
from explorer.oracle.placement import MAX_LOADABLES
from explorer.oracle.pruning import channel_multiple
from explorer.oracle.rules import Nodes, Refusal, Rule


class Advice(Refusal):
    """The same words as a refusal's; but nothing is refused."""


def advice(target: Target, graph: Graph | None, deployment: Mapping[str, Any]) -> tuple[Advice, ...]:
    """What is to be known of a deployment that is not refused; its arguments are those of `refusals`."""
    case = Case(target, graph, deployment)
    found = [rule.refusal(case) for rule in ADVICE] if case.concerned else []
    return tuple(Advice(one.rule, one.reason, one.source, one.nodes) for one in found if one)


def _falls_back(case: Case) -> Nodes:
    if case.reach is None or case.placement == "dla_only":
        return ()
    barred = {name for names in case.reach.barred.values() for name in names}
    assert case.graph is not None  # or it had no reach
    return tuple(node.name for node in case.graph.nodes if node.name in barred)


def _padded(case: Case) -> Nodes:
    """Convolutions whose outputs are no multiple of what the unit takes at once."""
    if case.precision in ("fp32", "tf32"):
        return ()
    group = channel_multiple(case.precision, case.placement, case.target).channels
    shapes = [(node.name, node.outputs[0].at(1)) for node in case.nodes("Conv", "ConvTranspose")]
    return tuple(name for name, shape in shapes if shape and len(shape) > 1 and (shape[1] or 0) % group)


def _in_3d(case: Case) -> Nodes:
    if case.precision != "int8":
        return ()
    return tuple(node.name for node in case.nodes("Conv") if (node.inputs[0].rank or 0) > 4)


ADVICE = (
    Rule(
        "dla-falls-back",
        "these layers fall back to the GPU, at least {rest} of all multiply-accumulates with them",
        "dla-operators",
        _falls_back,
    ),
    Rule(
        "dla-loadables",
        f"a DLA's core holds {MAX_LOADABLES} loadables; the network makes {{loadables}}, and TensorRT leaves what "
        "is too much on the GPU",
        "dla-subgraphs",
        lambda case: bool(case.reach and case.placement != "dla_only" and case.reach.loadables > MAX_LOADABLES),
    ),
    Rule(
        "dla-streams",
        f"{{streams}} streams of {{loadables}} loadables each: whether they share the {MAX_LOADABLES} that a core "
        "holds is not documented",
        "dla-layers",
        lambda case: bool(
            case.reach
            and case.reach.loadables <= MAX_LOADABLES
            and case.streams > 1
            and case.streams * case.reach.loadables > MAX_LOADABLES
        ),
    ),
    Rule(
        "dla-reformats",
        "inputs and outputs of a DLA are reformatted by the GPU unless they are bound in its own formats (DIRECT_IO)",
        "dla-11.3",
        lambda case: case.placement == "dla_only",
    ),
    Rule(
        "dla-quantised",
        "a DLA takes no QuantizeLinear from TensorRT {release}: its scales go into a calibration cache",
        "dla-qdq",
        lambda case: bool(
            case.on_dla and case.precision in ("int8", "best") and case.quantising and case.release_before((11, 0))
        ),
    ),
    Rule(
        "dla-one-core",
        "{module} has one DLA: the GPU runs beside one core, not two",
        "jetson-modules",
        lambda case: case.placement == "gpu+dla" and case.target.dla_cores == 1,
    ),
    Rule(
        "dla-not-listed",
        "TensorRT {release} is documented to serve the DLA of AGX Orin; {module} is not named",
        "dla-11.4.1",
        lambda case: bool(
            case.on_dla
            and case.target.dla_cores
            and case.release_from((11, 4, 1))
            and not case.target.module.startswith("agx-orin")
        ),
    ),
    Rule(
        "channels-padded",
        "these layers' channels are no multiple of what the unit takes at once, and cost as if they were",
        "formats",
        _padded,
    ),
    Rule(
        "int8-3d",
        "int8 kernels exist for some shapes of 3-D convolutions only; the others run in fp16 or fp32",
        "support",
        _in_3d,
    ),
    Rule(
        "dynamic",
        "the network leaves {dynamic} open: a GPU's engine needs a profile with its sizes",
        "dla-layers",
        lambda case: bool(not case.on_dla and case.graph and case.graph.dynamic),
    ),
    Rule(
        "opset-old",
        "the network is of opset {opset}; parsers are documented from 9 on",
        "onnx-11",
        lambda case: bool(case.graph and case.graph.opset < 9),
    ),
    Rule(
        "names-of-tensors",
        "TensorRT {release} binds inputs by number, and the agent by name, which came with 8.5: it cannot be used "
        "on a real board, where a network can run in onnxruntime on the processor; on a virtual one it is simulated",
        "bindings-8.6",
        lambda case: case.release_before((8, 5)),
    ),
)
