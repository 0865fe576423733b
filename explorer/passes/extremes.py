"""The largest magnitude that each tensor of a network reaches on calibration inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from explorer.passes import Report
from explorer.passes.calibration import Calibration
from explorer.passes.fidelity import exact
from explorer.passes.graphs import FLOAT


def extremes(
    model: onnx.ModelProto, names: Sequence[str], calibration: Calibration, *, progress: Report | None = None
) -> dict[str, float]:
    """Run the network in fp32 and watch.

    Args:
        model: in fp32; it stays as it is.
        names: the tensors to watch; inputs and whatever nodes give.
        calibration: the inputs.
        progress: told the fraction done.

    Returns:
        name → the largest magnitude seen, in the order of `names`; infinity where a value was not finite.
    """
    found = dict.fromkeys(names, 0.0)
    given = {value.name for value in model.graph.input}
    watched = [name for name in names if name not in given]
    session = exact(_watching(model, watched).SerializeToString())
    for index in range(calibration.count):
        feed = calibration.feed(index)
        values = zip(watched, session.run(watched, feed), strict=True) if watched else ()
        for name, value in (*feed.items(), *values):
            if name in found and value.size:
                most = float(np.abs(value).max())
                found[name] = max(found[name], most if np.isfinite(most) else np.inf)
        if progress is not None:
            done = index + 1
            progress(done / calibration.count, f"measuring on input {done} of {calibration.count}")
    return found


def _watching(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """The model with `names` among its outputs."""
    watching = onnx.ModelProto()
    watching.CopyFrom(model)
    shown = {value.name for value in watching.graph.output}
    watching.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, FLOAT, None) for name in names if name not in shown
    )
    return watching
