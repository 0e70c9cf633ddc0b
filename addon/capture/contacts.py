# SPDX-License-Identifier: GPL-3.0-or-later
"""Where rigid bodies hit each other. Blender keeps no list of contacts: they are read off the trajectories."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix
from mathutils.bvhtree import BVHTree
from numpy.typing import NDArray

from ...inference.shot.model import Frames
from .physics import first_unbaked_frame
from .restore import restored

# A jump of the velocity counts from this share of what gravity does in a frame, and from this speed (m/s) without gravity.
_SHARE, _LEAST = 0.5, 0.05
_VERTICES = 400         # of a body, at most, from which distances to the others are measured

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Contact:
    """Two rigid bodies hit at ``frame`` (between frames: the time the velocities tell) with ``impulse`` in N s."""

    frame: float
    objects: tuple[str, str]
    impulse: float


@dataclass(frozen=True)
class Impact:
    """A jump of velocity ``at`` an index of the track (between two: a fraction), ``change`` (3,) in m/s."""

    at: float
    change: Array


@dataclass
class _Body:
    """A rigid body's shape in its own space, and per frame its matrix and whether the simulation moves it."""

    name: str
    mass: float
    tree: BVHTree
    points: Array
    matrices: list[Matrix]
    active: list[bool]


def contacts_of(scene: bpy.types.Scene, frames: Frames) -> Generator[int, None, tuple[Contact, ...]]:
    """Walk through the simulation, yielding each frame set, and return the contacts inside ``frames`` in order.

    Every frame from two before the shot (and from the start of an unbaked simulation) to two after is set once; the
    scene's frame comes back. A body at rest, sliding or rolling makes no contact, only what hits.
    """
    world = scene.rigidbody_world
    if world is None or not world.enabled or world.collection is None:
        return ()
    items = [item for item in world.collection.objects if item.rigid_body is not None and item.type == "MESH"]
    if not any(_moved(item) for item in items):
        return ()
    simulated = first_unbaked_frame(scene)
    first = min(frames.start - 2, frames.start - 2 if simulated is None else simulated)
    last = min(frames.end + 2, world.point_cache.frame_end)     # after that everything stands still at once
    layer = next((layer for layer in scene.view_layers if layer.use), scene.view_layers[0])
    with restored(scene):
        bodies: list[_Body] = []
        for frame in range(first, last + 1):
            scene.frame_set(frame)
            depsgraph = layer.depsgraph         # of this scene, whichever is open
            bodies = bodies or [_body(item, depsgraph) for item in items]
            for body, item in zip(bodies, items, strict=True):
                evaluated = item.evaluated_get(depsgraph)
                body.matrices.append(evaluated.matrix_world.copy())
                body.active.append(_moved(evaluated))
            yield frame
    step = world.time_scale * scene.render.fps_base / scene.render.fps
    gravity = np.array(scene.gravity) if scene.use_gravity else np.zeros(3)
    found = [contact for body in bodies for contact in _contacts(body, bodies, step, gravity)]
    placed = [Contact(round(first + contact.frame, 2), contact.objects, contact.impulse) for contact in found]
    return _once(contact for contact in placed if frames.start <= contact.frame < frames.end + 1)


def impacts(track: NDArray[np.floating], step: float, gravity: NDArray[np.floating]) -> list[Impact]:
    """Jumps of velocity in positions (F, 3), metres, ``step`` seconds apart, under ``gravity`` (3,) m/s^2.

    Between one step's mean velocity and the next, a free body changes by g dt, a body at rest by nothing, one on a
    frictionless slope by the part of g dt along it. All of these lie on the sphere whose diameter is g dt (Thales), those
    slowed by friction inside it; what lies clearly outside was hit. An impact inside a step shows in the two changes
    around it, and its place among them by their shares.
    """
    change = np.diff(np.asarray(track, np.float64), n=2, axis=0) / step
    fall = np.asarray(gravity, np.float64) * step
    speed = float(np.linalg.norm(fall))
    beyond = np.linalg.norm(change - 0.5 * fall, axis=1) - 0.5 * speed
    hit = beyond > max(_SHARE * speed, _LEAST)
    free = np.clip(change @ fall / max(speed**2, 1e-12), 0.0, 1.0)      # 1 in free fall, 0 supported
    found: list[Impact] = []
    start = 0
    for index in np.flatnonzero(hit).tolist():
        if index < start:       # the second half of the impact before
            continue
        pairs = [(index, index + 1)]
        if index > start and not (index + 1 < len(change) and hit[index + 1]):
            pairs.append((index - 1, index))
        jumps = max((_jumps(change, free, fall, *pair) for pair in pairs), key=lambda pair: float(np.linalg.norm(pair[1])))
        first, both = jumps
        sizes = np.linalg.norm(both, axis=1)
        # change i is that of the velocity at frame i + 1
        found.append(Impact(first + 1 + float(sizes[1] / sizes.sum()), both.sum(axis=0)))
        start = first + 2
    return found


def _jumps(change: Array, free: Array, fall: Array, first: int, second: int) -> tuple[int, Array]:
    """What of two changes, (2, 3), is more than gravity does before and after them."""
    padded = np.pad(change, ((0, 1), (0, 0)))
    before, after = free[max(first - 1, 0)], free[min(second + 1, len(free) - 1)]
    return first, np.stack([padded[first] - before * fall, padded[second] - after * fall])


def _contacts(body: _Body, bodies: Sequence[_Body], step: float, gravity: Array) -> list[Contact]:
    track = np.array([matrix.translation for matrix in body.matrices])
    found = []
    for impact in impacts(track, step, gravity):
        around = range(max(int(impact.at) - 1, 0), min(int(impact.at) + 3, len(track)))
        if not all(body.active[index] for index in around):
            continue
        # at the frames around it, it was as far from what it hit as it goes in a step, at most
        reach = float(np.linalg.norm(np.diff(track[list(around)], axis=0), axis=1).max())
        frames = (int(impact.at), min(int(impact.at) + 1, len(track) - 1))
        near = {other.name: min(_distance(body, other, index) for index in frames) for other in bodies if other is not body}
        other = min(near, key=lambda name: near[name], default="")
        if other and near[other] <= reach + _margin(body.points):
            impulse = round(body.mass * float(np.linalg.norm(impact.change)), 6)
            found.append(Contact(impact.at, (body.name, other), impulse))
    return found


def _once(contacts: Sequence[Contact] | Generator[Contact, None, None]) -> tuple[Contact, ...]:
    """In order; of one contact that both bodies felt, the stronger account."""
    kept: list[Contact] = []
    for contact in sorted(contacts, key=lambda contact: -contact.impulse):
        if not any(set(other.objects) == set(contact.objects) and abs(other.frame - contact.frame) < 1.0
                   and other.objects[0] != contact.objects[0] for other in kept):
            kept.append(contact)
    return tuple(sorted(kept, key=lambda contact: (contact.frame, contact.objects)))


def _body(item: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> _Body:
    evaluated = item.evaluated_get(depsgraph)
    points = np.empty(3 * len(evaluated.data.vertices), np.float32)
    evaluated.data.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)[::len(points) // (3 * _VERTICES) + 1].astype(np.float64)
    return _Body(item.name, item.rigid_body.mass, BVHTree.FromObject(item, depsgraph), points, [], [])


def _moved(item: bpy.types.Object) -> bool:
    """Whether the simulation, and no animation, moves the body."""
    body = item.rigid_body
    return body.type == "ACTIVE" and body.enabled and not body.kinematic


def _distance(one: _Body, other: _Body, index: int) -> float:
    """Metres between two bodies at a frame, from the vertices of each to the other's surface."""
    return min(_to_surface(one, other, index), _to_surface(other, one, index))


def _to_surface(one: _Body, other: _Body, index: int) -> float:
    world = np.array(one.matrices[index])
    points = one.points @ world[:3, :3].T + world[:3, 3]
    back = np.array(other.matrices[index].inverted_safe())
    local = points @ back[:3, :3].T + back[:3, 3]
    nearest = [other.tree.find_nearest(point)[0] for point in local]
    matrix = other.matrices[index]
    return min((float(np.linalg.norm(np.array(matrix @ found) - point))
                for found, point in zip(nearest, points, strict=True) if found is not None), default=np.inf)


def _margin(points: Array) -> float:
    """A twentieth of the body's size: collision margins and convex hulls are not the mesh itself."""
    return 0.05 * float(np.ptp(points, axis=0).max()) if len(points) else 0.0
