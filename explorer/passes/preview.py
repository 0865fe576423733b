"""What a network is worth on this host: scored on a part of the test inputs, before a board has built anything.

    network ──► preview ──► the same network, to the byte, and what was counted of its answers

ONNX Runtime computes what is written in the file, to the letter. A board may compute it otherwise (its own kernels,
fp16 where the file says fp32): close, not equal, and no figure of a complete trial comes from here.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from explorer.datasets.protocols import Dataset, Subsetting, Tallying
from explorer.errors import JobFailed
from explorer.passes import Report
from explorer.passes.data import open_dataset
from explorer.passes.fidelity import exact
from explorer.passes.threads import frugal_sessions
from explorer.result import Metric
from explorer.tally import Tally

# A board that waits for longer is worth more than what is learnt here.
MOST_S = 60.0
_BATCH = 16

Answers = NDArray[Any] | dict[str, NDArray[Any]]


def run(
    inputs: Mapping[str, Path], params: Mapping[str, Any], out: Path, *, progress: Report | None = None
) -> dict[str, Any]:
    """Score ``inputs["onnx"]``, and hand it on.

    Args:
        inputs: ``onnx``.
        params: ``dataset`` {name, options}, which is `Subsetting`; ``samples``: about how many test inputs to take;
            optional ``search`` as in `explorer.passes.quantise`.
        out: becomes the same file.
        progress: told the fraction of the inputs run.

    Returns:
        ``samples``: how many were taken; ``scores``: metric → tally or metric as plain JSON. Or ``why_not``: what
        cannot be scored on this host may well run on a board.
    """
    shutil.copyfile(inputs["onnx"], out)
    dataset = open_dataset(params)
    assert isinstance(dataset, Subsetting)  # none else is asked
    part = dataset.subset(int(params["samples"]))
    samples = part.evaluation()
    try:
        with frugal_sessions():
            outputs = _outputs(exact(inputs["onnx"]), samples, progress)
        return {"samples": len(samples), "scores": _scores(part, outputs)}
    except Exception as error:  # noqa: BLE001  whatever it is says nothing of the board
        return {"why_not": f"not on this host: {type(error).__name__}: {error}"[:300]}


def _scores(dataset: Dataset, outputs: Any) -> dict[str, Any]:
    counted = dataset.tallies(outputs) if isinstance(dataset, Tallying) else {}
    scores: dict[str, Metric | Tally] = {**dataset.score(outputs), **counted}
    return {name: told.to_json() for name, told in scores.items()}


def _outputs(session: InferenceSession, samples: NDArray[Any], progress: Report | None) -> Answers:
    """What the network answers; an array, or several by name.

    Raises:
        JobFailed: all of it would take longer than `MOST_S`.
    """
    names = [output.name for output in session.get_outputs()]
    parts: list[list[NDArray[Any]]] = []
    began = time.perf_counter()
    for done, answers in _answers(session, samples):
        parts.append(answers)
        expected_s = (time.perf_counter() - began) / done * len(samples)
        if expected_s > MOST_S:
            raise JobFailed(f"it would take {expected_s:.0f} s on this host for {len(samples)} samples")
        if progress is not None:
            progress(done / len(samples), f"answering {done} of {len(samples)}")
    whole = [np.concatenate(each)[: len(samples)] for each in zip(*parts, strict=True)]
    return whole[0] if len(whole) == 1 else dict(zip(names, whole, strict=True))


def _answers(session: InferenceSession, samples: NDArray[Any]) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    """Batch by batch, with how many samples are done; the last one is filled up, as a file's batch may be fixed."""
    asked = session.get_inputs()[0]
    size = asked.shape[0] if isinstance(asked.shape[0], int) else _BATCH
    for begin in range(0, len(samples), size):
        batch = samples[begin : begin + size]
        filled = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        yield begin + len(batch), session.run(None, {asked.name: filled})
