"""Silhouettes of a walker as a segmenter would give them: drawn, then damaged.

The flaws: an outline that is a little too fat or too thin, holes, limbs bitten off at the edge, specks of shadow near
the floor, and now and then something that stands in front of the walker.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from explorer.datasets.walkers.camera import Outlines

Pixels = NDArray[np.uint8]


def draw(
    outlines: Outlines,
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = (112, 112),
    height: int = 88,
    noise: float = 1.0,
) -> Pixels:
    """Silhouettes, 0 or 255, [frames, rows, columns].

    Args:
        outlines: the body in each frame.
        rng: for the segmenter's flaws.
        size: rows and columns of the image.
        height: pixels from floor to crown of somebody of average build.
        noise: amount of flaws; 0 for none.
    """
    rows, columns = size
    origin = np.array([columns / 2, rows - (rows - height) / 2])
    a, b = outlines.a * height + origin, outlines.b * height + origin
    fatter = noise * 0.004 * height * rng.standard_normal()
    radii = [np.maximum(radius * height + fatter, 0.5) for radius in (outlines.radius_a, outlines.radius_b)]
    frames = range(len(a))
    return np.stack([_frame(size, a[t], b[t], radii[0][t], radii[1][t], rng, noise * height) for t in frames])


def _frame(
    size: tuple[int, int],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    radius_a: NDArray[np.float64],
    radius_b: NDArray[np.float64],
    rng: np.random.Generator,
    flaws: float,
) -> Pixels:
    image = Image.new("L", size[::-1], 0)
    pen = ImageDraw.Draw(image)
    for start, end, thick, thin in zip(a.tolist(), b.tolist(), radius_a.tolist(), radius_b.tolist(), strict=True):
        capsule(pen, start, end, thick, thin, 255)
    if flaws > 0:
        _damage(pen, a, b, rng, flaws)
    return np.asarray(image)


def capsule(
    pen: ImageDraw.ImageDraw, a: list[float], b: list[float], radius_a: float, radius_b: float, ink: int
) -> None:
    """Fill a tapered capsule: two discs and the quadrilateral between them."""
    (ax, ay), (bx, by) = a, b
    length = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5
    pen.ellipse((ax - radius_a, ay - radius_a, ax + radius_a, ay + radius_a), fill=ink)
    pen.ellipse((bx - radius_b, by - radius_b, bx + radius_b, by + radius_b), fill=ink)
    if length > 0.5:
        nx, ny = (by - ay) / length, (ax - bx) / length
        corners = [
            (ax + radius_a * nx, ay + radius_a * ny),
            (bx + radius_b * nx, by + radius_b * ny),
            (bx - radius_b * nx, by - radius_b * ny),
            (ax - radius_a * nx, ay - radius_a * ny),
        ]
        pen.polygon(corners, fill=ink)


def _damage(
    pen: ImageDraw.ImageDraw, a: NDArray[np.float64], b: NDArray[np.float64], rng: np.random.Generator, flaws: float
) -> None:
    """Holes along the limbs, specks near the feet, and in one frame of twelve a bar in front of the body."""
    low, high = np.minimum(a, b).min(axis=0), np.maximum(a, b).max(axis=0)
    for part, along in zip(rng.integers(len(a), size=rng.poisson(2.5)), rng.random(9), strict=False):
        x, y = a[part] + along * (b[part] - a[part]) + rng.normal(0, 0.025 * flaws, 2)
        _blob(pen, float(x), float(y), rng.uniform(0.008, 0.035, 2) * flaws, 0)
    for _ in range(rng.poisson(0.7)):
        x, y = rng.uniform(low[0], high[0]), high[1] - abs(rng.normal(0, 0.05)) * flaws
        _blob(pen, float(x), float(y), rng.uniform(0.006, 0.022, 2) * flaws, 255)
    if rng.random() < 1 / 12:
        x, width = rng.uniform(low[0], high[0]), rng.uniform(0.02, 0.07) * flaws
        pen.rectangle((float(x), 0, float(x + width), float(rng.uniform(low[1], high[1]))), fill=0)


def _blob(pen: ImageDraw.ImageDraw, x: float, y: float, radii: NDArray[np.float64], ink: int) -> None:
    pen.ellipse((x - radii[0], y - radii[1], x + radii[0], y + radii[1]), fill=ink)
