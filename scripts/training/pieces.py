# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that sets are made of: houses, trees, lamps, furniture, monuments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .shapes import Mesh, Part, ball, box, capsule, cone, cylinder, join, moved, revolve, roof

Rng = np.random.Generator
Place = tuple[float, float]


@dataclass
class Stage:
    """A set. The camera may stand within `arc` radians of the -Y axis, `near` to `far` metres from the origin; `props`
    are the nouns of its modelled things."""

    kind: str
    parts: list[Part]
    arc: float
    near: float
    far: float
    indoor: bool = False
    props: list[str] = field(default_factory=list)


def tree(rng: Rng, x: float, y: float) -> list[Part]:
    """A trunk with a crown of balls or of cones."""
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


def street_lamp(x: float, y: float, side: float) -> list[Part]:
    """A pole with an arm over the road, whose lamp glows at night."""
    pole = join([cylinder(0.06, 4.0, (x, y, 0), 8), box((1.0, 0.08, 0.08), (x - side * 0.45, y, 4.0))])
    return [Part(pole, "metal"), Part(box((0.4, 0.2, 0.12), (x - side * 0.9, y, 3.92)), "lamp")]


def house(rng: Rng, x: float, y: float, width: float, depth: float, face: float, slot: str) -> list[Part]:
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


def simple_props(rng: Rng, reach: float) -> list[Part]:
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


def palm(rng: Rng, x: float, y: float) -> list[Part]:
    """A leaning trunk with a star of long leaves."""
    h, lean = rng.uniform(2.4, 4.2), rng.uniform(-0.4, 0.4, 2)
    rings = [cylinder(0.11, h / 5 + 0.02, (x + lean[0] * k / 5, y + lean[1] * k / 5, h * k / 5), 8) for k in range(5)]
    top, leaves = (x + lean[0], y + lean[1], h), []
    for angle in np.arange(0, 2 * np.pi, 0.9):
        leaf = ball(0.75, (0.7, 0, 0), (1, 0.22, 0.10), 5)
        drop = leaf.verts * [1, 1, 1] - np.outer(np.clip(leaf.verts[:, 0], 0, None) ** 2 * 0.3, [0, 0, 1])
        leaves.append(Mesh(moved(drop, top, angle), leaf.faces, True))
    return [Part(join(rings), "trunk"), Part(join(leaves), "leaves", "noise")]


def _legs(width: float, depth: float, height: float, thick: float) -> list[Mesh]:
    """Four legs below the corners of a (width, depth) top."""
    spots = [(a * (width - thick) / 2, b * (depth - thick) / 2) for a in (-1, 1) for b in (-1, 1)]
    return [box((thick, thick, height), (x, y, height / 2)) for x, y in spots]


def _table(_rng: Rng) -> list[Mesh]:
    return [box((1.2, 0.8, 0.08), (0, 0, 0.75)), *_legs(1.1, 0.7, 0.75, 0.08)]


def _sofa(_rng: Rng) -> list[Mesh]:
    arms = [box((0.2, 0.8, 0.65), (x, 0, 0.32)) for x in (-0.8, 0.8)]
    return [box((1.7, 0.8, 0.45), (0, 0, 0.22)), box((1.7, 0.2, 0.9), (0, 0.3, 0.45)), *arms]


def _shelf(_rng: Rng) -> list[Mesh]:
    sides = [box((0.05, 0.35, 1.65), (x, 0, 0.82)) for x in (-0.5, 0.5)]
    return [box((1.0, 0.35, 0.05), (0, 0, z)) for z in (0.1, 0.6, 1.1, 1.6)] + sides


def _chair(_rng: Rng) -> list[Mesh]:
    return [box((0.5, 0.5, 0.06), (0, 0, 0.45)), box((0.5, 0.06, 0.5), (0, 0.22, 0.75)), *_legs(0.5, 0.5, 0.45, 0.05)]


def _bench(_rng: Rng) -> list[Mesh]:
    boards = [box((1.6, 0.12, 0.04), (0, y, 0.45)) for y in (-0.18, 0, 0.18)]
    return boards + [box((1.6, 0.04, 0.12), (0, 0.26, z)) for z in (0.62, 0.82)] + _legs(1.4, 0.5, 0.88, 0.07)


def _barrel(_rng: Rng) -> list[Mesh]:
    return [revolve([(0.28, 0), (0.36, 0.25), (0.38, 0.45), (0.36, 0.65), (0.28, 0.9)], sides=14)]


def _arch(_rng: Rng) -> list[Mesh]:
    angles = np.linspace(0, np.pi, 9)
    ring = [box((0.45, 0.5, 0.42), (1.1 * np.cos(a), 0, 2.0 + 1.1 * np.sin(a))) for a in angles]
    return ring + [box((0.5, 0.5, 2.0), (x, 0, 1.0)) for x in (-1.1, 1.1)]


def _stairs(rng: Rng) -> list[Mesh]:
    return [box((1.8, 0.35, 0.2 * (k + 1)), (0, 0.35 * k, 0.1 * (k + 1))) for k in range(int(rng.integers(3, 7)))]


def _statue(rng: Rng) -> list[Mesh]:
    body = revolve([(0.25, 0), (0.2, 0.5), (0.28, 0.9), (0.1, 1.05)], (0, 0, 0.9), 12)
    arm = capsule(0.07, 0.6)
    raised = Mesh(moved(arm.verts, (0.26, 0, 1.65 if rng.random() < 0.5 else 1.1)), arm.faces, True)
    return [box((0.8, 0.8, 0.9), (0, 0, 0.45)), body, ball(0.16, (0, 0, 2.08), rings=8), raised]


def _lantern(_rng: Rng) -> list[Mesh]:
    return [cylinder(0.18, 0.03), cylinder(0.02, 1.4), revolve([(0.24, 1.35), (0.14, 1.7)], sides=12)]


#: noun -> (what it is made of, its patterns, its mesh about the origin, facing -Y)
_MODELLED: dict[str, tuple[str, tuple[str, ...], Callable[[Rng], list[Mesh]]]] = {
    "table": ("prop0", ("plain", "plank"), _table),
    "sofa": ("prop1", ("plain",), _sofa),
    "shelf": ("prop0", ("plain", "plank"), _shelf),
    "chair": ("prop0", ("plain", "plank"), _chair),
    "bench": ("fence", ("plank", "plain"), _bench),
    "barrel": ("fence", ("plank",), _barrel),
    "arch": ("stone", ("plain", "brick"), _arch),
    "stairs": ("stone", ("plain",), _stairs),
    "statue": ("stone", ("plain", "noise"), _statue),
    "lamp": ("lamp", ("plain",), _lantern),
}
FURNITURE, MONUMENTS = ("table", "sofa", "shelf", "chair", "plant", "lamp"), ("bench", "barrel", "arch", "stairs", "statue")
NOUNS = tuple(dict.fromkeys((*FURNITURE, *MONUMENTS, "fence")))


def modelled(rng: Rng, noun: str, place: Place, yaw: float) -> list[Part]:
    """A thing called `noun` standing at `place`, turned by `yaw` from facing -Y. Raises KeyError for an unknown noun."""
    x, y = place
    if noun == "plant":
        return [Part(cylinder(0.2, 0.4, (x, y, 0)), "prop2"), Part(ball(0.42, (x, y, 0.85), rings=7), "leaves", "noise")]
    slot, patterns, make = _MODELLED[noun]
    mesh = join(make(rng))
    return [Part(Mesh(moved(mesh.verts, (x, y, 0), yaw), mesh.faces, mesh.smooth), slot, str(rng.choice(patterns)))]
