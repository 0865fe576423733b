"""Who a walker is: proportions and manner of walking; how one walk differs from the next; what is carried and worn.

Lengths are fractions of the body's height, angles radians. A silhouette is scaled to one height before anybody looks
at it, so that only proportions tell people apart, never how tall they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

Condition = Literal["nm", "bg", "cl"]
CONDITIONS: tuple[Condition, ...] = ("nm", "bg", "cl")

# Trait → (middle, half range) over the population. Means are those of adults: anthropometric tables give
# a shoulder width of 0.26, a hip width of 0.19, legs of 0.53 and a head of 0.13 of the height.
TRAITS: Mapping[str, tuple[float, float]] = {
    "legs": (0.510, 0.030),
    "thigh_share": (0.520, 0.025),
    "head": (0.066, 0.012),
    "neck": (0.050, 0.020),
    "shoulders": (0.118, 0.024),
    "hips": (0.088, 0.018),
    "depth": (0.062, 0.018),
    "belly": (0.066, 0.022),
    "arms": (0.330, 0.025),
    "arm_girth": (0.024, 0.007),
    "thigh_girth": (0.047, 0.013),
    "shank_girth": (0.031, 0.010),
    "trousers": (0.006, 0.012),
    "foot": (0.115, 0.018),
    "hair_top": (0.012, 0.014),
    "hair_length": (0.075, 0.080),
    "hair_girth": (0.034, 0.016),
    "stride": (0.420, 0.110),
    "knee": (0.950, 0.200),
    "bounce": (0.012, 0.008),
    "sway": (0.012, 0.010),
    "arm_swing": (0.420, 0.300),
    "arm_offset": (0.000, 0.140),
    "elbow": (0.350, 0.300),
    "arm_spread": (0.130, 0.110),
    "lean": (0.050, 0.090),
    "head_forward": (0.020, 0.030),
    "twist": (0.140, 0.120),
    "toe_out": (0.120, 0.180),
    "step_width": (0.040, 0.030),
    "cadence": (0.950, 0.120),
}


@dataclass(frozen=True)
class Walker:
    """One person's traits; see `TRAITS` for their ranges. `cadence` is strides (two steps) a second."""

    legs: float
    thigh_share: float
    head: float
    neck: float
    shoulders: float
    hips: float
    depth: float
    belly: float
    arms: float
    arm_girth: float
    thigh_girth: float
    shank_girth: float
    trousers: float
    foot: float
    hair_top: float
    hair_length: float
    hair_girth: float
    stride: float
    knee: float
    bounce: float
    sway: float
    arm_swing: float
    arm_offset: float
    elbow: float
    arm_spread: float
    lean: float
    head_forward: float
    twist: float
    toe_out: float
    step_width: float
    cadence: float

    @classmethod
    def born(cls, rng: np.random.Generator) -> Walker:
        """Somebody of the population, every trait drawn evenly from its range."""
        return cls(**{name: middle + half * rng.uniform(-1, 1) for name, (middle, half) in TRAITS.items()})

    def on_a_day(self, rng: np.random.Generator, amount: float) -> Walker:
        """The same person in another walk: every trait moved by a normal deviate of `amount` half ranges."""
        moved = {
            field.name: getattr(self, field.name) + amount * TRAITS[field.name][1] * rng.standard_normal()
            for field in fields(self)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Outfit:
    """What changes the outline without being the person. Lengths as for `Walker`; 0 where there is none."""

    coat: float = 0.0  # thickness of the cloth around torso and arms
    coat_length: float = 0.0  # how far it hangs below the hips
    coat_flare: float = 0.0  # how much wider the hem is
    backpack: float = 0.0  # radius
    handbag: float = 0.0  # radius
    bag_drop: float = 0.0  # how far the handbag hangs below the hand


def outfit(condition: Condition, rng: np.random.Generator) -> Outfit:
    """What is worn or carried in one walk: nothing (nm), a backpack or a bag in the hand (bg), a coat (cl)."""
    match condition:
        case "nm":
            return Outfit()
        case "bg" if rng.random() < 0.5:
            return Outfit(backpack=rng.uniform(0.055, 0.085))
        case "bg":
            return Outfit(handbag=rng.uniform(0.045, 0.070), bag_drop=rng.uniform(0.03, 0.09))
        case _:
            return Outfit(
                coat=rng.uniform(0.012, 0.024),
                coat_length=rng.uniform(0.06, 0.24),
                coat_flare=rng.uniform(0.005, 0.030),
            )
