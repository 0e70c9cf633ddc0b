# SPDX-License-Identifier: GPL-3.0-or-later
"""What a camera move is about: the object that is named, the first actor, or what is in the middle of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from ..inference.errors import LucidError
from .move_keys import Array

_SHAPES = {"MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD", "VOLUME"}


@dataclass(frozen=True)
class Target:
    """``members`` move together; without them it is the fixed ``point`` (3,)."""

    name: str
    members: tuple[bpy.types.Object, ...] = ()
    point: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def points(self, context: bpy.types.Context, frames: Sequence[int]) -> Array:
        """(F, 3) the middle of its bounds in the world, frame by frame; the scene comes back to its own frame."""
        if not self.members:
            return np.tile(self.point, (len(frames), 1))
        scene = context.scene
        current, subframe = scene.frame_current, scene.frame_subframe
        try:
            return np.array([self._middle(context, frame) for frame in frames])
        finally:
            scene.frame_set(current, subframe=subframe)

    def _middle(self, context: bpy.types.Context, frame: int) -> Array:
        context.scene.frame_set(frame)
        depsgraph = context.evaluated_depsgraph_get()
        evaluated = [item.evaluated_get(depsgraph) for item in self.members]
        corners = [item.matrix_world @ Vector(corner) for item in evaluated if item.type in _SHAPES
                   for corner in item.bound_box]
        found = np.array(corners or [evaluated[0].matrix_world.translation], np.float64)
        return 0.5 * (found.min(axis=0) + found.max(axis=0))


def find_target(context: bpy.types.Context, camera: bpy.types.Object, named: bpy.types.Object | None, frame: int,
                position: Array, ahead: Array, *, whole: bool) -> Target:
    """What is ``named``, else the first actor, else what the camera at ``position``, looking ``ahead`` (3,), has in its middle at
    ``frame``: the point there, or with ``whole`` the object. Raises MOVE_TARGET."""
    actor = next((actor.target for actor in context.scene.lucid.actors if actor.target is not None), None)
    chosen = named or actor
    if chosen is None:
        return _looked_at(context, camera, frame, position, ahead, whole)
    items = chosen.all_objects if isinstance(chosen, bpy.types.Collection) else (chosen, *chosen.children_recursive)
    members = tuple(item for item in items if item != camera and item.name in context.view_layer.objects)
    if not members or chosen == camera:
        raise LucidError("MOVE_TARGET", f"the target '{chosen.name}' is "
                         + ("the camera itself" if chosen == camera else "not in this view layer"), "choose another one")
    return Target(chosen.name, members)


def _looked_at(context: bpy.types.Context, camera: bpy.types.Object, frame: int, position: Array, ahead: Array,
               whole: bool) -> Target:
    scene = context.scene
    current, subframe = scene.frame_current, scene.frame_subframe
    try:
        scene.frame_set(frame)
        hit, point, _normal, _face, item, _matrix = scene.ray_cast(
            context.evaluated_depsgraph_get(), Vector(position), Vector(ahead), distance=camera.data.clip_end)
    finally:
        scene.frame_set(current, subframe=subframe)
    if not hit:
        raise LucidError("MOVE_TARGET", "nothing is in the middle of the picture, and the shot has no actors",
                         "choose a target")
    return Target(item.name, (item.original,) if whole else (), tuple(point))
