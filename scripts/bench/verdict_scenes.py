# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenes that the verdict is measured on, small and busy, each with a move of the camera and actors that stand out.

Each ``scene_NAME`` builds one (see verdict_shots.SCENES). Lengths in metres, z up, seconds; the camera looks along +y at first.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import bpy

from ..demo.solids import Solid
from .verdict_actors import ball, beast, cart, walker
from .verdict_props import (
    BRICK,
    FPS,
    FRAMES,
    GRASS,
    PLUM,
    SAND,
    SLATE,
    STONE,
    TEAL,
    WOOD,
    View,
    block,
    camera,
    crates,
    daylight,
    hills,
    surface,
)

GRAVITY = 9.81          # m/s^2
_EAST, _WEST = math.pi / 2.0, -math.pi / 2.0    # headings of what walks along -y


def build(name: str, gravity: float = GRAVITY) -> bpy.types.Scene:
    """An empty file's scene with ``name``'s content; a ball that it throws falls at ``gravity`` (m/s^2). Raises KeyError
    for a name without a scene."""
    make: Callable[[bpy.types.Scene, float], None] = globals()[f"scene_{name}"]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end, scene.render.fps = FRAMES[0], FRAMES[-1], FPS
    scene.render.engine = "CYCLES"
    scene.cycles.max_bounces, scene.cycles.filter_width = 0, 1.0
    make(scene, gravity)
    for item in scene.objects:
        if item.type == "MESH":     # or each glows on all others, by rays that find it by chance
            item.visible_diffuse = False
    return scene


def scene_street(scene: bpy.types.Scene, gravity: float) -> None:
    """Houses, a pavement and crates; the camera trucks along with a walker; a ball is thrown."""
    block(scene, "Road", (-14.0, -7.0, -0.2), (14.0, 9.0, 0.0), surface(STONE, 2.2, "cells", 0.7))
    block(scene, "House", (-14.0, 5.0, 0.0), (-1.0, 9.0, 7.0), surface(BRICK, 1.6, "bricks", 0.9))
    block(scene, "Barn", (-0.6, 6.0, 0.0), (5.0, 9.0, 7.0), surface(WOOD, 1.8, "bands", 0.5))
    block(scene, "Shop", (5.2, 5.0, 0.0), (14.0, 9.0, 7.0), surface(TEAL, 1.5, "checker", 0.8))
    block(scene, "Kerb", (-14.0, 3.4, 0.0), (14.0, 5.2, 0.16), surface(SAND, 2.5, "checker", 0.6))
    crates(scene, [surface(WOOD, 3.0, "checker", 0.3), surface(PLUM, 3.0, "cells", 0.3)],
           [(-5.0, 3.0), (-2.6, 3.4), (2.8, 2.8), (4.9, 3.0), (7.0, 2.0), (-6.5, 1.4)], (0.6, 1.2), 3)
    walker(scene, (-2.4, 0.3, 0.0), _EAST)
    ball(scene, (0.0, -1.2, 0.95), (0.8, 0.1, 4.1), gravity)
    daylight(scene, (0.5, 0.6, -0.9))
    camera(scene, lambda t: ((-1.2 + 0.85 * t, -6.4, 1.7), (-1.2 + 0.85 * t + 0.10 * t, 0.0, 1.15), 30.0))


def scene_room(scene: bpy.types.Scene, _gravity: float) -> None:
    """A room with a table, shelves and boxes; the camera dollies in past a cart."""
    block(scene, "Floor", (-4.5, -6.5, -0.2), (4.5, 4.0, 0.0), surface(WOOD, 2.5, "checker", 0.5))
    block(scene, "Back", (-4.5, 4.0, 0.0), (4.5, 4.3, 4.0), surface(SLATE, 2.0, "bands", 0.35))
    block(scene, "Left", (-4.8, -6.5, 0.0), (-4.5, 4.3, 4.0), surface(SAND, 2.2, "bricks", 0.6))
    block(scene, "Right", (4.5, -6.5, 0.0), (4.8, 4.3, 4.0), surface(BRICK, 2.0, "cells", 0.5))
    shelf, cloth = surface(WOOD, 4.0, "bands", 0.2), surface(TEAL, 4.0, "checker", 0.25)
    for number, z in enumerate((0.5, 1.1, 1.7)):
        block(scene, f"Shelf {number}", (1.2, 3.4, z), (3.9, 4.0, z + 0.08), shelf)
        for item in range(4):
            block(scene, f"Book {number} {item}", (1.4 + 0.6 * item, 3.5, z + 0.08), (1.75 + 0.6 * item, 3.9, z + 0.42),
                  cloth if (item + number) % 2 else surface(PLUM, 5.0, "cells", 0.15), 0.2 * item)
    block(scene, "Table", (-3.8, 1.6, 0.0), (-1.8, 2.9, 0.85), surface(STONE, 4.0, "cells", 0.25), 0.15)
    crates(scene, [surface(SAND, 4.0, "checker", 0.2), cloth], [(-0.4, 3.2), (-3.9, -1.0), (3.7, -0.6), (3.8, 1.4)],
           (0.5, 0.9), 5)
    cart(scene, (-1.7, 0.1, 0.0), 0.10, 1.25, 0.12)
    daylight(scene, (-0.45, 0.7, -0.9))
    camera(scene, lambda t: ((0.7 - 0.35 * t, -5.4 + 0.75 * t, 1.75), (-0.1 - 0.15 * t, 1.0, 0.95), 30.0))


def scene_terrain(scene: bpy.types.Scene, _gravity: float) -> None:
    """Hills with rocks; the camera cranes up over an animal that walks below."""
    rise = hills(scene, surface(GRASS, 2.4, "cells", 0.6), (-12.0, -7.0), (12.0, 13.0), 0.0, 1.1, 4)
    _rocks(scene, rise, surface(STONE, 3.0, "cells", 0.3), 22, 8)
    beast(scene, (1.5, 0.0, 0.0), _WEST)
    daylight(scene, (-0.6, 0.5, -0.8))
    camera(scene, lambda t: ((0.2, -5.0, 1.15 + 0.65 * t), (-0.05 - 0.15 * t, 0.0, 0.75 - 0.05 * t), 28.0))


def scene_court(scene: bpy.types.Scene, gravity: float) -> None:
    """A court with pillars; the camera is locked off, a walker comes by, a ball is thrown."""
    block(scene, "Ground", (-9.0, -7.0, -0.2), (9.0, 6.0, 0.0), surface(SAND, 2.4, "checker", 0.7))
    block(scene, "Wall", (-9.0, 5.0, 0.0), (9.0, 6.0, 5.0), surface(STONE, 1.8, "bricks", 0.8))
    pillar = surface(SLATE, 3.0, "bands", 0.3)
    for number in range(6):
        block(scene, f"Pillar {number}", (-5.3 + 2.1 * number, 3.0, 0.0), (-4.8 + 2.1 * number, 3.5, 4.0), pillar, 0.4)
    crates(scene, [surface(BRICK, 3.5, "cells", 0.25)], [(-3.6, 1.6), (3.9, 1.4), (0.4, 2.2)], (0.5, 0.8), 9)
    walker(scene, (-0.2, 1.2, 0.0), -0.75, 0.3)
    ball(scene, (0.9, -1.0, 0.95), (0.55, 0.0, 4.1), gravity, palette=TEAL)
    daylight(scene, (0.6, 0.5, -1.0))
    camera(scene, lambda _t: ((0.3, -6.0, 1.9), (0.3, 0.0, 1.05), 30.0))


def scene_canyon(scene: bpy.types.Scene, _gravity: float) -> None:
    """Between two rows of tall boxes; the camera is carried forward by hand behind a walker."""
    block(scene, "Ground", (-8.0, -7.0, -0.2), (8.0, 14.0, 0.0), surface(WOOD, 2.2, "cells", 0.6))
    for number in range(6):
        for side, palette, pattern in ((-1.0, SAND, "bricks"), (1.0, SLATE, "checker")):
            near = 2.1 + 0.5 * ((3 * number + int(side)) % 3)
            block(scene, f"Tower {side:+.0f} {number}", (min(side * near, side * 6.5), -5.0 + 2.6 * number, 0.0),
                  (max(side * near, side * 6.5), -2.7 + 2.6 * number, 3.2 + 0.9 * ((2 * number) % 4)),
                  surface(palette, 2.2, pattern, 0.5))
    block(scene, "End", (-8.0, 11.0, 0.0), (8.0, 12.0, 8.0), surface(BRICK, 1.4, "bricks", 1.0))
    walker(scene, (-1.0, 0.0, 0.0), 2.3, 0.5)
    daylight(scene, (0.25, 0.75, -1.0))

    def view(t: float) -> View:
        sway = 0.10 * math.sin(5.1 * t + 0.4) + 0.04 * math.sin(9.7 * t)
        bob = 0.05 * math.sin(7.3 * t) + 0.02 * math.sin(12.1 * t)
        return ((0.75 - 0.45 * t + sway, -5.2 + 0.8 * t, 1.6 + bob), (-0.15 + 1.3 * sway, 1.5, 1.05 + 0.8 * bob), 28.0)

    camera(scene, view)


def scene_plaza(scene: bpy.types.Scene, gravity: float) -> None:
    """A square with houses around it; the camera orbits a walker, a ball flies by and turns slowly."""
    block(scene, "Ground", (-11.0, -11.0, -0.2), (11.0, 11.0, 0.0), surface(BRICK, 2.4, "checker", 0.6))
    for number in range(9):
        angle = 0.35 + 0.32 * number
        x, y = 8.0 * math.cos(angle), 8.0 * math.sin(angle)
        palette, pattern = ((STONE, "bricks"), (SAND, "checker"), (TEAL, "bands"))[number % 3]
        block(scene, f"House {number}", (x - 1.25, y - 1.0, 0.0), (x + 1.25, y + 1.0, 3.5 + number % 4),
              surface(palette, 1.8, pattern, 0.6), angle - math.pi / 2.0)
    crates(scene, [surface(WOOD, 3.5, "bands", 0.2), surface(PLUM, 3.5, "cells", 0.25)],
           [(-2.8, 2.6), (2.9, 3.0), (0.2, 4.2), (-4.6, 1.2), (4.8, 1.4)], (0.6, 1.0), 12)
    walker(scene, (-1.6, 0.9, 0.0), _EAST + 0.2, 0.15)
    ball(scene, (0.5, -1.0, 0.95), (0.75, 0.25, 4.1), gravity, spin=0.6, palette=SLATE)
    daylight(scene, (-0.5, 0.6, -0.9))

    def view(t: float) -> View:
        angle = -1.75 + 0.16 * t
        return (5.9 * math.cos(angle), 5.9 * math.sin(angle), 1.8), (0.25, 0.0, 1.1), 30.0

    camera(scene, view)


def scene_yard(scene: bpy.types.Scene, _gravity: float) -> None:
    """A yard with sheds and a fence; the camera only pans, with a cart that drives by."""
    block(scene, "Ground", (-11.0, -7.0, -0.2), (11.0, 8.0, 0.0), surface(GRASS, 2.4, "cells", 0.5))
    for number in range(12):
        left = -9.0 + 1.5 * number
        block(scene, f"Board {number}", (left, 4.6, 0.0), (left + 1.3, 4.75, 2.2 + 0.3 * (number % 3)),
              surface((WOOD, SAND)[number % 2], 2.5, "bands", 0.25))
    block(scene, "Shed", (-4.6, 2.4, 0.0), (-2.2, 4.2, 2.3), surface(BRICK, 2.4, "bricks", 0.5), 0.1)
    block(scene, "Tank", (2.9, 2.6, 0.0), (4.7, 4.0, 1.7), surface(STONE, 2.6, "cells", 0.4), -0.2)
    crates(scene, [surface(TEAL, 3.5, "checker", 0.2), surface(SLATE, 3.5, "bands", 0.2)],
           [(-1.2, 3.4), (0.6, 2.9), (1.9, 3.6), (-6.2, 2.0), (6.4, 2.2)], (0.5, 1.0), 21)
    block(scene, "Wall", (-14.0, 8.0, 0.0), (14.0, 9.0, 7.0), surface(SAND, 1.5, "bricks", 0.9))
    cart(scene, (1.6, 0.4, 0.0), 3.2, 1.45, -0.1)
    daylight(scene, (0.7, 0.55, -0.95))

    def view(t: float) -> View:
        angle = 0.16 - 0.20 * t
        return (0.0, -5.0, 1.6), (5.5 * math.sin(angle), -5.0 + 5.5 * math.cos(angle), 0.95), 30.0

    camera(scene, view)


def scene_hall(scene: bpy.types.Scene, gravity: float) -> None:
    """Indoors between columns; the camera trucks and zooms in on an animal; a ball leaps off a plinth."""
    block(scene, "Floor", (-6.5, -7.0, -0.2), (6.5, 5.0, 0.0), surface(STONE, 2.6, "checker", 0.6))
    block(scene, "Back", (-6.5, 5.0, 0.0), (6.5, 5.3, 5.0), surface(TEAL, 1.8, "bricks", 0.7))
    block(scene, "Left", (-6.8, -7.0, 0.0), (-6.5, 5.3, 5.0), surface(PLUM, 2.0, "checker", 0.6))
    block(scene, "Right", (6.5, -7.0, 0.0), (6.8, 5.3, 5.0), surface(SAND, 2.0, "bands", 0.4))
    column = surface(BRICK, 3.0, "cells", 0.3)
    for number in range(5):
        block(scene, f"Column {number}", (-4.3 + 2.0 * number, 2.6, 0.0), (-3.8 + 2.0 * number, 3.1, 4.5), column, 0.3 * number)
    block(scene, "Plinth", (0.65, -0.75, 0.0), (1.15, -0.25, 0.59), surface(WOOD, 4.0, "bands", 0.15), 0.3)
    beast(scene, (-2.3, 1.0, 0.0), _EAST)
    ball(scene, (0.9, -0.5, 0.95), (0.75, -0.45, 4.1), gravity, release=4, palette=PLUM)
    daylight(scene, (-0.5, 0.75, -1.0))
    camera(scene, lambda t: ((0.9 - 0.55 * t, -5.6, 1.7), (0.45 - 0.2 * t, 0.0, 1.05), 28.0 + 3.2 * t))


def scene_quarry(scene: bpy.types.Scene, _gravity: float) -> None:
    """Rocks and blocks on rough ground, nobody there; the camera trucks, pans and tilts."""
    rise = hills(scene, surface(SAND, 2.4, "cells", 0.5), (-12.0, -7.0), (12.0, 13.0), -1.5, 1.3, 31)
    _rocks(scene, rise, surface(SLATE, 3.0, "cells", 0.3), 26, 17)
    crates(scene, [surface(STONE, 2.5, "bricks", 0.4), surface(BRICK, 2.5, "checker", 0.3)],
           [(-1.4, -1.2), (1.2, -1.0), (0.2, 0.2), (-2.9, 0.1), (2.8, 0.3)], (0.7, 1.5), 33)
    daylight(scene, (0.55, 0.5, -0.85))
    camera(scene, lambda t: ((-0.8 + 0.7 * t, -6.0, 1.8 + 0.1 * t), (-0.6 + 0.95 * t, 0.0, 1.1 - 0.2 * t), 30.0))


def _rocks(scene: bpy.types.Scene, rise: Callable[[float, float], float], material: bpy.types.Material, count: int,
           seed: int) -> None:
    """Lumps beyond the track, half in the ground."""
    chance = random.Random(seed)
    solid = Solid("Rocks", [material])
    for number in range(count):
        x, y, size = chance.uniform(-6.0, 6.0), chance.uniform(1.8, 8.0), chance.uniform(0.25, 0.75)
        solid.blob((x, y, rise(x, y)), (size, size * 0.9, size * 0.8), lumps=0.12, seed=float(number))
    solid.object(scene.collection)
