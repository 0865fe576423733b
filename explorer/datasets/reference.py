"""The data of a network that comes as a bare ONNX file: seeded random inputs, judged by the network's own fp32 outputs.

Nothing is known of such a network's task, so there is no accuracy; what can be said is how far a deployment strays
from the original: ``output_error``, the root mean square of the difference over that of the fp32 outputs (0:
identical, 1: as wrong as all zeros).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.artifacts import sha256_of
from explorer.datasets.protocols import Floats, Samples
from explorer.errors import BadInput, Problem
from explorer.result import Metric
from explorer.tally import Tally

COUNT = 256
SEED = 0


class FloatReference:
    """Random inputs of an ONNX file and its own fp32 outputs for them, as computed by ONNX Runtime on this machine.

    Args:
        onnx: a network with one float32 input; its first axis is the batch, the others are fixed.

    Raises:
        BadInput: the network has several inputs, or an axis besides the batch is open.
    """

    def __init__(self, onnx: Path) -> None:
        self._onnx = onnx
        self._input, self._shape = _only_input(onnx)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def classes(self) -> int:
        return 0

    def training(self) -> Samples:
        raise BadInput(Problem("an ONNX file cannot be trained", file=self._onnx, hint="give the torch module instead"))

    def calibration(self, count: int) -> Floats:
        return self._random(count, SEED + 1)

    def evaluation(self) -> Floats:
        return self._random(COUNT, SEED)

    def tallies(self, outputs: Floats | Mapping[str, Floats]) -> dict[str, Tally]:
        """Squared errors and squared sizes of all outputs, input by input."""
        several = outputs.values() if isinstance(outputs, Mapping) else [outputs]
        wrong = ((_rows(several) - self._wanted) ** 2).sum(axis=1)
        return {"output_error": Tally("rms", wrong[:, None], (self._wanted**2).sum(axis=1)[:, None])}

    def score(self, outputs: Floats | Mapping[str, Floats]) -> dict[str, Metric]:
        """``output_error`` over all outputs, with a 95 % bootstrap interval over the inputs."""
        return {name: tally.metric() for name, tally in self.tallies(outputs).items()}

    def fingerprint(self) -> str:
        return f"float-reference {COUNT} {SEED} {sha256_of(self._onnx)}"

    def _random(self, count: int, seed: int) -> Floats:
        return np.random.default_rng(seed).standard_normal((count, *self._shape), dtype=np.float32)

    @cached_property
    def _wanted(self) -> NDArray[np.float64]:
        from onnxruntime import InferenceSession

        session = InferenceSession(str(self._onnx), providers=["CPUExecutionProvider"])
        size = session.get_inputs()[0].shape[0]
        step = size if isinstance(size, int) else 32
        inputs = self.evaluation()
        starts = range(0, COUNT, step)
        parts = [_rows(session.run(None, {self._input: _padded(inputs[i : i + step], step)})) for i in starts]
        return np.concatenate(parts)[:COUNT]


def _rows(outputs: Iterable[NDArray[Any]]) -> NDArray[np.float64]:
    """Several outputs as one row a sample."""
    return np.concatenate([output.reshape(len(output), -1).astype(np.float64) for output in outputs], axis=1)


def _padded(inputs: Floats, size: int) -> Floats:
    """The inputs with the last one repeated until there are `size`, for networks of a fixed batch."""
    missing = size - len(inputs)
    return np.concatenate([inputs, np.repeat(inputs[-1:], missing, axis=0)]) if missing else inputs


def _only_input(onnx: Path) -> tuple[str, tuple[int, ...]]:
    from onnx import TensorProto, load

    graph = load(onnx, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        seen = ", ".join(value.name for value in inputs) or "none"
        raise BadInput(Problem("without a dataset, a network needs exactly one float32 input", file=onnx, seen=seen))
    axes = inputs[0].type.tensor_type.shape.dim
    shape = tuple(axis.dim_value for axis in axes[1:])
    if not axes or any(size < 1 for size in shape):
        seen = " × ".join(axis.dim_param or str(axis.dim_value) for axis in axes)
        raise BadInput(Problem("every axis of the input but the first must have a fixed size", file=onnx, seen=seen))
    return inputs[0].name, shape
