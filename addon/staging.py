# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command line changes in an open file before capture, never in the file it came from: which action plays,
where to look from."""

from __future__ import annotations

import math

import bpy
from mathutils import Vector

from ..inference.errors import LucidError
from ..inference.shot.model import Frames, Size

_VIEW = Vector((0.45, -1.0, 0.25)).normalized()     # from the front, a little from the side and above
_MARGIN = 1.1


def play_action(scene: bpy.types.Scene, choice: str) -> None:
    """Let ``[OBJECT=]ACTION`` animate that object, or the only armature. Raises ACTION_UNKNOWN, ACTION_OBJECT."""
    owner, found, name = choice.partition("=")
    if not found:
        owner, name = "", choice
    action = bpy.data.actions.get(name)
    if action is None:
        raise LucidError("ACTION_UNKNOWN", f"the file has no action '{name}'",
                         "its actions: " + (", ".join(sorted(a.name for a in bpy.data.actions)) or "none"))
    target = _action_owner(scene, owner)
    animation = target.animation_data_create()
    animation.use_nla = False       # strips would mix with the action
    animation.action = action
    if animation.action_slot is None and animation.action_suitable_slots:
        animation.action_slot = animation.action_suitable_slots[0]
    if animation.action_slot is None:
        raise LucidError("ACTION_OBJECT", f"action '{name}' animates nothing of '{target.name}'",
                         "name the object it was made for: --action OBJECT=ACTION")
    scene.frame_set(scene.frame_current)


def _action_owner(scene: bpy.types.Scene, name: str) -> bpy.types.Object:
    if name:
        owner = scene.objects.get(name)
        if owner is None:
            raise LucidError("ACTION_OBJECT", f"the scene has no object '{name}'",
                             "its objects: " + ", ".join(sorted(scene.objects.keys())))
        return owner
    armatures = [item for item in scene.objects if item.type == "ARMATURE"]
    if len(armatures) != 1:
        known = ", ".join(sorted(item.name for item in armatures)) or "none"
        raise LucidError("ACTION_OBJECT", f"the scene has {len(armatures)} armatures, so the action needs an object",
                         f"write --action OBJECT=ACTION; armatures: {known}")
    return armatures[0]


def frame_camera(scene: bpy.types.Scene, actor: str, frames: Frames, size: Size) -> bpy.types.Object:
    """Add a camera (50 mm on 36 mm) that holds ``actor`` whole over the range; it becomes the scene's camera.

    Raises ACTOR_UNKNOWN. Each corner of the actor's bounds, at the range's ends and middle, is put inside the picture.
    """
    corners = _corners(scene, _members(scene, actor), frames)
    low, high = (Vector(map(pick, zip(*corners, strict=True))) for pick in (min, max))
    centre = (low + high) / 2.0
    turn = (-_VIEW).to_track_quat("-Z", "Y")
    data = bpy.data.cameras.new("Lucid Camera")
    half = math.tan(data.angle / 2.0) / max(size.width, size.height)       # per pixel of the longer side
    seen = [turn.inverted() @ (corner - centre) for corner in corners]      # x right, y up, z towards the camera
    distance = _MARGIN * max(max(abs(at.x) / (half * size.width), abs(at.y) / (half * size.height)) + at.z for at in seen)
    distance = max(distance, 1e-3)      # a point has no size
    data.clip_start, data.clip_end = distance / 1000.0, distance * 100.0
    camera = bpy.data.objects.new("Lucid Camera", data)
    scene.collection.objects.link(camera)
    camera.location = centre + _VIEW * distance
    camera.rotation_euler = turn.to_euler()
    scene.camera = camera
    bpy.context.view_layer.update()
    return camera


def _members(scene: bpy.types.Scene, actor: str) -> list[bpy.types.Object]:
    """The objects of an actor: an object with all its children, or a collection."""
    if actor in scene.objects:
        owner = scene.objects[actor]
        return [owner, *owner.children_recursive]
    collection = next((c for c in scene.collection.children_recursive if c.name == actor), None)
    if collection is None:
        known = sorted([*scene.objects.keys(), *(c.name for c in scene.collection.children_recursive)])
        raise LucidError("ACTOR_UNKNOWN", f"the scene has no object or collection '{actor}'",
                         "it has: " + (", ".join(known) or "nothing"))
    return list(collection.all_objects)


def _corners(scene: bpy.types.Scene, members: list[bpy.types.Object], frames: Frames) -> list[Vector]:
    """World corners of the members' evaluated bounds; the origins where nothing has a surface."""
    current = scene.frame_current
    corners: list[Vector] = []
    for frame in {frames.start, (frames.start + frames.end) // 2, frames.end}:
        scene.frame_set(frame)
        depsgraph = bpy.context.evaluated_depsgraph_get()
        for item in members:
            if item.type in {"MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD", "VOLUME"}:
                evaluated = item.evaluated_get(depsgraph)
                corners += [evaluated.matrix_world @ Vector(corner) for corner in evaluated.bound_box]
    scene.frame_set(current)
    return corners or [item.matrix_world.translation.copy() for item in members]
