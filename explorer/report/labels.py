"""Labels that keep out of each other's way, and off the points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox, BboxBase
from numpy.typing import NDArray

# Where a label may stand, seen from what it names, in points of type.
_DIRECTIONS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
_OFFSETS = [(d * x, d * y) for d in (10, 18, 30, 45, 65, 90) for x, y in _DIRECTIONS]
_DOT = 6.0  # pixels from the middle of a point that a line should keep away

Points = NDArray[np.float64]  # pixels [n, 2], or one [2]


class Label(NamedTuple):
    """A text that belongs to a point."""

    x: float
    y: float
    text: str


def place(axes: Axes, labels: Iterable[Label]) -> None:
    """Write each label where it, and the line to its point, cover the least of the points and of the labels before it.

    The layout of the figure has to be settled: places are judged in pixels.
    """
    dots = _pixels_of_points(axes)
    taken: list[Bbox] = []
    for label in labels:
        note = _write(axes, label)
        anchor = axes.transData.transform(note.xy)
        others = dots[abs(dots - anchor).max(axis=1) > 1]
        size = Text.get_window_extent(note)
        spots = [_spot(size, anchor, np.array(offset) * note.figure.dpi / 72) for offset in _OFFSETS]
        harms = [_harm(box, anchor, axes.bbox, others, taken) for box in spots]
        chosen = int(np.argmin(harms))
        note.set_position(_OFFSETS[chosen])
        note.set(**_alignment(_OFFSETS[chosen]))
        taken.append(spots[chosen])


def _write(axes: Axes, label: Label) -> Annotation:
    return axes.annotate(
        label.text,
        (label.x, label.y),
        xytext=(0, 0),
        textcoords="offset points",
        fontsize=8.5,
        color="#222222",
        zorder=6,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        arrowprops={"arrowstyle": "-", "color": "#888888", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4},
    )


def _alignment(offset: tuple[float, float]) -> dict[str, str]:
    """The label's edge or corner that faces its point."""
    across = {1: "left", 0: "center", -1: "right"}[int(np.sign(offset[0]))]
    along = {1: "bottom", 0: "center", -1: "top"}[int(np.sign(offset[1]))]
    return {"horizontalalignment": across, "verticalalignment": along}


def _spot(size: BboxBase, anchor: Points, offset: Points) -> Bbox:
    """The pixels that a label of this size covers when its near edge or corner is `offset` pixels from the point."""
    extent = np.array([size.width, size.height])
    low = anchor + offset - extent * (1 - np.sign(offset)) / 2
    return Bbox([low - 3, low + extent + 3])


def _harm(box: Bbox, anchor: Points, frame: BboxBase, dots: Points, taken: Sequence[Bbox]) -> float:
    """What a label at this place would spoil: the frame and other labels most, then points; and it shall be near."""
    outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
    leader = anchor + np.linspace(0, 1, 20)[:, None] * (np.clip(anchor, box.min, box.max) - anchor)
    collisions = sum(box.overlaps(other) or _crosses(leader, other) for other in taken)
    covered = ((dots > box.min) & (dots < box.max)).all(axis=1)
    touched = (abs(dots[:, None] - leader).max(axis=2) < _DOT).any(axis=1)
    length = float(np.hypot(*(leader[-1] - anchor)))
    return float(1000 * (outside + collisions) + 60 * (covered | touched).sum() + length)


def _crosses(leader: Points, box: Bbox) -> bool:
    return bool(((leader > box.min) & (leader < box.max)).all(axis=1).any())


def _pixels_of_points(axes: Axes) -> Points:
    points = [axes.transData.transform(line.get_xydata()) for line in axes.get_lines()]
    return np.concatenate([*points, np.empty((0, 2))])
