# SPDX-License-Identifier: GPL-3.0-or-later
"""Four-legged animals of several builds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .motion import Actor, Rng, direction, travel
from .shapes import Part, ball, between, capsule, placed

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class _Build:
    """Metres at the withers, from and to; everything else as parts of that height."""

    height: tuple[float, float]
    half: float  # of the body's length
    body: float  # radius
    leg: float  # radius
    neck: tuple[float, float]  # forward and up
    neck_radius: float
    skull: float
    muzzle: float  # its length
    ear: tuple[float, float]  # length and radius
    tail: tuple[float, float, float]  # back, up and radius
    mane: bool = False


BUILDS = {
    "dog": _Build((0.5, 0.8), 0.45, 0.17, 0.055, (0.20, 0.22), 0.10, 0.13, 0.22, (0.14, 0.05), (0.35, 0.22, 0.035)),
    "fox": _Build((0.45, 0.6), 0.52, 0.15, 0.045, (0.20, 0.16), 0.09, 0.13, 0.26, (0.22, 0.055), (0.70, -0.08, 0.11)),
    "horse": _Build((1.3, 1.6), 0.48, 0.17, 0.050, (0.28, 0.42), 0.10, 0.09, 0.26, (0.10, 0.025), (0.14, -0.42, 0.05), True),
    "cat": _Build((0.35, 0.5), 0.55, 0.16, 0.050, (0.14, 0.16), 0.10, 0.17, 0.10, (0.14, 0.06), (0.25, 0.60, 0.04)),
}


class _Rig:
    """Turns what stands about the origin and faces +Y into moving parts of one actor."""

    def __init__(self, path: Floats, yaw: Floats, size: float, index: int) -> None:
        self.frame, self.size, self.index = placed(path, yaw), size, index

    def at(self, x: float, y: float, z: float) -> Floats:
        """(F, 3) of a point that stays, in parts of the size."""
        return np.tile(np.array([x, y, z], float) * self.size, (len(self.frame), 1))

    def limb(self, a: Floats, b: Floats, radius: float, slot: str, taper: float = 0.8) -> Part:
        """A capsule from a to b (F, 3), of a radius in parts of the size."""
        ends = [np.einsum("fij,fj->fi", self.frame[:, :3, :3], p) + self.frame[:, :3, 3] for p in (a, b)]
        mesh = capsule(radius * self.size, float(np.linalg.norm(b[0] - a[0])), taper)
        return Part(mesh, slot, "plain", self.index, between(*ends))


def _legs(rig: _Rig, build: _Build, phase: Floats, stride: float) -> list[Part]:
    """Two segments each; diagonal pairs swing together, as in a trot."""
    parts, hip = [], 1.0 - 1.1 * build.body
    for x, y, start in ((1, 1, 0.0), (-1, 1, np.pi), (1, -1, np.pi), (-1, -1, 0.0)):
        swing = stride * np.sin(phase + start)
        bend = stride * 0.9 * np.maximum(0, np.sin(phase + start - 1.2)) + 0.05
        top = rig.at(x * 0.55 * build.body, y * (build.half - 0.05), hip)
        knee = top + 0.5 * hip * rig.size * direction(swing, 0.0)
        foot = knee + 0.48 * hip * rig.size * direction(swing - bend, 0.0)
        parts += [rig.limb(top, knee, build.leg * 1.25, "legs", 0.75), rig.limb(knee, foot, build.leg * 0.85, "legs", 0.8)]
    return parts


def _head(rig: _Rig, build: _Build, nod: Floats) -> list[Part]:
    """Neck, skull, muzzle, ears, and a mane."""
    root = rig.at(0, build.half - 0.06, 0.94 - build.body)
    head = rig.at(0, build.half + build.neck[0], 0.94 - build.body + build.neck[1]) + nod
    nose = head + rig.size * np.array([0, build.muzzle + 0.6 * build.skull, -0.35 * build.muzzle])
    face = np.tile(np.eye(4), (len(head), 1, 1))
    face[:, :3, 3] = head
    skull = Part(ball(build.skull * rig.size, rings=8), "top", "plain", rig.index, (rig.frame @ face).astype(np.float32))
    parts = [rig.limb(root, head, build.neck_radius, "top", 0.8), skull, rig.limb(head, nose, build.skull * 0.72, "top", 0.5)]
    length, radius = build.ear
    for x in (-0.6, 0.6):
        ear = head + rig.size * np.array([x * build.skull, -0.02, 0.75 * build.skull])
        parts.append(rig.limb(ear, ear + rig.size * np.array([x * 0.08, 0, length]), radius, "hair", 0.25))
    if build.mane:
        back = rig.size * np.array([0, -0.07, 0.06])
        parts.append(rig.limb(root + back, head + back, 0.035, "hair", 0.8))
    return parts


def animal(rng: Rng, t: Floats, spot: Floats, index: int) -> Actor:
    """A dog, a fox, a horse or a cat that stands or trots."""
    kind = str(rng.choice(list(BUILDS), p=[0.3, 0.25, 0.25, 0.2]))
    build = BUILDS[kind]
    size = float(rng.uniform(*build.height))
    speed = float(rng.choice([0.0, 0.9, 1.7])) * (1.2 if kind == "horse" else 0.8)
    path, yaw = travel(rng, t, speed, spot)
    rig = _Rig(path, yaw, size, index)
    phase = 2 * np.pi * (rng.uniform(0.9, 1.6) * t + rng.random())
    nod = 0.04 * size * np.sin(phase)[:, None] * np.array([0, 0, 1.0])
    middle = 1.0 - build.body
    parts = [rig.limb(rig.at(0, -build.half, middle), rig.at(0, build.half, middle + 0.02), build.body, "top", 1.0)]
    parts += _legs(rig, build, phase, 0.5 if speed else 0.04) + _head(rig, build, nod)
    back, up, radius = build.tail
    wag = 0.06 * size * np.sin(2 * phase)[:, None] * np.array([1.0, 0, 0])
    root = rig.at(0, -build.half - 0.6 * build.body, middle + 0.3 * build.body)
    tip = root + size * np.array([0, -back, up]) + wag
    parts.append(rig.limb(root, tip, radius, "hair" if build.mane else "legs", 0.7))
    return Actor(kind, parts, None, path, float(size * (1.0 + build.neck[1])))
