"""Scales of an int8 network that has no QuantizeLinear, in the format of TensorRT's calibration cache.

    TRT-8502-EntropyCalibration2
    input: 3c010a14             the tensor's name, and its scale: a float32 in hexadecimal, most significant byte first

They are given to the tensors as dynamic ranges. So the agent knows which tensors have none, no calibrator ever asks for
data, and the first line, which ties a cache to one version, does not matter: the scales are the network's.

Sources: NVIDIA/Deep-Learning-Accelerator-SW tools/qdq-translator (the format); TensorRT's developer guide, "Post-
training quantization using calibration" and "Setting dynamic range": scale = max(|min|, |max|) / 127.
"""

from __future__ import annotations

import math
import struct
import warnings
from typing import Any, Iterator, Mapping

from explorer_agent.messages import INFEASIBLE, AgentError

_STEPS = 127


def scales(cache: str) -> dict[str, float]:
    """The scale of each tensor.

    Raises:
        AgentError: infeasible: no calibration cache.
    """
    header, *lines = cache.strip().splitlines() or [""]
    if not header.startswith("TRT-"):
        raise AgentError(INFEASIBLE, f"the calibration is no cache of TensorRT's: it begins with {header[:40]!r}")
    return dict(_scale(line) for line in lines if line.strip())


def _scale(line: str) -> tuple[str, float]:
    name, _, number = line.rpartition(":")
    try:
        value = struct.unpack(">f", bytes.fromhex(number.strip()))[0]
    except (ValueError, struct.error) as error:
        raise AgentError(INFEASIBLE, f"the calibration has no scale in {line[:80]!r}: {error}") from error
    if not name or not math.isfinite(value) or value <= 0:
        raise AgentError(INFEASIBLE, f"the calibration gives the tensor {name!r} the scale {value}")
    return name.strip(), value


def apply(trt: Any, network: Any, found: Mapping[str, float]) -> list[str]:
    """Set the range of every tensor that has a scale; returns the names of those that have none.

    Raises:
        AgentError: infeasible: not one tensor has one; the calibration is that of another network.
    """
    lacking, count = [], 0
    for tensor in _tensors(trt, network):
        scale = found.get(tensor.name)
        if scale is None:
            lacking.append(tensor.name)
        elif _set(tensor, scale * _STEPS):
            count += 1
    if not count:
        raise AgentError(INFEASIBLE, "the calibration is that of another network: not one tensor of this one is in it")
    return lacking


def _set(tensor: Any, most: float) -> bool:
    """From 10.1 on TensorRT warns that this way is old; for int8 on a DLA there is no other until 10.7."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return bool(tensor.set_dynamic_range(-most, most))


def _tensors(trt: Any, network: Any) -> Iterator[Any]:
    """Inputs, and what layers give, as far as they are floating point."""
    for number in range(network.num_inputs):
        yield network.get_input(number)
    for number in range(network.num_layers):
        layer = network.get_layer(number)
        for place in range(layer.num_outputs):
            tensor = layer.get_output(place)  # None for one that the network left out
            if tensor is not None and tensor.dtype in (trt.DataType.FLOAT, trt.DataType.HALF):
                yield tensor
