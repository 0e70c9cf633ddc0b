# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural sets: streets, plazas, landscapes, rooms. Every builder leaves a free stage around the origin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .pieces import FURNITURE, MONUMENTS, Rng, Stage, house, modelled, palm, simple_props, street_lamp, tree
from .shapes import Mesh, Part, ball, box, cylinder, join, terrain


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
            parts += house(rng, side * (half + walk + width / 2), y + depth / 2, width, depth, -side, slot)
            y += depth + rng.choice([0.0, 0.0, 1.5])
        for y in np.arange(rng.uniform(-3, 2), 30, rng.uniform(6, 10)):
            item = rng.random()
            x = side * (half + 0.5)
            parts += street_lamp(x, y, side) if item < 0.4 else tree(rng, x, y) if item < 0.8 else []
    if rng.random() < 0.6:
        parts.append(Part(join([box((0.16, 1.6, 0.02), (0, y, 0.005)) for y in np.arange(-10, 40, 3.2)]), "marking"))
    if rng.random() < 0.5:  # the end of the street is closed by a house
        parts += house(rng, 0, rng.uniform(20, 36), 2 * half + 6, 6, 1, "wall1")
    parts.append(Part(box((200, 200, 0.1), (0, 0, -0.25)), "far"))
    things, props = _monuments_beside(rng, half - 0.3)
    return Stage("street", parts + things + simple_props(rng, half - 0.4), 0.4, 3.0, 11.0, props=props)


def _monuments(rng: Rng) -> list[Part]:
    """Trees, columns and low walls around the stage."""
    parts: list[Part] = []
    for _ in range(rng.integers(2, 8)):
        angle, r = rng.uniform(0, 2 * np.pi), rng.uniform(4.5, 9)
        x, y, kind = r * np.sin(angle), abs(r * np.cos(angle)), rng.random()
        if kind < 0.4:
            parts += tree(rng, x, y)
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
            parts += house(rng, x, y, rng.uniform(3, 6), rng.uniform(3, 6), -np.sign(x) or 1, f"wall{rng.integers(3)}")
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
    things, props = _monuments_beside(rng, 3.4)
    return Stage("plaza", parts + things + simple_props(rng, 3.5), 0.7, 3.0, 8.5, props=props)


def field(rng: Rng) -> Stage:
    """Rolling ground with trees, rocks, a fence, hills on the horizon."""
    parts = [Part(terrain(120, rng.uniform(0.3, 2.0), rng), "ground", str(rng.choice(["plain", "noise", "grass"])))]
    for _ in range(rng.integers(2, 12)):
        angle, r = rng.uniform(-1.6, 1.6), rng.uniform(5, 22)
        parts += tree(rng, r * np.sin(angle), r * np.cos(angle))
    for _ in range(rng.integers(0, 6)):
        x, y, s = rng.uniform(-7, 7), rng.uniform(2, 12), rng.uniform(0.2, 0.9)
        parts.append(Part(ball(s, (x, y, s * 0.3), (1, rng.uniform(0.6, 1.2), 0.7), 7), "stone", "noise"))
    fenced = bool(rng.random() < 0.5)
    if fenced:
        y = rng.uniform(3, 8)
        rails = [box((24, 0.06, 0.12), (0, y, z)) for z in (0.45, 0.9)] + [
            box((0.12, 0.12, 1.1), (x, y, 0.55)) for x in np.arange(-12, 12.1, 1.6)
        ]
        parts.append(Part(join(rails), "fence"))
    for _ in range(rng.integers(0, 5)):
        x, y, r = rng.uniform(-50, 50), rng.uniform(40, 60), rng.uniform(10, 22)
        parts.append(Part(ball(r, (x, y, -r * 0.2), (1.4, 1, rng.uniform(0.3, 0.8)), 11), "hill", "noise"))
    if rng.random() < 0.3:
        parts += house(rng, rng.choice([-1, 1]) * rng.uniform(5, 9), rng.uniform(7, 14), 4, 5, 1, "wall0")
    return Stage("field", parts + simple_props(rng, 3.5), 1.0, 3.0, 13.0, props=["fence"] if fenced else [])


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
    props = [str(noun) for noun in rng.choice(FURNITURE, rng.integers(1, 6))]
    for noun in props:
        spot = (rng.choice([-1, 1]) * rng.uniform(0.5, 0.85) * w, rng.uniform(0.0, d - 0.6))
        parts += modelled(rng, noun, spot, rng.uniform(-0.6, 0.6))
    if rng.random() < 0.35:
        parts.append(Part(cylinder(rng.uniform(1.0, 1.8), 0.02, (0, 0, 0), 24), "rug"))
    return Stage("room", parts, 0.45, 3.0, 6.0, indoor=True, props=props)


def hall(rng: Rng) -> Stage:
    """A large interior with two rows of columns, windows high in the walls, light from the open side."""
    w, d, h = rng.uniform(5, 7), rng.uniform(8, 14), rng.uniform(4.5, 6.5)
    parts = [Part(box((2 * w, d + 24, 0.2), (0, d / 2 - 10, -0.1)), "ground", str(rng.choice(["checker", "plain", "plank"])))]
    parts.append(Part(box((2 * w, 0.3, h), (0, d, h / 2)), "wall0", str(rng.choice(["plain", "brick"]))))
    parts += [Part(box((0.3, d + 12, h), (side * w, d / 2 - 6, h / 2)), "wall0") for side in (-1, 1)]
    rows = [(side * w * 0.68, y) for side in (-1, 1) for y in np.arange(-2.0, d, rng.uniform(2.4, 3.6))]
    columns = [cylinder(0.28, h, (x, y, 0), 12) for x, y in rows] + [box((0.8, 0.8, 0.3), (x, y, 0.15)) for x, y in rows]
    parts.append(Part(join(columns), "stone"))
    panes = [box((0.9, 0.1, 1.6), (x, d - 0.17, h - 1.6)) for x in np.arange(-w + 1.2, w - 1, 2.0)]
    parts.append(Part(join(panes), "glass"))
    if rng.random() < 0.5:
        parts.append(Part(box((2.2, 16, 0.02), (0, 4, 0.01)), "rug"))
    things, props = _monuments_beside(rng, w * 0.5)
    return Stage("hall", parts + things, 0.35, 3.0, 8.5, indoor=True, props=props)


def _dunes(rng: Rng, height: float) -> list[Part]:
    return [Part(terrain(140, height, rng), "ground", str(rng.choice(["plain", "noise"])))]


def _rocks(rng: Rng, most: int) -> list[Part]:
    """Boulders beside and behind the stage."""
    parts = []
    for _ in range(rng.integers(1, most)):
        x, y, s = rng.choice([-1, 1]) * rng.uniform(2.2, 9), rng.uniform(0, 14), rng.uniform(0.25, 1.3)
        parts.append(Part(ball(s, (x, y, s * 0.25), (1, rng.uniform(0.6, 1.2), rng.uniform(0.6, 1.3)), 7), "stone", "noise"))
    return parts


def desert(rng: Rng) -> Stage:
    """Dunes, boulders, cacti, table mountains far away."""
    parts = _dunes(rng, rng.uniform(1.5, 4.0)) + _rocks(rng, 7)
    for _ in range(rng.integers(0, 6)):
        x, y, h = rng.choice([-1, 1]) * rng.uniform(2.5, 10), rng.uniform(1, 14), rng.uniform(1.2, 2.6)
        arms = [cylinder(0.12, h * 0.4, (x + s * 0.45, y, h * 0.45), 8) for s in (-1, 1)]
        arms += [box((0.9, 0.16, 0.16), (x, y, h * 0.47))]
        parts.append(Part(join([cylinder(0.2, h, (x, y, 0), 8), *arms]), "leaves"))
    for _ in range(rng.integers(0, 5)):
        size = (rng.uniform(8, 24), rng.uniform(8, 14), rng.uniform(6, 14))
        parts.append(Part(box(size, (rng.uniform(-50, 50), rng.uniform(42, 62), size[2] / 2), rng.uniform(0, 3)), "hill"))
    return Stage("desert", parts, 1.0, 3.0, 13.0)


def beach(rng: Rng) -> Stage:
    """Sand down to the sea behind the stage, palms, boulders, perhaps a jetty."""
    shore = rng.uniform(4, 9)
    sand = box((200, shore + 60, 0.4), (0, shore - (shore + 60) / 2, -0.2))
    parts = [Part(sand, "ground", str(rng.choice(["plain", "noise"])))]
    parts.append(Part(box((260, 160, 0.1), (0, shore + 80, -0.12)), "water"))
    for _ in range(rng.integers(1, 6)):
        parts += palm(rng, rng.choice([-1, 1]) * rng.uniform(2.5, 9), rng.uniform(-1, shore - 0.5))
    if rng.random() < 0.4:
        x = rng.choice([-1, 1]) * rng.uniform(2, 5)
        posts = [box((0.15, 0.15, 1.4), (x + s * 0.7, y, 0)) for s in (-1, 1) for y in np.arange(shore - 1, shore + 10, 2.0)]
        parts.append(Part(join([box((1.6, 12, 0.12), (x, shore + 5, 0.55)), *posts]), "fence", "plank"))
    return Stage("beach", parts + _rocks(rng, 5), 0.9, 3.0, 12.0)


def _boat(rng: Rng, x: float, y: float) -> list[Part]:
    """A hull with a cabin and a mast."""
    outline = np.array([(-0.5, -1), (0.5, -1), (0.6, 0.2), (0, 1.2), (-0.6, 0.2)]) * [1.6, 2.2]
    low = np.c_[outline * [0.7, 0.9], np.full(5, -0.4)] + [x, y, 0]
    high = np.c_[outline, np.full(5, 0.7)] + [x, y, 0]
    faces = [tuple(range(5))[::-1], tuple(range(5, 10)), *((i, (i + 1) % 5, 5 + (i + 1) % 5, 5 + i) for i in range(5))]
    hull = Part(Mesh(np.concatenate([low, high]).astype(np.float32), list(faces)), f"prop{rng.integers(3)}", "plank")
    cabin, mast = box((1.2, 1.4, 1.0), (x, y - 0.8, 1.1)), cylinder(0.07, 4.5, (x, y + 0.4, 0.6), 8)
    return [hull, Part(cabin, "wall1"), Part(mast, "trunk")]


def harbour(rng: Rng) -> Stage:
    """A quay with crates and barrels, boats on the water, houses on the other side."""
    edge = rng.uniform(3.0, 5.0)
    paving = str(rng.choice(["plain", "cobble", "checker"]))
    parts = [Part(box((120, edge + 40, 1.0), (0, edge - (edge + 40) / 2, -0.5)), "ground", paving)]
    parts.append(Part(box((260, 160, 0.1), (0, edge + 80, -0.75)), "water"))
    for x in np.arange(-12, 13, rng.uniform(4.5, 7.5)):
        if rng.random() < 0.65:
            parts += [_shifted(part, -0.5) for part in _boat(rng, x, edge + rng.uniform(2.8, 6))]
    for x in np.arange(-30, 30, 6.0):
        if rng.random() < 0.7:
            parts += house(rng, x, edge + 38, rng.uniform(4, 6), 5, 1, f"wall{rng.integers(3)}")
    props = ["barrel"] * int(rng.integers(0, 3))
    for noun in props:
        parts += modelled(rng, noun, (rng.choice([-1, 1]) * rng.uniform(1.8, 5), rng.uniform(0, edge - 0.6)), 0.0)
    return Stage("harbour", parts + simple_props(rng, 4.0), 0.8, 3.0, 10.0, props=props)


def _shifted(part: Part, z: float) -> Part:
    return Part(Mesh(part.mesh.verts + np.float32([0, 0, z]), part.mesh.faces, part.mesh.smooth), part.slot, part.pattern)


def _monuments_beside(rng: Rng, reach: float) -> tuple[list[Part], list[str]]:
    """One or two modelled things at the sides of the stage and behind it, and their nouns."""
    parts: list[Part] = []
    nouns = [str(noun) for noun in rng.choice(MONUMENTS, rng.integers(0, 3), replace=False)]
    for noun in nouns:
        side = rng.choice([-1, 1])
        spot = (side * rng.uniform(0.7, 1.0) * reach, rng.uniform(0.5, 6.0))
        parts += modelled(rng, noun, spot, rng.uniform(-0.5, 0.5) if noun != "bench" else -side * rng.uniform(0.3, 1.2))
    return parts, nouns


_BUILDERS: tuple[tuple[float, Callable[[Rng], Stage]], ...] = (
    (0.24, street),
    (0.15, plaza),
    (0.17, field),
    (0.18, room),
    (0.07, hall),
    (0.07, desert),
    (0.06, beach),
    (0.06, harbour),
)


def build_stage(rng: Rng) -> Stage:
    """A random set."""
    weight = np.array([w for w, _ in _BUILDERS])
    return _BUILDERS[rng.choice(len(_BUILDERS), p=weight / weight.sum())][1](rng)
