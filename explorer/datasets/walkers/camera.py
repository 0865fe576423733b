"""From capsules in space to capsules in an image: eleven cameras around the walker, as in CASIA-B.

View 0 is seen from the front, 90 from the walker's left, 180 from behind. The cameras stand a few body heights away,
so that what is nearer looks a little larger: the view from behind is no mirror image of the one from the front.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from explorer.datasets.walkers.gait import Array, Capsules

VIEWS = (0, 18, 36, 54, 72, 90, 108, 126, 144, 162, 180)
DISTANCE = 4.0  # body heights from camera to walker
EYE_HEIGHT = 0.75  # of the camera, in body heights


@dataclass(frozen=True)
class Outlines:
    """Tapered capsules in image coordinates (x to the right, y DOWN, in body heights; 0, 0 on the floor below the
    walker).

    `a` and `b` are [frames, parts, 2], `radius_a` and `radius_b` [frames, parts]; `nearness` [frames, parts] grows
    towards the camera.
    """

    a: Array
    b: Array
    radius_a: Array
    radius_b: Array
    nearness: Array


def project(body: Capsules, view: float, *, tilt: float = 0.0, distance: float = DISTANCE) -> Outlines:
    """What the camera at `view` degrees sees.

    Args:
        body: capsules in space.
        view: azimuth of the camera around the walker, degrees.
        tilt: roll of the camera, radians.
        distance: body heights from camera to walker.
    """
    (a, near_a, scale_a), (b, near_b, scale_b) = (_project(p, view, tilt, distance) for p in (body.a, body.b))
    return Outlines(a, b, body.radius_a * scale_a, body.radius_b * scale_b, (near_a + near_b) / 2)


def follow(now: Outlines, soon: Outlines) -> Outlines:
    """`soon` as seen by a crop that moves along with the walker: in the mean over all parts nothing has moved."""
    drift = ((soon.a - now.a) + (soon.b - now.b)).mean(axis=1, keepdims=True) / 2
    return replace(soon, a=soon.a - drift, b=soon.b - drift)


def _project(points: Array, view: float, tilt: float, distance: float) -> tuple[Array, Array, Array]:
    theta = np.deg2rad(view)
    right = -np.sin(theta) * points[..., 0] + np.cos(theta) * points[..., 1]
    near = np.cos(theta) * points[..., 0] + np.sin(theta) * points[..., 1]
    scale = distance / (distance - near)
    x, y = right * scale, -((points[..., 2] - EYE_HEIGHT) * scale + EYE_HEIGHT)
    rolled = np.stack([np.cos(tilt) * x - np.sin(tilt) * y, np.sin(tilt) * x + np.cos(tilt) * y], -1)
    return rolled, near, scale
