"""A TensorRT that needs no GPU, with the face of 8.5, 10.3 or 11, and a libcudart to go with it.

    world     the board it pretends to run on: GPU, DLA cores, and what goes wrong
    names     enumerations of each version
    network   ONNX parsed by onnx into layers and tensors         cudart      libcudart within this process
    building  flags, DLA rules, logs, plans                       cudart.c    the same as a real shared library,
    running   plans loaded, inferences computed by ONNX Runtime   compiled    for an agent in processes of its own

Each face has the names that the contract lists for its version and none that are gone; the same contract is put to
real wheels. Log lines are worded as users report them (see the runtime's `failures` and `inspect`).
"""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from . import building, names, network, running
from .cudart import FakeCudart
from .world import FAULT, World

VERSIONS = {"8.5": (8, 5, 3, 1), "10.3": (10, 3, 0), "11": (11, 4, 0, 106)}


def face(version: str, world: World) -> ModuleType:
    """The module `tensorrt` of that version."""
    numbers = VERSIONS[version]
    module: Any = ModuleType("tensorrt")
    module.__spec__ = ModuleSpec("tensorrt", None)
    module.__version__ = ".".join(map(str, numbers))
    for enumeration in names.of(numbers):
        setattr(module, enumeration.__name__, enumeration)
    for part in (network, building, running):
        for made in part.of(module, world, numbers):
            setattr(module, made.__name__, made)
    module.init_libnvinfer_plugins = init_libnvinfer_plugins
    return module  # type: ignore[no-any-return]


def init_libnvinfer_plugins(logger: Any, namespace: str) -> bool:
    return bool(hasattr(logger, "log")) and isinstance(namespace, str)


__all__ = ["FAULT", "VERSIONS", "FakeCudart", "World", "face"]
