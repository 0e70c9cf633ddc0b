# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural sets: streets, plazas, fields, rooms. Every builder leaves a free stage around the origin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .shapes import Mesh, Part, ball, box, cone, cylinder, join, moved, roof, terrain

Rng = np.random.Generator


@dataclass
class Stage:
    """A set. The camera may stand within `arc` radians of the -Y axis, `near` to `far` metres from the origin."""

    kind: str
    parts: list[Part]
    arc: float
    near: float
    far: float
    indoor: bool = False


def _tree(rng: Rng, x: float, y: float) -> list[Part]:
    h = rng.uniform(1.2, 2.6)
    parts = [Part(cylinder(rng.uniform(0.08, 0.2), h, (x, y, 0), 8), "trunk")]
    if rng.random() < 0.4:
        crown = join([cone(rng.uniform(0.8, 1.3) * (1 - 0.25 * k), 1.5, (x, y, h * 0.6 + 0.8 * k)) for k in range(3)])
    else:
        crown = join(
            [
                ball(
                    rng.uniform(0.6, 1.1),
                    (x + rng.normal(0, 0.35), y + rng.normal(0, 0.35), h + rng.uniform(0, 1.2)),
                    rings=7,
                )
                for _ in range(4)
            ]
        )
    return [*parts, Part(crown, "leaves", "noise")]


def _lamp(x: float, y: float, side: float) -> list[Part]:
    pole = join([cylinder(0.06, 4.0, (x, y, 0), 8), box((1.0, 0.08, 0.08), (x - side * 0.45, y, 4.0))])
    return [Part(pole, "metal"), Part(box((0.4, 0.2, 0.12), (x - side * 0.9, y, 3.92)), "lamp")]


def _house(rng: Rng, x: float, y: float, width: float, depth: float, face: float, slot: str) -> list[Part]:
    """A block with a grid of windows on the side towards the street (`face` = +1 looks to +X) and on -Y."""
    h = rng.uniform(3.0, 9.0)
    wall = Part(box((width, depth, h), (x, y, h / 2)), slot, str(rng.choice(["brick", "plain", "plain", "plank"])))
    front = x + face * width / 2
    panes = []
    for z in np.arange(1.4, h - 0.8, rng.uniform(1.7, 2.4)):
        for v in np.arange(-depth / 2 + 0.8, depth / 2 - 0.6, rng.uniform(1.3, 2.0)):
            panes.append(box((0.08, 0.8, 1.1), (front, y + v, z)))
        for u in np.arange(-width / 2 + 0.8, width / 2 - 0.6, 1.8):
            panes.append(box((0.8, 0.08, 1.1), (x + u, y - depth / 2, z)))
    parts = [wall, Part(box((0.1, 1.0, 2.1), (front, y + rng.uniform(-0.3, 0.3) * depth, 1.05)), "door")]
    if panes:
        parts.append(Part(join(panes), "glass"))
    if rng.random() < 0.6:
        parts.append(Part(roof((width + 0.4, depth + 0.3, rng.uniform(0.8, 2.2)), (x, y, h)), "roof", "plank"))
    else:
        parts.append(Part(box((width + 0.3, depth + 0.2, 0.3), (x, y, h)), "roof"))
    return parts


def street(rng: Rng) -> Stage:
    """A road along Y between pavements and two rows of houses."""
    half, walk = rng.uniform(3.2, 5.0), rng.uniform(1.2, 2.2)
    parts = [Part(box((2 * half, 90, 0.2), (0, 20, -0.1)), "ground", str(rng.choice(["plain", "noise", "cobble"])))]
    for side in (-1, 1):
        parts.append(
            Part(
                box((walk, 90, 0.35), (side * (half + walk / 2), 20, -0.05)),
                "pavement",
                str(rng.choice(["plain", "checker"])),
            )
        )
        y = -12.0
        while y < 42:
            depth, width = rng.uniform(4, 8), rng.uniform(4, 7)
            slot = f"wall{rng.integers(3)}"
            parts += _house(rng, side * (half + walk + width / 2), y + depth / 2, width, depth, -side, slot)
            y += depth + rng.choice([0.0, 0.0, 1.5])
        for y in np.arange(rng.uniform(-3, 2), 30, rng.uniform(6, 10)):
            item = rng.random()
            x = side * (half + 0.5)
            parts += _lamp(x, y, side) if item < 0.4 else _tree(rng, x, y) if item < 0.8 else []
    if rng.random() < 0.6:
        parts.append(Part(join([box((0.16, 1.6, 0.02), (0, y, 0.005)) for y in np.arange(-10, 40, 3.2)]), "marking"))
    if rng.random() < 0.5:  # the end of the street is closed by a house
        parts += _house(rng, 0, rng.uniform(20, 36), 2 * half + 6, 6, 1, "wall1")
    parts.append(Part(box((200, 200, 0.1), (0, 0, -0.25)), "far"))
    return Stage("street", parts + _props(rng, half - 0.4), 0.5, 3.2, 7.5)


def _props(rng: Rng, reach: float) -> list[Part]:
    """A few boxes, posts and barrels at the sides of the stage."""
    parts = []
    for _ in range(rng.integers(0, 4)):
        x, y, s = rng.choice([-1, 1]) * rng.uniform(0.65, 1.0) * reach, rng.uniform(-2, 8), rng.uniform(0.3, 0.9)
        mesh = [
            box((s, s, s), (x, y, s / 2), rng.uniform(0, 3)),
            cylinder(s / 2.5, s * 1.3, (x, y, 0)),
            cone(s / 2.5, s * 1.2, (x, y, 0)),
        ][rng.integers(3)]
        parts.append(Part(mesh, f"prop{rng.integers(3)}", str(rng.choice(["plain", "plank"]))))
    return parts


def _monuments(rng: Rng) -> list[Part]:
    """Trees, columns and low walls around the stage."""
    parts: list[Part] = []
    for _ in range(rng.integers(2, 8)):
        angle, r = rng.uniform(0, 2 * np.pi), rng.uniform(4.5, 9)
        x, y, kind = r * np.sin(angle), abs(r * np.cos(angle)), rng.random()
        if kind < 0.4:
            parts += _tree(rng, x, y)
        elif kind < 0.7:
            column = join(
                [
                    cylinder(0.25, 3.0, (x, y, 0)),
                    box((0.7, 0.7, 0.25), (x, y, 0.12)),
                    box((0.7, 0.7, 0.25), (x, y, 3.1)),
                ]
            )
            parts.append(Part(column, "stone"))
        else:
            parts.append(
                Part(
                    box((rng.uniform(1, 4), 0.4, rng.uniform(0.5, 1.6)), (x, y, 0.4), rng.uniform(0, 3)),
                    "stone",
                    "brick",
                )
            )
    return parts


def plaza(rng: Rng) -> Stage:
    """An open square with columns, low walls, steps, and houses or hills behind."""
    parts = [
        Part(box((160, 160, 0.2), (0, 0, -0.1)), "ground", str(rng.choice(["plain", "checker", "cobble", "noise"])))
    ]
    ring = rng.uniform(10, 16)
    for angle in np.arange(0, 2 * np.pi, rng.uniform(0.35, 0.6)):
        x, y = ring * np.sin(angle) * rng.uniform(1, 1.4), ring * np.cos(angle) * rng.uniform(1, 1.4)
        if rng.random() < 0.75:
            parts += _house(rng, x, y, rng.uniform(3, 6), rng.uniform(3, 6), -np.sign(x) or 1, f"wall{rng.integers(3)}")
    parts += _monuments(rng)
    if rng.random() < 0.3:
        parts.append(
            Part(
                join(
                    [
                        cylinder(2.0, 0.5, (0, 6, 0), 20),
                        cylinder(0.3, 1.6, (0, 6, 0)),
                        cylinder(0.9, 0.2, (0, 6, 1.5), 16),
                    ]
                ),
                "stone",
            )
        )
    return Stage("plaza", parts + _props(rng, 3.5), 0.7, 3.2, 7.5)


def field(rng: Rng) -> Stage:
    """Rolling ground with trees, rocks, a fence, hills on the horizon."""
    parts = [Part(terrain(120, rng.uniform(0.3, 2.0), rng), "ground", str(rng.choice(["plain", "noise", "noise"])))]
    for _ in range(rng.integers(2, 12)):
        angle, r = rng.uniform(-1.6, 1.6), rng.uniform(5, 22)
        parts += _tree(rng, r * np.sin(angle), r * np.cos(angle))
    for _ in range(rng.integers(0, 6)):
        x, y, s = rng.uniform(-7, 7), rng.uniform(2, 12), rng.uniform(0.2, 0.9)
        parts.append(Part(ball(s, (x, y, s * 0.3), (1, rng.uniform(0.6, 1.2), 0.7), 7), "stone", "noise"))
    if rng.random() < 0.5:
        y = rng.uniform(3, 8)
        rails = [box((24, 0.06, 0.12), (0, y, z)) for z in (0.45, 0.9)] + [
            box((0.12, 0.12, 1.1), (x, y, 0.55)) for x in np.arange(-12, 12.1, 1.6)
        ]
        parts.append(Part(join(rails), "fence"))
    for _ in range(rng.integers(0, 5)):
        x, y, r = rng.uniform(-50, 50), rng.uniform(40, 60), rng.uniform(10, 22)
        parts.append(Part(ball(r, (x, y, -r * 0.2), (1.4, 1, rng.uniform(0.3, 0.8)), 11), "hill", "noise"))
    if rng.random() < 0.3:
        parts += _house(rng, rng.choice([-1, 1]) * rng.uniform(5, 9), rng.uniform(7, 14), 4, 5, 1, "wall0")
    return Stage("field", parts + _props(rng, 3.5), 1.0, 3.2, 8.0)


def room(rng: Rng) -> Stage:
    """Floor, three walls, perhaps a ceiling, with furniture along the walls; open towards -Y."""
    w, d, h = rng.uniform(3.0, 5.0), rng.uniform(2.2, 4.5), rng.uniform(2.5, 3.6)
    parts = [
        Part(
            box((2 * w, d + 14, 0.2), (0, d / 2 - 6.5, -0.1)), "ground", str(rng.choice(["plain", "plank", "checker"]))
        )
    ]
    parts.append(
        Part(box((2 * w, 0.2, h), (0, d, h / 2)), "wall0", str(rng.choice(["plain", "plain", "brick", "plank"])))
    )
    for side in (-1, 1):
        parts.append(
            Part(box((0.2, d + 8, h), (side * w, d / 2 - 4, h / 2)), "wall1" if rng.random() < 0.5 else "wall0")
        )
    if rng.random() < 0.15:
        parts.append(Part(box((2 * w, d + 2, 0.2), (0, d / 2 - 1, h)), "ceiling"))
    back = d - 0.12
    parts.append(Part(join([box((2 * w, 0.06, 0.14), (0, back, 0.07))]), "trim"))
    for k in range(rng.integers(1, 4)):
        x = rng.uniform(-0.8, 0.8) * w
        parts.append(
            Part(
                box((rng.uniform(0.5, 1.4), 0.06, rng.uniform(0.4, 1.0)), (x, back, rng.uniform(1.3, 1.9))), f"prop{k}"
            )
        )
    for _ in range(rng.integers(1, 6)):
        x, y = rng.choice([-1, 1]) * rng.uniform(0.5, 0.85) * w, rng.uniform(0.0, d - 0.6)
        parts += _furniture(rng, x, y)
    if rng.random() < 0.35:
        parts.append(Part(cylinder(rng.uniform(1.0, 1.8), 0.02, (0, 0, 0), 24), "rug"))
    return Stage("room", parts, 0.45, 3.0, 6.0, indoor=True)


def _furniture(rng: Rng, x: float, y: float) -> list[Part]:
    slot, kind = f"prop{rng.integers(3)}", rng.integers(5)
    if kind == 0:  # table
        meshes = [box((1.2, 0.8, 0.08), (0, 0, 0.75))] + [
            box((0.08, 0.08, 0.75), (a, b, 0.37)) for a in (-0.5, 0.5) for b in (-0.3, 0.3)
        ]
    elif kind == 1:  # sofa
        meshes = [
            box((1.7, 0.8, 0.45), (0, 0, 0.22)),
            box((1.7, 0.2, 0.9), (0, 0.3, 0.45)),
            box((0.2, 0.8, 0.65), (-0.8, 0, 0.32)),
            box((0.2, 0.8, 0.65), (0.8, 0, 0.32)),
        ]
    elif kind == 2:  # shelf
        meshes = [box((1.0, 0.35, 0.05), (0, 0, z)) for z in (0.1, 0.6, 1.1, 1.6)] + [
            box((0.05, 0.35, 1.65), (s, 0, 0.82)) for s in (-0.5, 0.5)
        ]
    elif kind == 3:  # plant
        return [Part(cylinder(0.2, 0.4, (x, y, 0)), slot), Part(ball(0.42, (x, y, 0.85), rings=7), "leaves", "noise")]
    else:  # chair
        meshes = [box((0.5, 0.5, 0.06), (0, 0, 0.45)), box((0.5, 0.06, 0.5), (0, 0.22, 0.75))] + [
            box((0.05, 0.05, 0.45), (a, b, 0.22)) for a in (-0.2, 0.2) for b in (-0.2, 0.2)
        ]
    mesh = join(meshes)
    return [
        Part(
            Mesh(moved(mesh.verts, (x, y, 0), rng.uniform(-0.6, 0.6)), mesh.faces),
            slot,
            str(rng.choice(["plain", "plank"])),
        )
    ]


_BUILDERS: tuple[tuple[float, Callable[[Rng], Stage]], ...] = (
    (0.32, street),
    (0.24, plaza),
    (0.24, field),
    (0.20, room),
)


def build_stage(rng: Rng) -> Stage:
    """A random set."""
    weight = np.array([w for w, _ in _BUILDERS])
    return _BUILDERS[rng.choice(len(_BUILDERS), p=weight / weight.sum())][1](rng)
