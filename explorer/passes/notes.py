"""What an ONNX file tells the board that builds it, in its metadata_props.

The keys are those that the agent's TensorRT runtime reads; it imports nothing of the host, nor the host of it.
"""

from __future__ import annotations

import onnx

# The scales of an int8 network without QuantizeLinear, in the format of TensorRT's calibration cache.
CALIBRATION = "explorer.calibration"
# "strong": the types in the file are its precisions, also where TensorRT would choose.
TYPING = "explorer.typing"


def write(model: onnx.ModelProto, key: str, text: str) -> None:
    """Set the note `key`, in the place of an older one."""
    kept = [entry for entry in model.metadata_props if entry.key != key]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=key, value=text)


def read(model: onnx.ModelProto, key: str) -> str | None:
    """The note `key`, or None."""
    return next((entry.value for entry in model.metadata_props if entry.key == key), None)
