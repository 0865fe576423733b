"""Which layers become int8, and how, for each runtime: what one executes fast another does not execute at all.

    onnxruntime   uint8 activations behind and before each layer (the pattern it fuses), int8 weights per channel
    openvino      the same before each layer only: what follows a layer is fused into it, and its output stays float
    tensorrt      symmetric int8 throughout, float bias, a pair of its own before each input; residual sums too; ranges
                  without the outermost 0.001 % of values (`benchmarks/README.md` says what that is worth)

Speed-up over fp32 in the same runtime, batch 1, one thread (CPU time on an AMD EPYC with AVX2 and no VNNI):

                   GaitSet full    GaitSet tiny    3D-CNN tiny
    onnxruntime    1.6             1.2             1.0 (0.2 with int8 3-D convolutions)
    openvino       1.8             1.6             1.5

CPUs without VNNI add two products of 8 bits into 16 and saturate: the weights of both CPU recipes therefore keep to 7
bits (`reduce_range`), which took GaitSet from 11 dB to 43 dB there and costs 5 dB elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import onnx

from explorer.errors import BadInput, Problem
from explorer.passes import float8
from explorer.registry import nearest

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class QuantRecipe:
    """How one runtime wants its int8."""

    signed: bool  # activations: int8, or uint8
    symmetric: bool  # activations: a range around zero, or one that follows the data
    reduce_range: bool  # weights of 7 bits
    outputs: bool  # quantise what a layer gives, too
    bias: bool  # int32 bias, or float
    signed_weights: bool = True  # int8, or uint8
    per_channel: bool = True  # weights: a scale for each output channel, or one for all
    method: str = "minmax"  # how the range of an activation is found
    residuals: bool = False  # quantise what is added to a convolution's output
    rank3: bool = True  # 3-D convolutions
    transposed: bool = True  # transposed convolutions
    min_channels: int = 1  # convolutions of fewer input channels stay float
    float8: bool = False  # pairs of fp8 in the end, for layers that have it
    fixed: tuple[str, ...] = ()  # settings that the runtime leaves no choice in
    options: Mapping[str, Any] = field(default_factory=dict)  # further ones of onnxruntime.quantization


RECIPES: Mapping[str, QuantRecipe] = {
    "onnxruntime": QuantRecipe(
        signed=False,
        symmetric=False,
        reduce_range=True,
        outputs=True,
        bias=True,
        rank3=False,
        transposed=False,
        min_channels=16,
    ),
    "openvino": QuantRecipe(signed=False, symmetric=False, reduce_range=True, outputs=False, bias=False),
    "tensorrt": QuantRecipe(
        signed=True,
        symmetric=True,
        reduce_range=False,
        outputs=False,
        bias=False,
        method="percentile",
        residuals=True,
        fixed=("activation_range", "weight_type"),
        options={"WeightSymmetric": True, "AddQDQPairToWeight": True, "DedicatedQDQPair": True},
    ),
}


# What a candidate may choose for itself (`explorer.space.QUANTISATION_AXES`): the recipe's field, the words' meaning.
SETTINGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "calibration_method": ("method", {"minmax": "minmax", "entropy": "entropy", "percentile": "percentile"}),
    "weight_type": ("signed_weights", {"int8": True, "uint8": False}),
    "weight_scale": ("per_channel", {"tensor": False, "channel": True}),
    "weight_range": ("reduce_range", {"full": False, "reduced": True}),
    "activation_range": ("symmetric", {"symmetric": True, "asymmetric": False}),
}


def recipe_of(params: Mapping[str, Any]) -> QuantRecipe:
    """The recipe named by ``params["recipe"]``, with whatever of `SETTINGS` is in `params`, and its ``precision``.

    Raises:
        BadInput: an unknown recipe or word, a setting the runtime leaves no choice in, a precision the recipe has not.
    """
    name = params["recipe"]
    if name not in RECIPES:
        hint = nearest(name, list(RECIPES))
        raise BadInput(Problem("unknown quantisation recipe", seen=repr(name), allowed=", ".join(RECIPES), hint=hint))
    changes = {}
    for setting, (attribute, words) in SETTINGS.items():
        if params.get(setting) is not None:
            _check_setting(name, setting, params[setting])
            changes[attribute] = words[params[setting]]
    return replace(RECIPES[name], float8=_is_float8(name, params.get("precision")), **changes)


def _is_float8(name: str, precision: Any) -> bool:
    allowed = ("int8", "fp8") if name == "tensorrt" else ("int8",)
    if precision not in (None, *allowed):
        what = f"the recipe {name} has no such precision"
        raise BadInput(Problem(what, path="precision", seen=repr(precision), allowed=", ".join(allowed)))
    return bool(precision == "fp8")


def _check_setting(name: str, setting: str, word: str) -> None:
    recipe, (attribute, words) = RECIPES[name], SETTINGS[setting]
    allowed = [w for w, value in words.items() if setting not in recipe.fixed or value == getattr(recipe, attribute)]
    if word not in allowed:
        what = f"not possible for {name}" if word in words else "unknown word"
        raise BadInput(Problem(what, path=setting, seen=repr(word), allowed=", ".join(allowed)))


@dataclass(frozen=True)
class Choice:
    """A layer, and why it stays float; empty when it becomes int8, or fp8."""

    node: str
    op: str
    why_float: str = ""


def choose(model: onnx.ModelProto, recipe: QuantRecipe) -> tuple[Choice, ...]:
    """For every layer with weights, and every residual sum, whether it is quantised.

    Args:
        model: its nodes have names.
        recipe: of the runtime it is for.
    """
    return tuple(_choices(model.graph, recipe))


def _choices(graph: onnx.GraphProto, recipe: QuantRecipe) -> Iterator[Choice]:
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    chosen: dict[str, Choice] = {}
    for node in graph.node:
        if node.op_type in _LAYERS:
            chosen[node.name] = Choice(node.name, node.op_type, _why_float(node, weights, recipe))
            yield chosen[node.name]
        elif node.op_type == "Add" and recipe.residuals and _is_residual(node, made_by, weights):
            makers = [chosen.get(made_by[name].name) for name in node.input if name in made_by]
            if any(maker is not None and not maker.why_float for maker in makers) or not recipe.float8:
                yield Choice(node.name, node.op_type)


def _why_float(node: onnx.NodeProto, weights: Mapping[str, tuple[int, ...]], recipe: QuantRecipe) -> str:
    shape = weights.get(node.input[1])
    if shape is None:
        return "its second operand is computed, not stored"
    if recipe.float8 and (why := float8.why_not(node.op_type, shape, _groups(node))):
        return why
    if node.op_type == "MatMul":
        return "" if len(shape) == 2 else "batched products fail at run time when quantised per channel"
    if node.op_type == "Gemm":
        return ""
    if len(shape) == 5 and not recipe.rank3:
        return "this runtime executes 3-D convolutions slower in int8 than in float"
    if node.op_type == "ConvTranspose":
        return "" if recipe.transposed else "this runtime has no int8 transposed convolution"
    depthwise = shape[1] == 1 and shape[0] > 1 and _groups(node) == shape[0]
    if shape[1] < recipe.min_channels and not depthwise:
        return f"fewer than {recipe.min_channels} input channels: slower in int8 than in float"
    return ""


def _groups(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def _is_residual(
    node: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto], weights: Mapping[str, tuple[int, ...]]
) -> bool:
    """A sum of two computed tensors, one of them a convolution's: the pair that TensorRT fuses into the convolution."""
    makers = [made_by.get(name) for name in node.input]
    computed = not any(name in weights for name in node.input)
    return computed and any(maker is not None and maker.op_type == "Conv" for maker in makers)
