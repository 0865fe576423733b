"""From a segmented frame to what a gait network sees: cropped, scaled to 64 rows, centred, cut to 44 columns.

The steps are GaitSet's (and OpenGait's): drop frames with hardly any pixels; crop to the rows that hold some; scale
to 64 rows with cubic interpolation; take 32 columns to each side of the column that halves the silhouette's mass. At
load 10 columns are cut off each side.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

HEIGHT, WIDTH, MARGIN = 64, 64, 10
LEAST_SUM = 10_000  # about 40 white pixels
CUBIC = -0.75  # the kernel's free parameter; OpenCV's choice, which the published results were made with


def pretreat(frame: Pixels) -> Pixels | None:
    """One frame [rows, columns] to [64, 64]; None when it holds too little to be anybody."""
    if int(frame.sum(dtype=np.int64)) <= LEAST_SUM:
        return None
    filled = np.flatnonzero(frame.any(axis=1))
    scaled = _scale(frame[filled[0] : filled[-1] + 1])
    mass = scaled.sum(axis=0, dtype=np.int64).cumsum()
    if not mass[-1]:
        return None
    centre = int(np.argmax(mass > mass[-1] / 2))
    half = WIDTH // 2
    if centre < half or centre + half > scaled.shape[1]:
        scaled, centre = np.pad(scaled, ((0, 0), (half, half))), centre + half
    return scaled[:, centre - half : centre + half]


def pretreat_all(frames: NDArray[np.uint8]) -> Pixels:
    """The frames [n, rows, columns] that hold somebody, [≤ n, 64, 64]."""
    treated = [done for frame in frames if (done := pretreat(frame)) is not None]
    return np.stack(treated) if treated else np.zeros((0, HEIGHT, WIDTH), np.uint8)


def cut(frames: Pixels) -> Pixels:
    """[..., 64, 64] to [..., 64, 44]: what the network takes, before division by 255."""
    return frames[..., MARGIN:-MARGIN]


def _scale(frame: Pixels) -> Pixels:
    """Scale to 64 rows, keeping the aspect ratio."""
    rows, columns = frame.shape
    tall = _resampled(frame.astype(np.float64), HEIGHT)
    scaled = _resampled(tall.T, max(1, columns * HEIGHT // rows)).T
    pixels: Pixels = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return pixels


def _resampled(lines: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """`count` lines by cubic interpolation between four neighbours, pixel centres aligned, edges repeated.

    As OpenCV's INTER_CUBIC: shrinking does not widen the kernel.
    """
    neighbours, weights = _taps(count, len(lines))
    return np.asarray(sum(weight[:, None] * lines[near] for near, weight in zip(neighbours, weights, strict=True)))


@lru_cache(maxsize=4096)
def _taps(out: int, into: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each of `out` lines the four nearest of `into` lines and their weights, [4, out] both."""
    at = (np.arange(out) + 0.5) * into / out - 0.5
    nearest = np.floor(at) + np.arange(-1, 3)[:, None]
    return np.clip(nearest, 0, into - 1).astype(np.int64), _kernel(np.abs(at - nearest))


def _kernel(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
