"""A checkpoint's outputs in fp32, as PyTorch computes them: the reference without any engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from explorer.models import checkpoint


def outputs(
    weights: Path, inputs: NDArray[np.float32], *, batch: int, search: Path | None = None
) -> NDArray[np.float32]:
    """The network's outputs for `inputs`.

    Args:
        weights: a checkpoint.
        inputs: shape [M, *sample_shape].
        batch: samples computed at once.
        search: folder in which the user's own modules are looked for.

    Returns:
        Shape [M, *output_shape].

    Raises:
        BadInput: the checkpoint cannot be used.
    """
    module, _ = checkpoint.load(weights, search=search)
    with torch.inference_mode():
        parts = [module(part) for part in torch.from_numpy(np.ascontiguousarray(inputs)).split(batch)]
    return torch.cat(parts).numpy()
