"""The stages of compression: each reads files, writes one file, and tells what it did.

    train │ weights ──► prune ──► finetune ──► export ──► quantise ──► ranges
                                                   └────┴──────► cast       any of the last ones ──► preview

A pass is a module with ``run(inputs, params, out, *, progress=None) -> info`` and a version; it knows nothing of
caches, processes or the others. Importing this package is cheap: a pass and torch load when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from explorer.errors import BadInput, Problem
from explorer.registry import Registry, nearest

Report = Callable[[float, str], None]
"""Progress of a pass: called with the fraction done and one line of what is going on."""

PASSES = Registry(
    "passes",
    {
        "train": ("explorer.passes:train", "train a network from scratch by its recipe"),
        "prune": ("explorer.passes:prune", "remove the channels of least L1 norm, network-wide"),
        "finetune": ("explorer.passes:finetune", "train a pruned network a little further"),
        "export": ("explorer.passes:export", "write ONNX and check it against the network"),
        "quantise": ("explorer.passes:quantise", "int8 or fp8 by calibration, by a recipe for each runtime"),
        "cast": ("explorer.passes:cast", "fp16 or bf16 written into the network's own types"),
        "ranges": ("explorer.passes:ranges", "int8 as float ONNX with a calibration cache, as a DLA needs it"),
        "preview": ("explorer.passes:preview", "score a network on this host, on a part of the test inputs"),
    },
)

# Raise a pass's number when its result changes for equal inputs and parameters; the libraries named decide over it too.
_VERSIONS: dict[str, tuple[int, tuple[str, ...]]] = {
    "train": (2, ("torch",)),
    "prune": (1, ("torch", "torch-pruning")),
    "finetune": (3, ("torch",)),
    "export": (1, ("torch", "onnx", "onnxscript")),
    "quantise": (4, ("onnx", "onnxruntime")),
    "cast": (1, ("onnx", "onnxruntime")),
    "ranges": (1, ("onnx", "onnxruntime")),
    "preview": (1, ("onnxruntime",)),
}

# How each runtime wants its int8: see `explorer.passes.quantise`.
_RECIPES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "tensorrt": "tensorrt"}


def version_of(name: str) -> str:
    """What the outcome of the pass `name` depends on besides its inputs and parameters: its version and its libraries'.

    Raises:
        BadInput: there is no such pass.
    """
    if name in _VERSIONS:
        number, libraries = _VERSIONS[name]
        return " ".join([str(number), *(f"{library}={_installed(library)}" for library in libraries)])
    return str(getattr(PASSES.load(name), "VERSION", 1))


def quantisation_recipe(runtime: str) -> str:
    """The quantisation recipe whose int8 `runtime` executes best.

    Raises:
        BadInput: no recipe is known for `runtime`.
    """
    try:
        return _RECIPES[runtime]
    except KeyError as error:
        allowed = ", ".join(_RECIPES)
        raise BadInput(
            Problem(
                "no int8 recipe for this runtime",
                seen=repr(runtime),
                allowed=allowed,
                hint=nearest(runtime, allowed.split(", ")),
            )
        ) from error


def _installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"


def __getattr__(name: str) -> Any:
    if name in _VERSIONS:
        return import_module(f"explorer.passes.{name}")
    raise AttributeError(f"module 'explorer.passes' has no attribute {name!r}")
