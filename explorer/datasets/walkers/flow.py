"""Optical flow of a walker, from the limbs' own motion: no images are compared, the true motion is known.

Each pixel belongs to the part drawn last over it; where it moves follows from how that part's two ends move. Then the
flaws of a flow
estimator: blur, noise, and motion found where nothing moves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from explorer.datasets.walkers.camera import Outlines
from explorer.datasets.walkers.silhouettes import capsule

SIZE = 60  # rows and columns
BODY = 50  # pixels from floor to crown
FULL_SCALE = 3.0  # pixels a frame that become 1.0
LEVELS = 127  # steps from 0 to 1, as stored

Flow = NDArray[np.int8]


def draw(now: Outlines, soon: Outlines, rng: np.random.Generator, *, noise: float = 1.0) -> Flow:
    """Flow from each frame of `now` to the same frame of `soon`, [2, frames, 60, 60]: x, then y; ±127 is ±`FULL_SCALE`.

    Args:
        now: the body in each frame.
        soon: the body one frame later.
        rng: for the estimator's flaws.
        noise: amount of flaws; 0 for none.
    """
    origin = np.array([SIZE / 2, SIZE - (SIZE - BODY) / 2])
    a, b, a_soon, b_soon = (points * BODY + origin for points in (now.a, now.b, soon.a, soon.b))
    owners = np.stack([_owners(a[t], b[t], now, t) for t in range(len(a))])
    flow = _motion(owners, a, b, a_soon - a, b_soon - b)
    if noise > 0:
        flow = _estimated(flow, rng, noise)
    stored: Flow = np.clip(np.rint(flow * (LEVELS / FULL_SCALE)), -LEVELS, LEVELS).astype(np.int8)
    return stored


def _owners(a: NDArray[np.float64], b: NDArray[np.float64], now: Outlines, frame: int) -> NDArray[np.uint8]:
    """Which part each pixel shows, counted from 1; 0 is background. Nearer parts cover farther ones."""
    image = Image.new("L", (SIZE, SIZE), 0)
    pen = ImageDraw.Draw(image)
    for part in np.argsort(now.nearness[frame]).tolist():
        radii = now.radius_a[frame, part] * BODY, now.radius_b[frame, part] * BODY
        capsule(pen, a[part].tolist(), b[part].tolist(), *radii, part + 1)
    return np.asarray(image)


def _motion(
    owners: NDArray[np.uint8],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    move_a: NDArray[np.float64],
    move_b: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Motion of each pixel, [2, frames, rows, columns]: that of its part's end a, blending into that of end b
    along the part.
    """
    frame, row, column = np.nonzero(owners)
    part = owners[frame, row, column] - 1
    axis = (b - a)[frame, part]
    offset = np.stack([column, row], 1) - a[frame, part]
    along = np.clip((offset * axis).sum(1) / ((axis**2).sum(1) + 0.25), 0, 1)[:, None]
    flow = np.zeros((2, *owners.shape), np.float32)
    flow[:, frame, row, column] = ((1 - along) * move_a[frame, part] + along * move_b[frame, part]).T
    return flow


def _estimated(flow: NDArray[np.float32], rng: np.random.Generator, noise: float) -> NDArray[np.float32]:
    blurred = flow.copy()
    for axis in (2, 3):
        blurred = (np.roll(blurred, 1, axis) + blurred + np.roll(blurred, -1, axis)) / np.float32(3)
    grain = rng.standard_normal(flow.shape, np.float32)
    moving = np.abs(blurred).max(axis=0) > 0.05
    return np.asarray(blurred + noise * grain * np.where(moving, 0.22, 0.03), np.float32)
