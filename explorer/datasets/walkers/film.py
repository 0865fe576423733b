"""One sequence of one person: the same words give the same pixels."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from explorer.datasets.pretreatment import cut, pretreat_all
from explorer.datasets.protocol import Walk
from explorer.datasets.walkers import flow, silhouettes
from explorer.datasets.walkers.body import CONDITIONS, Condition, Walker, outfit
from explorer.datasets.walkers.camera import DISTANCE, follow, project
from explorer.datasets.walkers.gait import capsules
from explorer.datasets.walkers.options import Options

# Counts every change of the pixels. 1: first. 2: days differ less.
GENERATOR = 2
FRAME_S = 1 / 25

# The splits are different people.
TRAIN, TEST = 0, 1

# How much one person's walks differ, in half ranges of the population's traits: the scale of the difficulty.
DAY_TO_DAY = 0.14


def film(walk: Walk, split: int, frames: int, options: Options) -> NDArray[Any]:
    """One sequence: silhouettes [frames, 64, 44] uint8, or flow [2, frames, 60, 60] int8.

    Who walks depends on seed, split and subject; the walk on its kind too; the camera's flaws also on the view. So
    all views show the same walk, and more subjects or views leave those that are there as they are.
    """
    condition = cast(Condition, walk.condition)
    person = (options.seed, split, walk.subject)
    day = (*person, CONDITIONS.index(condition), int(walk.kind[-2:]))
    by_day, by_camera = np.random.default_rng(day), np.random.default_rng((*day, walk.view))
    walker = Walker.born(np.random.default_rng(person)).on_a_day(by_day, options.noise * DAY_TO_DAY)
    worn = outfit(condition, by_day)
    turn = 2 * np.pi * walker.cadence * FRAME_S  # phase a frame at 25 frames a second
    start = by_camera.uniform(0, 2 * np.pi)
    view = walk.view + options.noise * by_camera.normal(0, 2.0)
    camera = {"tilt": options.noise * by_camera.normal(0, 0.012), "distance": DISTANCE * by_camera.uniform(0.85, 1.15)}
    if options.flows:
        phase = start + turn * np.arange(frames + 1, dtype=np.float64)
        seen = [project(capsules(walker, part, outfit=worn), view, **camera) for part in (phase[:-1], phase[1:])]
        return flow.draw(seen[0], follow(*seen), by_camera, noise=options.noise)
    phase = start + 2 * np.pi * np.arange(frames, dtype=np.float64) / frames
    phase += options.noise * by_camera.normal(0, 0.1, frames)
    seen_now = project(capsules(walker, phase, outfit=worn), view, **camera)
    return cut(pretreat_all(silhouettes.draw(seen_now, by_camera, noise=options.noise)))
