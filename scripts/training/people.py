# SPDX-License-Identifier: GPL-3.0-or-later
"""People, and robots built like them, with analytic OpenPose-18 joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .motion import Actor, Rng, direction, travel
from .shapes import Mesh, Part, ball, between, box, capsule, placed

#: nose neck Rsho Relb Rwri Lsho Lelb Lwri Rhip Rkne Rank Lhip Lkne Lank Reye Leye Rear Lear
JOINTS = 18


@dataclass
class _Gait:
    """Angles (F,) in radians of one person, before yaw and translation."""

    thigh: list[NDArray[np.floating]]
    knee: list[NDArray[np.floating]]
    arm: list[NDArray[np.floating]]
    out: list[NDArray[np.floating]]
    elbow: list[NDArray[np.floating]]
    lean: NDArray[np.floating]


def _gait(rng: Rng, t: NDArray[np.floating], stride: float, rate: float) -> _Gait:
    """Walk cycle of amplitude `stride` (0 = stands), with arms that swing, reach, wave or lift at random."""
    w = 2 * np.pi * (rate * t + rng.random())
    ramp = np.clip((t - t[0]) / max(float(t[-1] - t[0]), 1e-6), 0, 1)
    crouch = rng.uniform(0.2, 0.9) * (ramp if rng.random() < 0.5 else 1 - ramp) if rng.random() < 0.15 else 0 * t
    thigh = [stride * np.sin(w + p) + crouch for p in (0, np.pi)]
    knee = [stride * 1.1 * np.maximum(0, np.sin(w + p - 1.2)) + 0.08 + 2 * crouch for p in (0, np.pi)]
    arm, out, elbow = [], [], []
    for side, p in ((1, np.pi), (-1, 0.0)):
        mode = rng.choice(["swing", "swing", "reach", "wave", "lift", "hip"])
        phase = 2 * np.pi * (rng.uniform(0.4, 1.2) * t + rng.random())
        lift = {
            "swing": 0.8 * stride * np.sin(w + p),
            "reach": rng.uniform(0.8, 2.4) * ramp,
            "wave": 0.2 + 0 * t,
            "lift": rng.uniform(0.5, 2.6) + 0.3 * np.sin(phase),
            "hip": -0.3 + 0 * t,
        }[mode]
        wide = {
            "swing": 0.12 + 0 * t,
            "reach": 0.1 + 0 * t,
            "wave": 1.9 + 0.5 * np.sin(2 * phase),
            "lift": 0.3 + 0.3 * np.sin(phase),
            "hip": 0.75 + 0 * t,
        }[mode]
        bend = {
            "swing": 0.35 + 0 * t,
            "reach": 0.25 + 0 * t,
            "wave": 0.5 + 0 * t,
            "lift": 0.4 + 0 * t,
            "hip": 1.3 + 0 * t,
        }[mode]
        arm.append(lift)
        out.append(side * wide)
        elbow.append(bend)
    return _Gait(thigh, knee, arm, out, elbow, 0.06 * stride + 0.3 * crouch)


def _skeleton(g: _Gait, h: float) -> NDArray[np.floating]:
    """(F, 18, 3) joints of a person of height `h` at the origin that faces +Y, right hand at +X."""
    count = len(g.lean)
    j = np.zeros((count, JOINTS, 3))
    up = np.stack([0 * g.lean, np.sin(g.lean), np.cos(g.lean)], -1)
    x = np.array([1.0, 0, 0])
    pelvis = np.zeros((count, 3))
    j[:, 1] = pelvis + up * 0.30 * h
    for k, (side, hip, shoulder) in enumerate(((1, 8, 2), (-1, 11, 5))):
        j[:, hip] = pelvis + side * 0.055 * h * x
        j[:, hip + 1] = j[:, hip] + 0.245 * h * direction(g.thigh[k], 0.03 * side)
        j[:, hip + 2] = j[:, hip + 1] + 0.235 * h * direction(g.thigh[k] - g.knee[k], 0.0)
        j[:, shoulder] = j[:, 1] + side * 0.105 * h * x - 0.01 * h * up
        j[:, shoulder + 1] = j[:, shoulder] + 0.165 * h * direction(g.arm[k], g.out[k])
        j[:, shoulder + 2] = j[:, shoulder + 1] + 0.15 * h * direction(
            g.arm[k] + g.elbow[k], 0.6 * np.asarray(g.out[k])
        )
    head = j[:, 1] + 0.105 * h * up
    for index, offset in (
        (0, (0, 0.06, 0)),
        (14, (0.02, 0.055, 0.02)),
        (15, (-0.02, 0.055, 0.02)),
        (16, (0.045, 0, 0.01)),
        (17, (-0.045, 0, 0.01)),
    ):
        j[:, index] = head + h * np.array(offset)
    low = np.minimum(j[:, 10, 2], j[:, 13, 2])
    j[..., 2] += (0.035 * h - low)[:, None]
    return j


def _limb(
    a: NDArray[np.floating], b: NDArray[np.floating], r: float, slot: str, taper: float, actor: int, robot: bool
) -> Part:
    """One limb from a to b (F, 3)."""
    length = float(np.linalg.norm(b[0] - a[0]))
    mesh = box((1.7 * r, 1.7 * r, length), (0, 0, length / 2)) if robot else capsule(r, length, taper)
    return Part(mesh, slot, "plain", actor, between(a, b))


def _limbs(j: NDArray[np.floating], h: float, actor: int, robot: bool, bulk: float) -> list[Part]:
    """Arms and legs around the joints: capsules for people, boxes for robots."""

    def limb(a: NDArray[np.floating], b: NDArray[np.floating], radius: float, slot: str, taper: float = 0.8) -> Part:
        return _limb(a, b, radius * h * bulk, slot, taper, actor, robot)

    def boned(a: int, b: int, radius: float, slot: str, taper: float = 0.8) -> Part:
        return limb(j[:, a], j[:, b], radius, slot, taper)

    parts = []
    for s, e, w in ((2, 3, 4), (5, 6, 7)):
        parts += [boned(s, e, 0.034, "top"), boned(e, w, 0.028, "skin" if not robot else "top")]
        parts.append(limb(j[:, w], j[:, w] + (j[:, w] - j[:, e]) * 0.35, 0.027, "skin", 0.7))
    for hip, knee, ankle in ((8, 9, 10), (11, 12, 13)):
        parts += [boned(hip, knee, 0.05, "legs"), boned(knee, ankle, 0.038, "legs", 0.75)]
        toe = j[:, ankle] + np.cross(j[:, 5] - j[:, 2], [0, 0, 1.0]) / 0.21 * 0.10 + [0, 0, -0.015 * h]
        parts.append(limb(j[:, ankle] - [0, 0, 0.015 * h], toe, 0.027, "shoes", 0.8))
    return parts


def _trunk(j: NDArray[np.floating], h: float, actor: int, robot: bool, bulk: float, dress: bool) -> list[Part]:
    """Torso, skirt, neck, head and hair (an antenna for robots)."""
    parts = []
    pelvis, neck = (j[:, 8] + j[:, 11]) / 2, j[:, 1]
    length = float(np.linalg.norm(neck[0] - pelvis[0]))
    torso = (
        box((0.22 * h * bulk, 0.13 * h * bulk, length * 1.05), (0, 0, length / 2))
        if robot
        else _torso(h * bulk, length)
    )
    frame = between(pelvis, neck)
    right = j[:, 2] - j[:, 5]
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    frame[:, :3, 0], frame[:, :3, 1] = right, np.cross(frame[:, :3, 2], right)
    parts.append(Part(torso, "top", "plain", actor, frame))
    if dress:
        skirt = capsule(0.085 * h, 0.28 * h, 1.7)
        parts.append(Part(skirt, "legs", "plain", actor, between(pelvis + [0, 0, 0.02 * h], pelvis - [0, 0, 0.3 * h])))
    head = (j[:, 16] + j[:, 17]) / 2
    face = frame.copy()
    face[:, :3, 3] = head + [0, 0, 0.02 * h]
    skull = box((0.13 * h, 0.12 * h, 0.14 * h)) if robot else ball(0.062 * h, squash=(0.9, 1.0, 1.15))
    hair = (
        box((0.02 * h, 0.02 * h, 0.08 * h), (0, 0, 0.1 * h))
        if robot
        else ball(0.064 * h, (0, -0.012 * h, 0.018 * h), (0.98, 1, 1))
    )
    parts += [Part(skull, "skin", "plain", actor, face), Part(hair, "hair", "plain", actor, face)]
    parts.append(_limb(neck - [0, 0, 0.01 * h], head, 0.03 * h * bulk, "skin", 1.0, actor, robot))
    return parts


def _torso(h: float, length: float) -> Mesh:
    mesh = capsule(0.075 * h, length * 0.93, 1.12)
    return Mesh((mesh.verts * [1.35, 0.85, 1.0]).astype(np.float32), mesh.faces, True)


def human(rng: Rng, t: NDArray[np.floating], spot: NDArray[np.floating], index: int) -> Actor:
    """A person who stands, walks or runs; one in five is a robot made of boxes."""
    robot = rng.random() < 0.2
    h = rng.uniform(1.5, 1.95)
    speed, stride, rate = [(0.0, 0.0, 0.5), (1.1, 0.45, 0.9), (1.1, 0.45, 0.9), (2.2, 0.75, 1.4)][rng.integers(4)]
    local = _skeleton(_gait(rng, t, stride, rate), h)
    path, yaw = travel(rng, t, speed, spot)
    if rng.random() < 0.5:  # half of them are seen from the front, turned a little
        yaw = yaw - yaw[len(t) // 2] + np.pi + rng.uniform(-0.9, 0.9)
        forward = np.stack([-np.sin(yaw), np.cos(yaw), 0 * yaw], -1) * speed * np.gradient(t)[:, None]
        walked = np.cumsum(forward, 0)
        path = (walked - walked[len(t) // 2] + spot).astype(np.float32)
    frame = placed(path, yaw)
    joints = np.einsum("fij,fkj->fki", frame[:, :3, :3], local) + frame[:, None, :3, 3]
    bulk, dress = rng.uniform(0.9, 1.3), not robot and rng.random() < 0.25
    parts = _limbs(joints, h, index, robot, bulk) + _trunk(joints, h, index, robot, bulk, dress)
    return Actor("robot" if robot else "human", parts, joints.astype(np.float32), path)
