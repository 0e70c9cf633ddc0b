# SPDX-License-Identifier: GPL-3.0-or-later
"""The set: a road along y between two rows of town houses, with what stands on the pavements and at the kerbs."""

from __future__ import annotations

from math import pi

import bpy

from .houses import House, build_house
from .solids import Solid, collection, material, put

ROAD = 3.5
"""half width of the road (m); its surface is z = 0"""
FRONT = 7.0
"""distance of the house fronts from the middle of the road (m)"""
KERB = 0.14
"""height of the pavements (m)"""
_ENDS = (-62.0, 46.0)
POST_Y = -0.40
"""where the lamp post stands that passes before the walker (m)"""

_CREAM, _BRICK, _OCHRE, _SAGE = (0.72, 0.62, 0.44), (0.42, 0.13, 0.08), (0.70, 0.38, 0.12), (0.30, 0.42, 0.27)
_SKY, _ROSE, _WHITE, _SLATE = (0.26, 0.42, 0.58), (0.66, 0.30, 0.28), (0.78, 0.77, 0.73), (0.25, 0.28, 0.33)
_RED, _BLUE, _GREEN, _DARK = (0.45, 0.04, 0.03), (0.04, 0.12, 0.36), (0.04, 0.20, 0.10), (0.08, 0.06, 0.05)

#: houses from y = _ENDS[1] downwards; None is a gap (m) with a garden
_FAR: tuple[House | float, ...] = (
    House(7.0, 3, _SKY, _DARK), House(6.0, 2, _WHITE, _BLUE, shop=True, gable=False), House(7.0, 4, _BRICK, _DARK),
    House(6.5, 3, _CREAM, _GREEN, bay=True), House(7.0, 3, _ROSE, _BLUE, shop=True, gable=False),
    House(5.5, 3, _SAGE, _RED), House(6.5, 2, _OCHRE, _GREEN, shop=True), 9.0, House(6.5, 3, _WHITE, _RED, bay=True),
    House(7.0, 3, _BRICK, _DARK, gable=False), House(6.0, 2, _SKY, _RED, shop=True), House(7.0, 3, _CREAM, _BLUE),
    House(6.0, 4, _ROSE, _DARK, gable=False), House(7.0, 2, _SAGE, _DARK), House(7.0, 3, _WHITE, _GREEN))
_NEAR: tuple[House | float, ...] = (
    House(6.5, 2, _OCHRE, _GREEN, shop=True), House(7.0, 3, _SLATE, _RED, gable=False), House(6.0, 2, _WHITE, _BLUE),
    House(7.0, 3, _ROSE, _DARK, bay=True), House(6.5, 2, _SAGE, _RED, shop=True), House(6.0, 3, _CREAM, _DARK),
    House(7.0, 2, _BRICK, _BLUE), House(6.5, 2, _SKY, _GREEN, gable=False), House(7.0, 2, _WHITE, _RED, shop=True),
    House(6.5, 3, _OCHRE, _DARK), House(7.0, 2, _ROSE, _GREEN), House(6.0, 3, _BRICK, _BLUE),
    House(7.0, 2, _CREAM, _RED), House(7.0, 3, _SKY, _DARK), House(7.0, 2, _WHITE, _GREEN))


def build_street(scene: bpy.types.Scene) -> None:
    """The collection "Set"."""
    into = collection(scene, "Set")
    _ground(into)
    for side, row in ((-1, _FAR), (1, _NEAR)):
        y = _ENDS[1]
        for number, item in enumerate(row):
            width = item.width if isinstance(item, House) else item
            if isinstance(item, House):
                name = f"House {'Far' if side < 0 else 'Near'} {number:02}"
                build_house(name, item, into, (side * FRONT, y - width / 2, 0.0), -side * pi / 2)
            y -= width
    _street_ends(into)
    lamp, bench = _lamp(), _bench()
    for number, (x, y) in enumerate(((3.75, 0), (3.75, 13), (3.75, 26), (3.75, -13), (-3.85, 7), (-3.85, 20),
                                     (-3.85, -7), (-3.85, -20))):
        put(f"Lamp Post {number}", lamp, into, (x, POST_Y + y, KERB))
    put("Bench", bench, into, (-5.3, 1.2, KERB), pi / 2)
    put("Bench Garden", bench, into, (-9.2, -6.6, KERB), pi / 2)
    _trees(into)
    _cars(into)


def _ground(into: bpy.types.Collection) -> None:
    low, high = _ENDS
    colours = (("Asphalt", (0.105, 0.108, 0.115)), ("Marking", (0.78, 0.77, 0.72)), ("Paving", (0.40, 0.37, 0.33)),
               ("Kerb", (0.58, 0.56, 0.52)), ("Grass", (0.10, 0.24, 0.05)))
    asphalt, marking, paving, kerb, green = (material(name, colour) for name, colour in colours)
    road = Solid("Road", [asphalt, marking])
    road.box((-ROAD, low, -0.3), (ROAD, high, 0.0))
    y = high - 1.0
    while y > low:
        if not -9.5 < y < -4.0:
            road.box((-0.07, y - 1.6, -0.1), (0.07, y, 0.004), 1)
        y -= 3.6
    for k in range(9):
        x = -ROAD + 0.3 + k * 0.78
        road.box((x, -9.0, -0.1), (x + 0.42, -6.4, 0.004), 1)
    road.object(into)
    for side, name in ((-1, "Far"), (1, "Near")):
        _pavement(f"Pavement {name}", side, paving, kerb, into)
    grass = Solid("Grass", [green])
    grass.box((-90, low - 60, -0.6), (90, high + 60, -0.31))
    grass.box((-20, -9.6, -0.2), (-FRONT - 0.8, 1.2, KERB + 0.01))
    grass.object(into)
    wall = Solid("Garden Wall", [material("Brick", _BRICK), kerb])
    wall.box((-20.0, -8.9, 0), (-19.7, 1.0, 1.6))
    wall.box((-20.1, -8.9, 1.6), (-19.6, 1.0, 1.7), 1)
    wall.object(into)


def _pavement(name: str, side: int, paving: bpy.types.Material, kerb: bpy.types.Material,
              into: bpy.types.Collection) -> None:
    """Slabs from the kerb to the house fronts, with joints every 1.5 m."""
    low, high = _ENDS
    inner, edge, outer = (side * x for x in (ROAD, ROAD + 0.22, FRONT + 1.0))
    path = Solid(name, [paving, kerb])
    path.box((min(edge, outer), low, -0.3), (max(edge, outer), high, KERB))
    path.box((min(inner, edge), low, -0.3), (max(inner, edge), high, KERB + 0.02), 1)
    for k in range(int((high - low) / 1.5)):
        joint = low + k * 1.5
        path.box((min(edge, outer), joint, KERB), (max(edge, outer), joint + 0.03, KERB + 0.002), 1)
    path.object(into)


def _street_ends(into: bpy.types.Collection) -> None:
    """A clock tower where the street ends one way, a row of houses the other way."""
    tower = Solid("Clock Tower", [material("Stone", (0.52, 0.45, 0.35)), material("Slate", (0.10, 0.16, 0.20)),
                                  material("Dial", (0.85, 0.83, 0.78)), material("Hands", (0.04, 0.04, 0.05))])
    y = _ENDS[1] + 6.0
    tower.box((-3.0, y, 0), (3.0, y + 6, 13.0))
    tower.box((-3.3, y - 0.3, 13.0), (3.3, y + 6.3, 13.5))
    tower.box((-2.7, y + 0.3, 13.5), (2.7, y + 5.7, 17.0))
    tower.cone((0, y + 3, 17.0), (0, y + 3, 22.5), (4.1, 0.0), 1, sides=4)
    tower.cone((0, y + 0.35, 15.2), (0, y + 0.15, 15.2), (1.4, 1.4), 2, sides=24)
    tower.box((-0.1, y + 0.08, 15.1), (0.1, y + 0.2, 16.3), 3)
    tower.box((-0.05, y + 0.08, 15.1), (0.8, y + 0.2, 15.3), 3)
    for x in (-1.4, 1.4):
        tower.box((x - 0.5, y - 0.05, 6.0), (x + 0.5, y + 0.1, 9.0), 1)
    tower.object(into)
    for x, wall in ((-7.5, _CREAM), (7.5, _BRICK)):
        build_house(f"House North {x:+.0f}", House(9.0, 3, wall), into, (x, _ENDS[1] + 7.0, 0), 0.0)
    for x, wall in ((-7.0, _OCHRE), (0.0, _WHITE), (7.0, _BRICK)):
        build_house(f"House South {x:+.0f}", House(7.0, 3, wall), into, (x, _ENDS[0] - 3.0, 0), pi)


def _lamp() -> bpy.types.Mesh:
    lamp = Solid("Lamp", [material("Iron", (0.03, 0.06, 0.05), 0.5), material("Lamp Glass", (0.92, 0.86, 0.62), 0.3)])
    lamp.cone((0, 0, 0), (0, 0, 0.45), (0.13, 0.10))
    lamp.cone((0, 0, 0.45), (0, 0, 0.60), (0.10, 0.06))
    lamp.cone((0, 0, 0.6), (0, 0, 3.7), (0.05, 0.04))
    lamp.cone((0, 0, 3.7), (0, 0, 3.8), (0.12, 0.14))
    lamp.cone((0, 0, 3.8), (0, 0, 4.3), (0.13, 0.21), 1, sides=6)
    lamp.cone((0, 0, 4.3), (0, 0, 4.55), (0.26, 0.04), sides=6)
    lamp.ball((0, 0, 4.6), (0.05, 0.05, 0.08))
    return lamp.mesh()


def _bench() -> bpy.types.Mesh:
    """A bench that faces -y, 1.8 m long."""
    bench = Solid("Bench", [material("Wood", (0.36, 0.17, 0.06)), material("Iron", (0.03, 0.06, 0.05), 0.5)])
    for k in range(4):
        bench.box((-0.9, -0.28 + k * 0.13, 0.43), (0.9, -0.18 + k * 0.13, 0.47))
    for k in range(3):
        bench.box((-0.9, 0.25 + 0.02 * k, 0.55 + k * 0.14), (0.9, 0.29 + 0.02 * k, 0.66 + k * 0.14))
    for x in (-0.75, 0.75):
        bench.box((x - 0.03, -0.25, 0), (x + 0.03, -0.19, 0.43), 1)
        bench.box((x - 0.03, 0.22, 0), (x + 0.03, 0.30, 0.95), 1)
        bench.box((x - 0.03, -0.27, 0.62), (x + 0.03, 0.28, 0.66), 1)
        bench.box((x - 0.03, -0.27, 0.43), (x + 0.03, -0.21, 0.66), 1)
    return bench.mesh()


def _trees(into: bpy.types.Collection) -> None:
    kinds = []
    for number, leaf in enumerate(((0.09, 0.27, 0.045), (0.20, 0.34, 0.05))):
        tree = Solid(f"Tree {number}", [material("Bark", (0.17, 0.10, 0.06)), material(f"Leaves {number}", leaf)])
        tree.cone((0, 0, 0), (0, 0, 2.3), (0.16, 0.10), sides=10)
        tree.cone((0, 0, 1.9), (0.5, 0.2, 2.9), (0.08, 0.05), sides=10)
        for k, (x, y, z, r) in enumerate(((0, 0, 3.3, 1.15), (0.65, 0.25, 3.0, 0.8), (-0.6, 0.3, 2.95, 0.85),
                                          (0.1, -0.65, 3.05, 0.8), (0.05, 0.1, 4.1, 0.8))):
            tree.blob((x, y, z), (r, r, r * 0.85), 1, 0.10, k + 1.3 * number)
        kinds.append(tree.mesh())
    spots = ((-4.3, 10.5), (-4.3, 17.5), (-4.3, 31.0), (4.4, 7.5), (4.4, 20.0), (4.4, 33.0), (-9.5, -3.2),
             (-12.5, -6.8), (-15.5, -2.0), (-4.3, -13.0), (4.4, -19.0), (-4.3, -27.0), (-16.5, -7.6))
    for number, (x, y) in enumerate(spots):
        tree = put(f"Tree {number}", kinds[number % 2], into, (x, y, KERB), number * 2.1)
        tree.scale = (1.0, 1.0, 0.92 + 0.08 * (number % 3))


def _cars(into: bpy.types.Collection) -> None:
    for number, (x, y, colour) in enumerate(((-2.5, 6.3, (0.05, 0.16, 0.42)), (-2.5, 14.0, (0.75, 0.75, 0.72)),
                                             (2.55, 12.0, (0.10, 0.30, 0.16)), (2.55, 19.0, (0.55, 0.05, 0.04)),
                                             (-2.5, -13.5, (0.62, 0.40, 0.05)), (-2.5, 24.0, (0.3, 0.05, 0.05)))):
        car = Solid(f"Car {number}", [material(f"Paint {number}", colour, 0.35),
                                      material("Car Glass", (0.03, 0.05, 0.07), 0.2),
                                      material("Tyre", (0.025, 0.025, 0.027)),
                                      material("Chrome", (0.62, 0.62, 0.64), 0.3)])
        car.prism([(-2.0, 0.30), (-2.08, 0.55), (-1.98, 0.76), (-0.95, 0.88), (1.85, 0.92), (2.06, 0.82), (2.05, 0.30)],
                  (-0.84, 0.84), 0, bevel=0.07)
        car.prism([(-0.98, 0.84), (-0.30, 1.38), (0.95, 1.40), (1.72, 0.86)], (-0.78, 0.78), 1, 0.16, 0.03)
        car.prism([(-0.32, 1.36), (-0.2, 1.43), (0.85, 1.45), (1.02, 1.37)], (-0.63, 0.63), 0, 0.03, 0.02)
        for y0, turn in ((-1.28, -1), (1.28, 1)):
            for side in (-1, 1):
                car.cone((side * 0.66, y0, 0.32), (side * 0.88, y0, 0.32), (0.33, 0.33), 2, sides=24)
                car.cone((side * 0.70, y0, 0.32), (side * 0.89, y0, 0.32), (0.19, 0.19), 3, sides=16)
                car.ball((side * 0.58, turn * 2.03, 0.62), (0.16, 0.06, 0.09), 3)
        car.object(into, (x, y, 0), 0.0 if number % 2 else pi)
