# SPDX-License-Identifier: GPL-3.0-or-later
"""Actors that are not alive: balls, blocks, vehicles; and the cast of a clip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .animals import animal
from .motion import Actor, Rng, travel
from .people import human, robot
from .shapes import Mesh, Part, ball, box, cone, cylinder, join, placed

Floats = NDArray[np.floating]

_FLIGHT = 2.0  # seconds: a throw is over by then
_CAR_FRAMING = 2.4  # metres: a camera frames a car by its length rather than by its height
_SLIDE = 3.0  # metres that something without legs goes at most


def thrown(rng: Rng, t: Floats, spot: Floats, index: int) -> Actor:
    """A ball that bounces, flies a parabola, rolls or hangs still."""
    r, s = rng.uniform(0.2, 0.6), t - t.mean()
    lasts = float(t[-1] - t[0])
    move = str(rng.choice(["bounce", "fly" if lasts < _FLIGHT else "bounce", "roll", "roll", "still"]))
    speed = min({"bounce": 0.7, "fly": 2.0, "roll": rng.uniform(0.6, 1.6), "still": 0.0}[move], _SLIDE / lasts)
    heading = rng.uniform(0, 2 * np.pi)
    path = spot + np.stack([np.cos(heading) * speed * s, np.sin(heading) * speed * s, 0 * s], -1)
    height = {
        "bounce": rng.uniform(0.4, 1.3) * np.abs(np.sin(3.0 * t + rng.uniform(0, 3))),
        "fly": np.maximum(0, 1.1 - 4.9 * s**2 + 0.6 * s),
        "roll": 0 * t,
        "still": 0 * t + rng.choice([0.0, 0.7]),
    }[move]
    path[:, 2] = r + height
    pattern = str(rng.choice(["plain", "plain", "plain", "checker"]))
    turn = placed(path, heading - np.pi / 2, -speed * s / r)  # its local Y points where it goes
    return Actor("ball", [Part(ball(r, rings=15), "top", pattern, index, turn)], None, path.astype(np.float32), float(2 * r))


def block(rng: Rng, t: Floats, spot: Floats, index: int) -> Actor:
    """A box, pillar or cone that slides and turns."""
    size = rng.uniform(0.5, 1.2, 3)
    kind = str(rng.choice(["box", "box", "cylinder", "cone"]))
    mesh = {
        "box": lambda: box(size, (0, 0, size[2] / 2)),
        "cylinder": lambda: cylinder(size[0] / 2, size[2] * 1.4, sides=16),
        "cone": lambda: cone(size[0] * 0.6, size[2] * 1.6, sides=16),
    }[kind]()
    s = t - t.mean()
    pace = min(1.0, _SLIDE / 2 / float(t[-1] - t[0]))
    path = spot + np.stack([rng.uniform(-pace, pace) * s, rng.uniform(-pace, pace) * s, 0 * s], -1)
    turn = placed(path, rng.uniform(0, 3) + rng.uniform(-1.5, 1.5) * pace * s)
    tall = float(mesh.verts[:, 2].max())
    return Actor(kind, [Part(mesh, "top", "plain", index, turn)], None, path.astype(np.float32), tall)


def _wheel(radius: float, x: float, y: float) -> Mesh:
    """Upright, its axle along X."""
    mesh = cylinder(radius, 0.24, (0, 0, -0.12), 14)
    return Mesh((mesh.verts[:, [2, 0, 1]] + np.float32([x, y, radius])).astype(np.float32), mesh.faces)


def _wedge(size: tuple[float, float, float], centre: tuple[float, float, float], front: float, rear: float) -> Mesh:
    """A box along Y whose top is shorter by `front` and `rear` metres at its ends."""
    mesh = box(size, centre)
    verts, (_, depth, height) = mesh.verts.copy(), size
    top = verts[:, 2] > centre[2] + height / 4
    verts[top & (verts[:, 1] > centre[1] + depth / 4), 1] -= front
    verts[top & (verts[:, 1] < centre[1] - depth / 4), 1] += rear
    return Mesh(verts, mesh.faces)


def car(rng: Rng, t: Floats, spot: Floats, index: int) -> Actor:
    """A saloon, a van or a lorry that drives straight."""
    scale, form = rng.uniform(0.55, 0.85), rng.integers(3)
    path, yaw = travel(rng, t, float(rng.choice([0.0, 1.5, 3.0])), spot, turns=False)
    frame = placed(path, yaw)
    if form == 0:
        body = [box((1.7, 4.0, 0.55), (0, 0, 0.6)), _wedge((1.5, 2.3, 0.55), (0, -0.2, 1.13), 0.6, 0.4)]
        panes = [_wedge((1.53, 2.0, 0.36), (0, -0.2, 1.12), 0.4, 0.25), _wedge((1.3, 2.35, 0.36), (0, -0.2, 1.12), 0.4, 0.25)]
    elif form == 1:
        body = [_wedge((1.8, 4.2, 1.6), (0, 0, 1.15), 0.7, 0.05)]
        panes = [box((1.83, 2.6, 0.5), (0, -0.5, 1.5)), _wedge((1.5, 3.8, 0.5), (0, 0.02, 1.5), 0.22, 0.0)]
    else:
        body = [box((1.7, 4.4, 0.3), (0, 0, 0.65)), box((1.7, 1.2, 1.4), (0, 1.5, 1.4)), box((1.8, 2.9, 1.7), (0, -0.75, 1.6))]
        panes = [box((1.73, 0.7, 0.5), (0, 1.6, 1.6)), box((1.4, 1.23, 0.5), (0, 1.5, 1.6))]
    wheels = [_wheel(0.36, x, y) for x in (-0.78, 0.78) for y in (-1.3, 1.3)]
    parts = []
    for meshes, slot in ((body, "top"), (panes, "glass"), (wheels, "tyre")):
        mesh = join(meshes)
        parts.append(Part(Mesh((mesh.verts * scale).astype(np.float32), mesh.faces), slot, "plain", index, frame))
    return Actor("car", parts, None, path, _CAR_FRAMING * scale)


Maker = Callable[[Rng, Floats, Floats, int], Actor]
_KINDS: tuple[tuple[float, Maker], ...] = (
    (0.42, human),
    (0.13, robot),
    (0.18, animal),
    (0.11, thrown),
    (0.09, block),
    (0.07, car),
)


def cast(rng: Rng, t: Floats, count: int) -> list[Actor]:
    """`count` actors around the origin, far enough apart; times `t` (F,) in seconds."""
    weight = np.array([w for w, _ in _KINDS])
    actors = []
    angle = rng.uniform(0, 2 * np.pi)
    for index in range(count):
        reach = 0.0 if count == 1 else rng.uniform(0.9, 1.6)
        spot = np.array([reach * np.cos(angle + np.pi * index), reach * np.sin(angle + np.pi * index), 0.0])
        spot[:2] += rng.uniform(-0.4, 0.4, 2)
        make = _KINDS[rng.choice(len(_KINDS), p=weight / weight.sum())][1]
        actors.append(make(rng, t, spot, index))
    return actors
