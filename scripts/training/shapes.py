# SPDX-License-Identifier: GPL-3.0-or-later
"""Primitive meshes as numpy arrays, in metres, Z up. No Blender needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Face = tuple[int, ...]

_BOX_FACES: tuple[Face, ...] = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))


@dataclass
class Mesh:
    """Polygons: `verts` (N, 3) float32, `faces` index tuples, `smooth` shades normals smoothly."""

    verts: Array
    faces: list[Face]
    smooth: bool = False


@dataclass
class Part:
    """One object of a set or an actor.

    `slot` names what the surface is ("wall", "leaves", ...): the palette gives it a colour when the clip is used.
    `actor` is the index of the actor it belongs to, -1 for the set. `matrices` (F, 4, 4) moves it, None stands still.
    """

    mesh: Mesh
    slot: str
    pattern: str = "plain"
    actor: int = -1
    matrices: Array | None = field(default=None)


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh out of several."""
    verts, faces, base = [], [], 0
    for mesh in meshes:
        verts.append(mesh.verts)
        faces += [tuple(i + base for i in face) for face in mesh.faces]
        base += len(mesh.verts)
    return Mesh(np.concatenate(verts).astype(np.float32), faces, any(mesh.smooth for mesh in meshes))


def box(size: Sequence[float], centre: Sequence[float] = (0, 0, 0), yaw: float = 0.0) -> Mesh:
    """Axis-aligned box of full `size`, turned by `yaw` about Z, then moved to `centre`."""
    unit = np.array([(x, y, z) for z in (-0.5, 0.5) for x, y in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))])
    return Mesh(moved(unit * np.asarray(size), centre, yaw), list(_BOX_FACES))


def moved(points: NDArray[np.floating], centre: Sequence[float], yaw: float = 0.0) -> Array:
    """Points turned about Z and translated."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return (points @ turn.T + np.asarray(centre)).astype(np.float32)


def revolve(
    profile: Sequence[tuple[float, float]], centre: Sequence[float] = (0, 0, 0), sides: int = 12, smooth: bool = True
) -> Mesh:
    """Surface of revolution about Z of (radius, height) points, closed with caps where the radius is not 0."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    verts = np.concatenate([np.c_[ring * r, np.full(sides, z)] for r, z in profile])
    faces: list[Face] = []
    for row in range(len(profile) - 1):
        a, b = row * sides, (row + 1) * sides
        faces += [(a + i, a + (i + 1) % sides, b + (i + 1) % sides, b + i) for i in range(sides)]
    last = (len(profile) - 1) * sides
    faces += [tuple(range(sides))[::-1], tuple(range(last, last + sides))]
    return Mesh(moved(verts, centre), faces, smooth)


def ball(
    radius: float, centre: Sequence[float] = (0, 0, 0), squash: Sequence[float] = (1, 1, 1), rings: int = 9
) -> Mesh:
    """Sphere, or an ellipsoid with the per-axis factors `squash`."""
    turn = np.linspace(-np.pi / 2, np.pi / 2, rings)
    mesh = revolve([(max(float(np.cos(t)), 1e-3), float(np.sin(t))) for t in turn], sides=2 * rings - 4)
    return Mesh((mesh.verts * radius * np.asarray(squash) + np.asarray(centre)).astype(np.float32), mesh.faces, True)


def capsule(radius: float, length: float, taper: float = 1.0) -> Mesh:
    """Capsule from (0, 0, 0) to (0, 0, length); the far end has `radius * taper`."""
    turn = np.linspace(-np.pi / 2, 0, 4)
    low = [(max(radius * float(np.cos(t)), 1e-3), radius * float(np.sin(t))) for t in turn]
    far = radius * taper
    high = [(max(far * float(np.cos(t)), 1e-3), length - far * float(np.sin(t))) for t in turn[::-1]]
    return revolve(low + high, sides=10)


def cylinder(radius: float, height: float, centre: Sequence[float] = (0, 0, 0), sides: int = 12) -> Mesh:
    """Upright cylinder standing on `centre`."""
    return revolve([(radius, 0.0), (radius, height)], centre, sides, smooth=False)


def cone(radius: float, height: float, centre: Sequence[float] = (0, 0, 0), sides: int = 10) -> Mesh:
    """Upright cone standing on `centre`."""
    return revolve([(radius, 0.0), (1e-3, height)], centre, sides, smooth=False)


def roof(size: Sequence[float], centre: Sequence[float]) -> Mesh:
    """Gable roof over a (width, depth) footprint of height `size[2]`, ridge along Y, standing on `centre`."""
    w, d, h = (float(v) for v in size)
    verts = np.array(
        [(-w / 2, -d / 2, 0), (w / 2, -d / 2, 0), (w / 2, d / 2, 0), (-w / 2, d / 2, 0), (0, -d / 2, h), (0, d / 2, h)]
    )
    return Mesh(moved(verts, centre), [(0, 3, 2, 1), (0, 1, 4), (2, 3, 5), (1, 2, 5, 4), (3, 0, 4, 5)])


def terrain(extent: float, height: float, rng: np.random.Generator, cells: int = 40) -> Mesh:
    """Square ground of side `extent` that rolls gently, flat near the origin where actors stand."""
    axis = np.linspace(-extent / 2, extent / 2, cells + 1)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    z = np.zeros_like(x)
    for _ in range(5):
        kx, ky = rng.normal(0, 0.25, 2)
        z += np.sin(kx * x + ky * y + rng.uniform(0, 6.3)) * height / 2
    z *= np.clip((np.hypot(x, y) - 8) / 14, 0, 1)
    index = np.arange(x.size).reshape(x.shape)
    quads = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], -1).reshape(-1, 4)
    return Mesh(
        np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float32), [tuple(int(i) for i in q) for q in quads], True
    )


def between(a: NDArray[np.floating], b: NDArray[np.floating]) -> Array:
    """(F, 4, 4) rigid matrices that put local Z along a -> b, origin at a; `a` and `b` are (F, 3)."""
    z = b - a
    z = z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1e-9)
    side = np.where(np.abs(z[:, :1]) < 0.9, np.array([[1.0, 0, 0]]), np.array([[0, 1.0, 0]]))
    y = np.cross(z, side)
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    out = np.tile(np.eye(4), (len(a), 1, 1))
    out[:, :3, 0], out[:, :3, 1], out[:, :3, 2], out[:, :3, 3] = np.cross(y, z), y, z, a
    return out.astype(np.float32)


def placed(
    positions: NDArray[np.floating], yaw: NDArray[np.floating] | float = 0.0, pitch: NDArray[np.floating] | float = 0.0
) -> Array:
    """(F, 4, 4) rigid matrices: pitch about local X, then yaw about Z, then the positions (F, 3)."""
    count = len(positions)
    yaw, pitch = np.broadcast_to(yaw, count), np.broadcast_to(pitch, count)
    out = np.tile(np.eye(4), (count, 1, 1))
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    out[:, :3, 0] = np.stack([c, s, 0 * c], -1)
    out[:, :3, 1] = np.stack([-s * cp, c * cp, sp], -1)
    out[:, :3, 2] = np.stack([s * sp, -c * sp, cp], -1)
    out[:, :3, 3] = positions
    return out.astype(np.float32)
