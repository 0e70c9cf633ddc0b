# SPDX-License-Identifier: GPL-3.0-or-later
"""Town houses out of boxes and prisms. A front lies in the plane y = 0 and faces -y; x runs along it (m)."""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from .solids import Solid, material

_WALL, _TRIM, _GLASS, _DOOR, _ROOF, _CLOTH = range(6)
_DEPTH = 8.0
_STOREY = 2.9
_GROUND = 3.4


@dataclass(frozen=True)
class House:
    """What one house looks like; colours are linear RGB."""

    width: float
    storeys: int
    wall: tuple[float, float, float]
    door: tuple[float, float, float] = (0.05, 0.16, 0.10)
    shop: bool = False
    bay: bool = False
    gable: bool = True

    @property
    def height(self) -> float:
        """Top of the wall (m)."""
        return _GROUND + _STOREY * (self.storeys - 1)


def build_house(name: str, house: House, into: bpy.types.Collection, at: tuple[float, float, float],
                yaw: float) -> bpy.types.Object:
    """One house with its front's middle at `at`."""
    colours = (house.wall, (0.80, 0.77, 0.70), (0.07, 0.13, 0.18), house.door,
               (0.28, 0.085, 0.05) if house.gable else (0.22, 0.22, 0.24), house.door)
    names = ("Wall", "Trim", "Glass", "Door", "Roof", "Awning")
    solid = Solid(name, [material(f"{part} {colour[0]:.2f} {colour[1]:.2f} {colour[2]:.2f}", colour,
                                  0.25 if part == "Glass" else 0.9)
                         for part, colour in zip(names, colours, strict=True)])
    half = house.width / 2
    solid.box((-half, 0, 0), (half, _DEPTH, house.height), _WALL)
    solid.box((-half, -0.06, 0), (half, 0.1, 0.45), _TRIM)
    for storey in range(1, house.storeys):
        z = _GROUND + _STOREY * (storey - 1)
        solid.box((-half, -0.08, z - 0.16), (half, 0.1, z), _TRIM)
        _row(solid, house, z + 0.75)
    _ground_floor(solid, house)
    if house.bay:
        _bay(solid, -half + house.width * 0.32, _GROUND, house.height - 0.45)
    _roof(solid, house)
    return solid.object(into, at, yaw)


def _window(solid: Solid, x: float, z: float, width: float, height: float, out: float = 0.0) -> None:
    """A framed pane with a sill, a lintel and glazing bars; (x, z) is the middle of its lower edge."""
    half, front = width / 2, -out
    solid.box((x - half, front - 0.015, z), (x + half, front + 0.02, z + height), _GLASS)
    for low, high in ((x - half - 0.09, x - half), (x + half, x + half + 0.09)):
        solid.box((low, front - 0.10, z), (high, front + 0.02, z + height), _TRIM)
    solid.box((x - half - 0.16, front - 0.17, z - 0.10), (x + half + 0.16, front + 0.02, z), _TRIM)
    solid.box((x - half - 0.13, front - 0.13, z + height), (x + half + 0.13, front + 0.02, z + height + 0.17), _TRIM)
    solid.box((x - 0.025, front - 0.05, z), (x + 0.025, front + 0.02, z + height), _TRIM)
    solid.box((x - half, front - 0.045, z + height * 0.62), (x + half, front + 0.02, z + height * 0.62 + 0.05), _TRIM)


def _columns(house: House) -> list[float]:
    count = max(2, round(house.width / 2.0))
    return [(-0.5 + (k + 0.5) / count) * house.width for k in range(count)]


def _row(solid: Solid, house: House, z: float) -> None:
    for x in _columns(house):
        if not (house.bay and x < 0):
            _window(solid, x, z, 0.95, 1.5)


def _ground_floor(solid: Solid, house: House) -> None:
    columns = _columns(house)
    door = columns[-1]
    solid.box((door - 0.70, -0.12, 0), (door - 0.55, 0.05, 2.6), _TRIM)
    solid.box((door + 0.55, -0.12, 0), (door + 0.70, 0.05, 2.6), _TRIM)
    solid.box((door - 0.78, -0.28, 2.6), (door + 0.78, 0.05, 2.78), _TRIM)
    solid.box((door - 0.55, -0.03, 0.12), (door + 0.55, 0.05, 2.15), _DOOR)
    solid.box((door - 0.55, -0.02, 2.2), (door + 0.55, 0.05, 2.6), _GLASS)
    solid.box((door - 0.80, -0.42, 0), (door + 0.80, 0.05, 0.12), _TRIM)
    for z in (0.3, 1.2):
        for x in (door - 0.27, door + 0.27):
            solid.box((x - 0.18, -0.055, z), (x + 0.18, 0.05, z + 0.75), _DOOR)
    if not house.shop:
        for x in columns[:-1]:
            _window(solid, x, 1.0, 1.0, 1.6)
        return
    left, right = -house.width / 2 + 0.3, door - 0.95
    _window(solid, (left + right) / 2, 0.6, right - left - 0.3, 1.9)
    solid.box((left, -0.14, 2.72), (right, 0.05, 3.15), _DOOR)
    run = 7
    for k in range(run):  # a striped awning of slanted boards
        low, high = (left + (right - left) * part / run for part in (k, k + 1))
        board = [(0.0, 2.75), (0.0, 2.68), (-1.0, 2.28), (-1.0, 2.35)]
        solid.prism(board, (low, high), _CLOTH if k % 2 == 0 else _TRIM)


def _bay(solid: Solid, x: float, low: float, high: float) -> None:
    """A bay that stands out over the pavement, with a window on each storey and a roof of its own."""
    solid.box((x - 0.95, -0.75, low), (x + 0.95, 0.05, high), _WALL)
    solid.box((x - 1.05, -0.85, high), (x + 1.05, 0.05, high + 0.18), _TRIM)
    solid.box((x - 1.0, -0.80, low - 0.12), (x + 1.0, 0.05, low + 0.02), _TRIM)
    z = low + 0.75
    while z + 1.5 < high:
        _window(solid, x, z, 1.3, 1.5, 0.75)
        z += _STOREY


def _roof(solid: Solid, house: House) -> None:
    half, top = house.width / 2, house.height
    solid.box((-half - 0.02, -0.32, top - 0.22), (half + 0.02, 0.1, top), _TRIM)
    solid.box((-half - 0.02, -0.20, top - 0.36), (half + 0.02, 0.1, top - 0.22), _TRIM)
    if house.gable:
        solid.prism([(-0.40, top), (_DEPTH / 2, top + 2.5), (_DEPTH + 0.2, top)], (-half, half), _ROOF)
        solid.box((half - 1.3, 2.0, top + 0.8), (half - 0.6, 2.7, top + 3.0), _WALL)
        solid.box((half - 1.36, 1.94, top + 3.0), (half - 0.54, 2.76, top + 3.15), _TRIM)
        solid.prism([(0.5, top + 0.3), (0.5, top + 1.35), (2.6, top + 1.35), (2.6, top + 0.3)], (-half * 0.4 - 0.6,
                    -half * 0.4 + 0.6), _WALL)
        _window(solid, -half * 0.4, top + 0.45, 0.75, 0.75, -0.5)
    else:
        for low, high in (((-half, -0.05, top), (half, 0.2, top + 0.7)),
                          ((-half, 0, top), (-half + 0.2, _DEPTH, top + 0.6)),
                          ((half - 0.2, 0, top), (half, _DEPTH, top + 0.6))):
            solid.box(low, high, _WALL)
        solid.box((-half - 0.02, -0.12, top + 0.7), (half + 0.02, 0.26, top + 0.82), _TRIM)
