"""The inputs a quantiser learns its ranges from, read one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader

from explorer.errors import BadInput, Problem
from explorer.passes import Report
from explorer.passes.data import open_dataset

Feed = dict[str, NDArray[np.float32]]

DEFAULT_COUNT = 256
RANDOM = "random numbers, normal: the ranges fit no real data"


@dataclass(frozen=True)
class Calibration:
    """`count` inputs of one sample each; `feed` makes the i-th."""

    count: int
    source: str  # "dataset NAME" or RANDOM
    feed: Callable[[int], Feed]


class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """A calibration as onnxruntime reads it."""

    def __init__(self, calibration: Calibration, progress: Report | None = None) -> None:
        self._calibration, self._progress, self._read = calibration, progress, 0
        self._until = calibration.count

    def __len__(self) -> int:
        return self._calibration.count

    @property
    def stride(self) -> int:
        """How many inputs may be held at once: at most 4, and a divisor of how many there are."""
        return max(size for size in range(1, 5) if len(self) % size == 0)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Read only these next; onnxruntime's word for a stride."""
        self._read, self._until = start_index, end_index

    def get_next(self) -> Feed | None:
        count, index = self._calibration.count, self._read
        if index >= self._until:
            return None
        self._read += 1
        if self._progress is not None:
            self._progress(self._read / count, f"calibrating on input {self._read} of {count}")
        return self._calibration.feed(index)


def calibration_of(model: onnx.ModelProto, params: Mapping[str, Any]) -> Calibration:
    """Inputs from ``params["dataset"]``'s training split, or random ones where no dataset is named.

    Raises:
        BadInput: the data do not fit the model's input, or the model leaves sizes open.
    """
    count = int(params.get("calibration") or DEFAULT_COUNT)
    if count < 1:
        raise BadInput(
            Problem("calibration is a number of inputs", path="calibration", seen=str(count), allowed="1, 2, …")
        )
    shapes = _input_shapes(model, params.get("sample_shape"))
    if params.get("dataset"):
        return _from_dataset(params, shapes, count)
    seed = int(params.get("seed") or 0)

    def feed(index: int) -> Feed:
        rng = np.random.default_rng([seed, index])
        return {name: rng.standard_normal((1, *shape), dtype=np.float32) for name, shape in shapes.items()}

    return Calibration(count, RANDOM, feed)


def _from_dataset(params: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], count: int) -> Calibration:
    samples = np.asarray(open_dataset(params).calibration(count), dtype=np.float32)
    if len(shapes) != 1:
        hint = "a dataset gives one input; leave the dataset out to calibrate on random numbers"
        raise BadInput(Problem("the network has several inputs", seen=", ".join(shapes), hint=hint))
    ((name, shape),) = shapes.items()
    if samples.shape[1:] != shape:
        what = "the dataset's samples do not fit the network's input"
        raise BadInput(Problem(what, seen=str(list(samples.shape[1:])), allowed=f"{name}: {list(shape)}"))
    source = f"dataset {params['dataset']['name']}"
    return Calibration(len(samples), source, lambda index: {name: samples[index : index + 1]})


def _input_shapes(model: onnx.ModelProto, given: Any) -> dict[str, tuple[int, ...]]:
    """Shape of one sample of each input; `given` stands in where the file leaves a size open."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return {value.name: _sample_shape(value, given) for value in model.graph.input if value.name not in stored}


def _sample_shape(value: onnx.ValueInfoProto, given: Any) -> tuple[int, ...]:
    kind = value.type.tensor_type
    if kind.elem_type != onnx.TensorProto.FLOAT:
        seen = onnx.TensorProto.DataType.Name(kind.elem_type)
        raise BadInput(Problem(f"input {value.name!r} cannot be calibrated", seen=seen, allowed="float32"))
    sizes = tuple(int(dim.dim_value) for dim in kind.shape.dim)[1:]
    if all(size > 0 for size in sizes):
        return sizes
    if given is None or len(given) != len(sizes):
        names = [dim.dim_param or str(dim.dim_value) for dim in kind.shape.dim]
        hint = "say the shape of one sample (without the batch) as sample_shape"
        raise BadInput(Problem(f"input {value.name!r} leaves sizes open", seen=f"[{', '.join(names)}]", hint=hint))
    return tuple(int(size) for size in given)
