# SPDX-License-Identifier: GPL-3.0-or-later
"""People, and robots built like them, with analytic OpenPose-18 joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .motion import Actor, Rng, direction, travel
from .shapes import Mesh, Part, ball, between, box, capsule, cylinder, join, placed, revolve

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
        j[:, shoulder] = j[:, 1] + side * 0.112 * h * x - 0.012 * h * up
        j[:, shoulder + 1] = j[:, shoulder] + 0.168 * h * direction(g.arm[k], g.out[k])
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


@dataclass(frozen=True)
class _Body:
    """Height in metres, index of the actor, whether it is made of boxes, and how stout it is."""

    h: float
    actor: int
    robot: bool
    bulk: float


def _limbs(j: NDArray[np.floating], body: _Body) -> list[Part]:
    """Arms and legs around the joints: capsules for people, boxes for robots."""
    h, robot = body.h, body.robot

    def limb(a: NDArray[np.floating], b: NDArray[np.floating], radius: float, slot: str, taper: float = 0.8) -> Part:
        return _limb(a, b, radius * h * body.bulk, slot, taper, body.actor, robot)

    def boned(a: int, b: int, radius: float, slot: str, taper: float = 0.8) -> Part:
        return limb(j[:, a], j[:, b], radius, slot, taper)

    parts = []
    for s, e, w in ((2, 3, 4), (5, 6, 7)):
        parts += [boned(s, e, 0.034, "top"), boned(e, w, 0.027, "skin" if not robot else "top")]
        parts.append(limb(j[:, w], j[:, w] + (j[:, w] - j[:, e]) * 0.4, 0.026, "skin", 0.7))
    ahead = np.cross(j[:, 5] - j[:, 2], [0, 0, 1.0])
    ahead = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True) * -1.0
    for hip, knee, ankle in ((8, 9, 10), (11, 12, 13)):
        parts += [boned(hip, knee, 0.052, "legs", 0.7), boned(knee, ankle, 0.037, "legs", 0.65)]
        heel = j[:, ankle] - ahead * 0.02 * h - [0, 0, 0.015 * h]
        parts.append(limb(heel, j[:, ankle] + ahead * 0.095 * h - [0, 0, 0.02 * h], 0.026, "shoes", 0.8))
    return parts


def _trunk(rng: Rng, j: NDArray[np.floating], body: _Body, dress: bool, coat: bool) -> list[Part]:
    """Torso, skirt, neck, head and hair or a hat (antenna and visor for robots)."""
    h, actor, robot = body.h, body.actor, body.robot
    pelvis, neck = (j[:, 8] + j[:, 11]) / 2, j[:, 1]
    length = float(np.linalg.norm(neck[0] - pelvis[0]))
    blocky = box((0.24 * h * body.bulk, 0.14 * h * body.bulk, length * 1.05), (0, 0, length / 2))
    frame = between(pelvis, neck)
    right = j[:, 2] - j[:, 5]
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    frame[:, :3, 0], frame[:, :3, 1] = right, np.cross(frame[:, :3, 2], right)
    parts = [Part(blocky if robot else _torso(h * body.bulk, length, coat), "top", "plain", actor, frame)]
    if dress:
        skirt = revolve([(0.07 * h, 0.0), (0.10 * h, 0.12 * h), (0.14 * h, 0.31 * h)], sides=12)
        parts.append(Part(skirt, "legs", "plain", actor, between(pelvis + [0, 0, 0.02 * h], pelvis - [0, 0, 0.3 * h])))
    head = (j[:, 16] + j[:, 17]) / 2
    face = frame.copy()
    face[:, :3, 3] = head + [0, 0, 0.02 * h]
    parts.append(_limb(neck - [0, 0, 0.01 * h], head, 0.03 * h * body.bulk, "skin", 1.0, actor, robot))
    if robot:
        slots = ("skin", "hair", "glass")
        return parts + [Part(m, s, "plain", actor, face) for m, s in zip(_robot_head(rng, h), slots, strict=True)]
    skull = join([ball(0.062 * h, squash=(0.88, 1.0, 1.15)), ball(0.012 * h, (0, 0.062 * h, 0), rings=5)])
    return parts + [Part(mesh, slot, "plain", actor, face) for mesh, slot in ((skull, "skin"), (_hair(rng, h), "hair"))]


def _hair(rng: Rng, h: float) -> Mesh:
    """Short or long hair, or a hat with a brim."""
    short = ball(0.064 * h, (0, -0.014 * h, 0.018 * h), (0.98, 1, 1))
    kind = rng.random()
    if kind < 0.5:
        return short
    if kind < 0.75:
        return join([short, _fall(h)])
    return join([cylinder(0.1 * h, 0.012 * h, (0, 0, 0.035 * h), 14), cylinder(0.062 * h, 0.06 * h, (0, 0, 0.035 * h), 12)])


def _fall(h: float) -> Mesh:
    """Hair down to the shoulders."""
    return ball(0.06 * h, (0, -0.03 * h, -0.05 * h), (1.0, 0.6, 1.6), 8)


def _torso(h: float, length: float, coat: bool) -> Mesh:
    """Hips, waist, chest and sloping shoulders, from the pelvis up; a coat goes on below and hides the waist."""
    waist = 0.078 if coat else 0.062
    profile = [(0.05, -0.06), (0.074, -0.02), (0.076, 0.03), (waist, 0.12), (0.080, 0.22), (0.078, 0.27), (0.03, 0.30)]
    if coat:
        profile = [(0.098, -0.17), *profile[1:]]
    mesh = revolve([(r * h, z / 0.30 * length) for r, z in profile], sides=12)
    return Mesh((mesh.verts * [1.38, 0.86, 1.0]).astype(np.float32), mesh.faces, True)


def _robot_head(rng: Rng, h: float) -> tuple[Mesh, Mesh, Mesh]:
    """Skull, antenna and visor; the head is up to twice as large as a person's, a box, a ball or a drum."""
    s = rng.uniform(1.0, 2.1) * h
    form = rng.integers(3)
    skull = [
        lambda: box((0.13 * s, 0.12 * s, 0.13 * s), (0, 0, 0.06 * s - 0.07 * h)),
        lambda: ball(0.072 * s, (0, 0, 0.06 * s - 0.07 * h), rings=9),
        lambda: cylinder(0.07 * s, 0.12 * s, (0, 0, -0.07 * h), 14),
    ][form]()
    top = float(skull.verts[:, 2].max())
    antenna = box((0.015 * h, 0.015 * h, 0.07 * h), (rng.choice([0, 0.04]) * s, 0, top + 0.03 * h))
    visor = box((0.10 * s, 0.03 * s, 0.03 * s), (0, 0.058 * s, top - 0.055 * s))
    return skull, antenna, visor


def human(rng: Rng, t: NDArray[np.floating], spot: NDArray[np.floating], index: int) -> Actor:
    """A person who stands, turns, walks or runs, in half of the clips seen from the front at mid-clip."""
    return _figure(rng, t, spot, index, robot=False)


def robot(rng: Rng, t: NDArray[np.floating], spot: NDArray[np.floating], index: int) -> Actor:
    """As a person, made of boxes, with a large head."""
    return _figure(rng, t, spot, index, robot=True)


def _figure(rng: Rng, t: NDArray[np.floating], spot: NDArray[np.floating], index: int, robot: bool) -> Actor:
    h = rng.uniform(1.2, 1.9) if robot else rng.uniform(1.5, 1.95)
    speed, stride, rate = [(0.0, 0.0, 0.5), (1.1, 0.45, 0.9), (1.1, 0.45, 0.9), (2.2, 0.75, 1.4)][rng.integers(4)]
    local = _skeleton(_gait(rng, t, stride, rate), h)
    path, yaw = travel(rng, t, speed, spot, frontal=bool(rng.random() < 0.5))
    frame = placed(path, yaw)
    joints = np.einsum("fij,fkj->fki", frame[:, :3, :3], local) + frame[:, None, :3, 3]
    bulk = rng.uniform(0.9, 1.3)
    dress, coat = not robot and rng.random() < 0.25, not robot and rng.random() < 0.2
    body = _Body(h, index, robot, bulk)
    parts = _limbs(joints, body) + _trunk(rng, joints, body, dress, coat)
    return Actor("robot" if robot else "human", parts, joints.astype(np.float32), path, float(h))
