"""Where a walker's limbs are at each moment: a body of tapered capsules.

Axes: x the way one walks, y to the left, z up; the origin on the floor below the pelvis. A gait cycle is one phase
turn; at phase 0 the left heel strikes, from 0 to pi the left leg carries, from pi to 2 pi it swings; the right leg is
half a turn behind. The angle curves are smooth stand-ins for the sagittal hip, knee and ankle curves of Winter,
"Biomechanics and Motor Control of Human Movement": hip near a cosine, knee bent most in mid-swing, ankle pushing off
at the end of the carrying phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.datasets.walkers.body import Outfit, Walker

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Capsules:
    """Tapered capsules over time: ends `a` and `b` [frames, parts, 3], radii [parts]."""

    a: Array
    b: Array
    radius_a: Array
    radius_b: Array

    def __len__(self) -> int:
        return len(self.radius_a)


class _Parts:
    """Collects capsules one by one."""

    def __init__(self) -> None:
        self._ends: list[tuple[Array, Array]] = []
        self._radii: list[tuple[float, float]] = []

    def add(self, a: Array, b: Array, radius_a: float, radius_b: float) -> None:
        self._ends.append((a, b))
        self._radii.append((max(radius_a, 0.006), max(radius_b, 0.006)))

    def done(self) -> Capsules:
        radii = np.array(self._radii)
        return Capsules(
            np.stack([a for a, _ in self._ends], 1), np.stack([b for _, b in self._ends], 1), radii[:, 0], radii[:, 1]
        )


def capsules(walker: Walker, phase: Array, *, outfit: Outfit) -> Capsules:
    """The body at each `phase` (radians, [frames])."""
    parts = _Parts()
    legs = [_leg(walker, phase + shift, side) for side, shift in ((1.0, 0.0), (-1.0, np.pi))]
    # The pelvis rides as high as the longer-reaching leg lets it, so that one foot is on the floor.
    pelvis = np.zeros((len(phase), 3))
    pelvis[:, 2] = np.max([-np.minimum(leg[2][:, 2], leg[3][:, 2]) for leg in legs], axis=0) + 0.012
    pelvis[:, 2] += walker.bounce * np.cos(2 * phase)
    pelvis[:, 1] += walker.sway * np.sin(phase)
    for leg in legs:
        _add_leg(parts, walker, [pelvis + joint for joint in leg], outfit)
    chest = pelvis + _tilted(walker.lean, 1 - walker.legs - walker.neck - 2 * walker.head)
    _add_torso(parts, walker, pelvis, chest, phase, outfit)
    _add_head(parts, walker, chest)
    return parts.done()


def _leg(walker: Walker, phase: Array, side: float) -> tuple[Array, Array, Array, Array]:
    """Hip, knee, ankle and toe of one leg, relative to the pelvis."""
    turned = np.mod(phase, 2 * np.pi)
    hip_angle = walker.stride * np.cos(turned) + 0.08
    knee_angle = (
        0.08 + walker.knee * _bump(turned, 1.42 * np.pi, 0.62) + 0.18 * walker.knee * _bump(turned, 0.3 * np.pi, 0.45)
    )
    ankle_angle = (
        0.25 * _bump(turned, 2 * np.pi, 0.5) + 0.25 * _bump(turned, 0, 0.5) - 0.75 * _bump(turned, 1.12 * np.pi, 0.42)
    )
    thigh, shank = walker.legs * walker.thigh_share, walker.legs * (1 - walker.thigh_share)
    hip = _steady(phase, 0, side * 0.8 * walker.hips, 0)
    knee = hip + _swing(hip_angle, thigh, -side * (walker.hips * 0.8 - walker.step_width) * 0.5)
    ankle = knee + _swing(hip_angle - knee_angle, shank, -side * (walker.hips * 0.8 - walker.step_width) * 0.5)
    pitch = np.clip(0.5 * (hip_angle - knee_angle) + ankle_angle, -1.1, 0.5)
    length = 0.8 * walker.foot
    toe = ankle + length * np.stack(
        [np.cos(pitch) * np.cos(walker.toe_out), side * np.cos(pitch) * np.sin(walker.toe_out), np.sin(pitch) - 0.12], 1
    )
    return hip, knee, ankle, toe


def _add_leg(parts: _Parts, walker: Walker, leg: list[Array], outfit: Outfit) -> None:
    hip, knee, ankle, toe = leg
    knee_girth = 0.5 * (walker.thigh_girth + walker.shank_girth)
    parts.add(hip, knee, walker.thigh_girth + 0.012, knee_girth + 0.5 * walker.trousers)
    parts.add(knee, ankle, knee_girth + 0.5 * walker.trousers, 0.6 * walker.shank_girth + walker.trousers)
    parts.add(ankle, toe, 0.022, 0.014)
    if outfit.coat:
        below = hip + (knee - hip) * min(1.0, outfit.coat_length / (walker.legs * walker.thigh_share))
        hem = walker.thigh_girth + outfit.coat + outfit.coat_flare
        parts.add(hip, below, walker.thigh_girth + 0.012 + outfit.coat, hem)


def _add_torso(parts: _Parts, walker: Walker, pelvis: Array, chest: Array, phase: Array, outfit: Outfit) -> None:
    """Trunk as a spine and two flanks, turned at the shoulders against the hips; arms hang from it."""
    turn = walker.twist * np.cos(phase)
    across = np.stack([np.sin(turn), np.cos(turn), np.zeros_like(turn)], 1)  # towards the left shoulder
    waist = 0.55 * pelvis + 0.45 * chest
    coat, depth = outfit.coat, walker.depth
    parts.add(pelvis, chest, walker.belly + coat, 0.9 * depth + coat)
    parts.add(waist + [0.015, 0, 0], pelvis + [0.008, 0, 0.02], walker.belly + coat, 0.9 * walker.belly + coat)
    for side in (1.0, -1.0):
        shoulder = chest + side * walker.shoulders * across - [0, 0, 0.02]
        flank = waist + side * (0.25 * walker.shoulders + 0.25 * walker.hips) * across
        hip = pelvis + [0, side * 0.6 * walker.hips, 0]
        parts.add(
            chest + side * 0.6 * walker.shoulders * across - [0, 0, 0.03],
            flank,
            0.75 * depth + coat,
            0.8 * depth + coat,
        )
        parts.add(flank, hip, 0.8 * depth + coat, 0.85 * depth + coat)
        parts.add(chest, shoulder, 0.035 + 0.5 * coat, walker.arm_girth + 0.010 + coat)
        _add_arm(parts, walker, shoulder, phase + (np.pi if side > 0 else 0.0), side, outfit)
    if outfit.backpack:
        behind = [-depth - 0.75 * outfit.backpack, 0, -0.05]
        parts.add(chest + behind, waist + behind, outfit.backpack, 1.1 * outfit.backpack)


def _add_arm(parts: _Parts, walker: Walker, shoulder: Array, phase: Array, side: float, outfit: Outfit) -> None:
    loaded = bool(outfit.handbag) and side < 0
    swing = walker.arm_swing * (0.35 if loaded else 1.0)
    angle = walker.arm_offset + swing * np.cos(phase)
    bend = (0.1 if loaded else walker.elbow) * (1 + 0.4 * np.cos(phase))
    upper, fore = 0.47 * walker.arms, 0.43 * walker.arms
    elbow = shoulder + _swing(angle, upper, side * upper * np.sin(walker.arm_spread))
    wrist = elbow + _swing(angle + bend, fore, side * fore * 0.3 * np.sin(walker.arm_spread))
    hand = wrist + 0.12 * (wrist - elbow)
    parts.add(shoulder, elbow, walker.arm_girth + 0.006 + outfit.coat, walker.arm_girth + 0.7 * outfit.coat)
    parts.add(elbow, wrist, walker.arm_girth + 0.7 * outfit.coat, 0.75 * walker.arm_girth + 0.5 * outfit.coat)
    parts.add(wrist, hand, 0.018, 0.014)
    if loaded:
        bag = hand - [0, 0, outfit.bag_drop + outfit.handbag]
        parts.add(
            bag - [0.4 * outfit.handbag, 0, 0], bag + [0.4 * outfit.handbag, 0, 0], outfit.handbag, outfit.handbag
        )


def _add_head(parts: _Parts, walker: Walker, chest: Array) -> None:
    base = chest + [walker.head_forward, 0, walker.neck]
    chin = base + [0.5 * walker.head_forward + 0.008, 0, 0.55 * walker.head]
    crown = chin + [0, 0, 0.62 * walker.head]
    parts.add(chest, chin, 0.034, 0.030)
    parts.add(chin, crown, 0.78 * walker.head, 0.92 * walker.head)
    parts.add(crown + [-0.012, 0, walker.hair_top], crown + [-0.022, 0, 0], 0.9 * walker.head, 0.92 * walker.head)
    if walker.hair_length > 0:
        behind = crown + [-0.55 * walker.head, 0, 0]
        parts.add(
            behind, behind - [0.01, 0, walker.hair_length + 0.5 * walker.head], walker.hair_girth, walker.hair_girth
        )


def _swing(angle: Array, length: float, sideways: float) -> Array:
    """A segment hanging at `angle` forward of straight down, whose end lies `sideways` to the left."""
    return np.stack([length * np.sin(angle), np.full_like(angle, sideways), -length * np.cos(angle)], 1)


def _tilted(lean: float, length: float) -> Array:
    return length * np.array([np.sin(lean), 0.0, np.cos(lean)])


def _steady(phase: Array, x: float, y: float, z: float) -> Array:
    return np.broadcast_to(np.array([x, y, z]), (len(phase), 3))


def _bump(phase: Array, centre: float, width: float) -> Array:
    """A bell around `centre`, 1 at its top; not wrapped, so the caller adds the one at the turn's other end."""
    return np.exp(-(((phase - centre) / width) ** 2))
