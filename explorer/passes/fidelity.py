"""How far the outputs of a rewritten network are from those of the network it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from explorer.errors import JobFailed
from explorer.passes.calibration import Calibration

_CHECKED_SAMPLES = 8


def sqnr_db(model: Path | bytes, rewritten: Path | bytes, calibration: Calibration) -> float | None:
    """Signal to noise of the first output, in arithmetic that follows the file to the letter.

    Returns:
        decibels; None when the two agree to the last bit.

    Raises:
        JobFailed: `rewritten` does not load, or gives no finite numbers.
    """
    before, after = exact(model), exact(rewritten)
    signal = noise = 0.0
    for index in range(min(_CHECKED_SAMPLES, calibration.count)):
        feed = calibration.feed(index)
        expected, got = before.run(None, feed)[0], after.run(None, feed)[0]
        if not np.isfinite(got).all():
            raise JobFailed(f"the rewritten network gives numbers that are not finite on calibration input {index}")
        signal += float(np.square(expected, dtype=np.float64).sum())
        noise += float(np.square(expected - got, dtype=np.float64).sum())
    return 10 * float(np.log10(signal / noise)) if noise > 0 and signal > 0 else None


def exact(model: Path | bytes) -> onnxruntime.InferenceSession:
    """A session that fuses nothing: what is written is computed as it is written, the same on every CPU.

    Raises:
        JobFailed: ONNX Runtime does not take the file.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise JobFailed(f"the rewritten network does not load: {error}"[:500]) from error
