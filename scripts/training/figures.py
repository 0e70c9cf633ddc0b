# SPDX-License-Identifier: GPL-3.0-or-later
"""Actors that are not people: four-legged animals, balls, boxes, cars; and the cast of a clip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .motion import Actor, Rng, direction, travel
from .people import human
from .shapes import Mesh, Part, ball, between, box, capsule, cone, cylinder, join, placed


def animal(rng: Rng, t: NDArray[np.floating], spot: NDArray[np.floating], index: int) -> Actor:
    """A four-legged creature that trots."""
    size, rate = rng.uniform(0.6, 1.2), rng.uniform(0.9, 1.6)
    speed = rng.choice([0.0, 0.8, 1.6])
    path, yaw = travel(rng, t, float(speed) * size, spot)
    body_h, half, leg = 0.55 * size, 0.32 * size, 0.5 * size
    frame = placed(path, yaw)

    def world(points: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.einsum("fij,fj->fi", frame[:, :3, :3], points) + path

    def limb(a: NDArray[np.floating], b: NDArray[np.floating], radius: float, slot: str, taper: float = 0.8) -> Part:
        length = float(np.linalg.norm(b[0] - a[0]))
        return Part(capsule(radius * size, length, taper), slot, "plain", index, between(world(a), world(b)))

    def at(x: float, y: float, z: float) -> NDArray[np.floating]:
        return np.tile(np.array([x, y, z], float), (len(t), 1))

    parts = [limb(at(0, -half, body_h), at(0, half, body_h + 0.03), rng.uniform(0.13, 0.2), "top", 1.0)]
    w = 2 * np.pi * rate * t
    for x, y, phase in ((0.1, half, 0.0), (-0.1, half, np.pi), (0.1, -half, np.pi), (-0.1, -half, 0.0)):
        swing = (0.5 if speed else 0.05) * np.sin(w + phase)
        hip = at(x * size, y, body_h)
        parts.append(limb(hip, hip + leg * direction(swing, 0.0), 0.055, "legs", 0.6))
    nod = 0.05 * np.sin(w)[:, None] * np.array([0, 0, 1.0])
    neck, head = at(0, half, body_h + 0.08), at(0, half + 0.2 * size, body_h + 0.3 * size) + nod
    muzzle = at(0, half + 0.42 * size, body_h + 0.24 * size) + nod
    parts += [limb(neck, head, 0.09, "top"), limb(head, muzzle, 0.1, "top", 0.55)]
    for x in (-0.07, 0.07):
        parts.append(limb(head + [x * size, 0, 0.05], head + [x * 1.5 * size, -0.03, 0.2 * size], 0.04, "hair", 0.3))
    tail = at(0, -half - 0.32 * size, body_h + rng.uniform(0, 0.3) * size) + 0.1 * np.sin(2 * w)[:, None] * np.array(
        [1.0, 0, 0]
    )
    parts.append(limb(at(0, -half - 0.05, body_h), tail, rng.uniform(0.03, 0.08), "legs", 0.7))
    return Actor("animal", parts, None, path)


def thrown(rng: Rng, t: NDArray[np.floating], spot: NDArray[np.floating], index: int) -> Actor:
    """A ball that bounces, flies a parabola, rolls or hangs still."""
    r = rng.uniform(0.15, 0.6)
    move = rng.choice(["bounce", "fly", "roll", "still"])
    s = t - t.mean()
    speed = {"bounce": 0.7, "fly": 2.0, "roll": 1.5, "still": 0.0}[str(move)]
    heading = rng.uniform(0, 2 * np.pi)
    path = spot + np.stack([np.cos(heading) * speed * s, np.sin(heading) * speed * s, 0 * s], -1)
    height = {
        "bounce": rng.uniform(0.4, 1.3) * np.abs(np.sin(3.0 * t + rng.uniform(0, 3))),
        "fly": np.maximum(0, 1.1 - 4.9 * s**2 + 0.6 * s),
        "roll": 0 * t,
        "still": 0 * t + rng.choice([0.0, 0.7]),
    }[str(move)]
    path[:, 2] = r + height
    return Actor(
        "ball",
        [
            Part(
                ball(r, rings=13),
                "top",
                str(rng.choice(["plain", "plain", "plain", "checker"])),
                index,
                placed(path, 0.0, -speed * s / r),
            )
        ],
        None,
        path.astype(np.float32),
    )


def block(rng: Rng, t: NDArray[np.floating], spot: NDArray[np.floating], index: int) -> Actor:
    """A box, pillar or cone that slides and turns."""
    size = rng.uniform(0.4, 1.1, 3)
    kind = str(rng.choice(["box", "box", "cylinder", "cone"]))
    mesh = {
        "box": lambda: box(size, (0, 0, size[2] / 2)),
        "cylinder": lambda: cylinder(size[0] / 2, size[2] * 1.4, sides=16),
        "cone": lambda: cone(size[0] * 0.6, size[2] * 1.6, sides=16),
    }[kind]()
    s = t - t.mean()
    path = spot + np.stack([rng.uniform(-1, 1) * s, rng.uniform(-1, 1) * s, 0 * s], -1)
    return Actor(
        kind,
        [Part(mesh, "top", "plain", index, placed(path, rng.uniform(0, 3) + rng.uniform(-1.5, 1.5) * s))],
        None,
        path.astype(np.float32),
    )


def car(rng: Rng, t: NDArray[np.floating], spot: NDArray[np.floating], index: int) -> Actor:
    """A small car that drives straight."""
    scale = rng.uniform(0.55, 0.9)
    path, yaw = travel(rng, t, float(rng.choice([0.0, 1.5, 3.0])), spot)
    yaw = np.full_like(yaw, yaw[0])
    frame = placed(path, yaw)
    body = join([box((1.6, 3.6, 0.6), (0, 0, 0.6)), box((1.4, 1.8, 0.5), (0, -0.2, 1.15))])
    glass = join([box((1.42, 1.5, 0.34), (0, -0.2, 1.16)), box((1.2, 1.82, 0.34), (0, -0.2, 1.16))])
    wheels = join([box((0.24, 0.62, 0.62), (x, y, 0.31)) for x in (-0.75, 0.75) for y in (-1.15, 1.15)])
    parts = []
    for mesh, slot in ((body, "top"), (glass, "glass"), (wheels, "tyre")):
        parts.append(Part(Mesh((mesh.verts * scale).astype(np.float32), mesh.faces), slot, "plain", index, frame))
    return Actor("car", parts, None, path)


_KINDS: tuple[tuple[float, Callable[[Rng, NDArray[np.floating], NDArray[np.floating], int], Actor]], ...] = (
    (0.58, human),
    (0.14, animal),
    (0.13, thrown),
    (0.09, block),
    (0.06, car),
)


def cast(rng: Rng, t: NDArray[np.floating], count: int) -> list[Actor]:
    """`count` actors around the origin, far enough apart; times `t` (F,) in seconds."""
    weight = np.array([w for w, _ in _KINDS])
    actors = []
    angle = rng.uniform(0, 2 * np.pi)
    for index in range(count):
        reach = 0.0 if count == 1 else rng.uniform(0.8, 1.5)
        spot = np.array([reach * np.cos(angle + np.pi * index), reach * np.sin(angle + np.pi * index), 0.0])
        spot[:2] += rng.uniform(-0.4, 0.4, 2)
        make = _KINDS[rng.choice(len(_KINDS), p=weight / weight.sum())][1]
        actors.append(make(rng, t, spot, index))
    return actors
