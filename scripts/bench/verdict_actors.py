# SPDX-License-Identifier: GPL-3.0-or-later
"""Who moves in the verdict's scenes: a walker, a thrown ball, a cart, an animal, every motion keyed at every frame.

What stands on the ground does not slide on it, and nobody is the same seen from the other side. Lengths in metres, z up.
"""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..demo.gait import SPEED, rx
from ..demo.solids import Point, Solid, collection, key, put
from ..demo.walker import build_walker
from .verdict_props import FPS, FRAMES, FUR, PLUM, SLATE, STONE, SUNNY, TEAL, WOOD, Palette, surface

BALL = 0.36             # radius, m
_RESTITUTION = 0.7      # of a ball's speed against the ground

Bone = tuple[Point, Point, str | None, float]       # head, tail, parent, radius of the flesh around it
_TRUNK: dict[str, Bone] = {
    "Trunk": ((0.0, 0.45, 0.78), (0.0, -0.45, 0.80), None, 0.21),
    "Neck": ((0.0, -0.42, 0.85), (0.0, -0.72, 1.15), "Trunk", 0.11),
    "Skull": ((0.0, -0.70, 1.15), (0.0, -1.02, 1.10), "Neck", 0.12),
    "Tail": ((0.0, 0.46, 0.88), (0.0, 0.85, 0.60), "Trunk", 0.05)}
# x, y of the hip (m), which way the knee bends, phase
_LEGS = {"Fore L": (0.15, -0.36, 1, 0.0), "Fore R": (-0.15, -0.36, 1, 0.5),
         "Hind L": (0.15, 0.36, -1, 0.25), "Hind R": (-0.15, 0.36, -1, 0.75)}
_HIP, _LEG = 0.74, 0.38                         # height, length of each of a leg's two bones, m
_STRIDE, _PACE, _STANCE = 0.90, 0.75, 0.6       # m, s a stride, part of it that a foot is on the ground


def stuck(mesh: bpy.types.Mesh) -> None:
    """Store where each vertex is before it is deformed, for materials of coordinates "rest"."""
    places = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", places)
    mesh.attributes.new("stuck", "FLOAT_VECTOR", "POINT").data.foreach_set("vector", places)


def walker(scene: bpy.types.Scene, at: Point, yaw: float, start: float = 0.0) -> None:
    """The actor "Walker": it walks on from ``at`` with its feet planted, along -y turned by ``yaw``; ``start`` (s) is its
    gait's phase. Its clothes are not symmetric."""
    rig = build_walker(scene, FRAMES, Vector(), start)
    rig.rotation_euler.z = yaw
    rig.location = Vector(at) + Matrix.Rotation(yaw, 3, "Z") @ Vector((0.0, SPEED * start, 0.0))
    mesh = bpy.data.objects["Walker Body"].data
    stuck(mesh)
    clothes = (surface(SUNNY, 9.0, "bands", 0.10, "rest"), surface(SLATE, 12.0, "cells", 0.08, "rest"),
               surface(FUR, 14.0, "cells", 0.06, "rest"), surface(WOOD, 20.0, "bands", 0.04, "rest"),
               surface(STONE, 20.0, "checker", 0.05, "rest"), surface(WOOD, 30.0, "cells", 0.03, "rest"))
    for slot, material in enumerate(clothes):
        mesh.materials[slot] = material
    mesh.materials.append(surface(TEAL, 9.0, "checker", 0.09, "rest"))
    for face in mesh.polygons:      # another sleeve and another leg on the left side
        if face.material_index < 2 and face.center.x > 0.05:
            face.material_index = len(clothes) if face.material_index == 0 else 4


def ball(scene: bpy.types.Scene, at: Point, velocity: Point, gravity: float, release: int = 1, spin: float = 0.0,
         palette: Palette = SUNNY) -> None:
    """The actor "Ball": at ``at`` until the frame ``release``, then thrown with ``velocity`` (m/s), and it bounces on
    z = 0. ``spin`` in radians a second about the world's z."""
    solid = Solid("Ball", [surface(palette, 9.0, "cells", 0.12)])
    solid.ball((0.0, 0.0, 0.0), (BALL,) * 3, detail=(64, 40))
    item = solid.object(scene.collection)
    times = np.maximum(np.array(FRAMES) - release, 0) / FPS
    places = np.array([[at[0] + velocity[0] * t, at[1] + velocity[1] * t, height(at[2], velocity[2], gravity, t)]
                       for t in times])
    key(item, "location", FRAMES, places, "Throw")
    key(item, "rotation_euler", FRAMES, np.stack([0 * times, 0 * times, spin * times], 1), "Throw")


def height(start: float, speed: float, gravity: float, t: float) -> float:
    """Of the middle of a ball that was thrown up from ``start`` (m) with ``speed`` (m/s), ``t`` seconds later."""
    while True:
        lands = (speed + math.sqrt(max(speed * speed + 2.0 * gravity * (start - BALL), 0.0))) / gravity
        if t <= lands or lands < 1e-3:
            return max(start + speed * t - 0.5 * gravity * t * t, BALL)
        start, speed, t = BALL, _RESTITUTION * (gravity * lands - speed), t - lands


def cart(scene: bpy.types.Scene, at: Point, yaw: float, speed: float, turn: float = 0.0) -> None:
    """The actor "Cart": it drives from ``at`` along its own x, ``yaw`` from the world's, and ``turn`` (radians a second) to
    the left; its wheels roll."""
    root = put("Cart", None, scene.collection)
    solid = Solid("Cart Body", [surface(PLUM, 6.0, "cells", 0.2), surface(SUNNY, 7.0, "checker", 0.16),
                                surface(TEAL, 8.0, "bands", 0.14)])
    solid.box((-0.85, -0.42, 0.28), (0.85, 0.42, 0.62), 0)
    solid.box((0.15, -0.38, 0.62), (0.62, 0.38, 1.12), 2)
    solid.box((-0.78, -0.36, 0.62), (-0.05, 0.36, 0.90), 1)
    solid.object(scene.collection).parent = root
    times = (np.array(FRAMES) - FRAMES[0]) / FPS
    heading = yaw + turn * times
    steps = np.stack([np.cos(heading[:-1]), np.sin(heading[:-1])], 1) * speed / FPS
    places = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]) + np.array(at[:2])
    key(root, "location", FRAMES, np.column_stack([places, np.full(len(times), at[2])]), "Drive")
    key(root, "rotation_euler", FRAMES, np.stack([0 * times, 0 * times, heading], 1), "Drive")
    tyre = surface(STONE, 9.0, "checker", 0.16)
    for number, (x, y) in enumerate(((-0.55, -0.45), (0.55, -0.45), (-0.55, 0.45), (0.55, 0.45))):
        wheel = Solid(f"Cart Wheel {number}", [tyre])
        wheel.cone((0.0, -0.07, 0.0), (0.0, 0.07, 0.0), (0.28, 0.28), sides=32)
        item = wheel.object(scene.collection, (x, y, 0.28))
        item.parent = root
        key(item, "rotation_euler", FRAMES, np.stack([0 * times, speed * times / 0.28, 0 * times], 1), "Roll")


def beast(scene: bpy.types.Scene, at: Point, yaw: float) -> None:
    """The actor "Beast": four legs that plant their feet, walking on from ``at`` along -y turned by ``yaw``."""
    into = collection(scene, "Beast")
    bones = dict(_TRUNK)
    for name, (x, y, _, _) in _LEGS.items():
        bones[f"Upper {name}"] = (x, y, _HIP), (x, y, _HIP - _LEG), "Trunk", 0.085
        bones[f"Lower {name}"] = (x, y, _HIP - _LEG), (x, y, _HIP - 2 * _LEG), f"Upper {name}", 0.06
    rig = _rig(scene, into, bones)
    rig.location, rig.rotation_euler.z = at, yaw
    body = Solid("Beast Body", [surface(FUR, 8.0, "cells", 0.11, "rest"), surface(TEAL, 8.0, "checker", 0.10, "rest")])
    for name, (head, tail, _, radius) in bones.items():
        along = Vector(tail) - Vector(head)
        other = int(name in ("Neck", "Upper Fore L", "Lower Hind R"))
        body.ball((Vector(head) + Vector(tail)) / 2.0, (radius, radius, along.length / 2.0 + 0.6 * radius), other,
                  {name: 1.0}, along.to_track_quat("Z", "Y").to_matrix(), (24, 16))
    figure = body.object(into)
    stuck(figure.data)
    figure.parent = rig
    figure.modifiers.new("Armature", "ARMATURE").object = rig
    _stride(rig)


def _rig(scene: bpy.types.Scene, into: bpy.types.Collection, bones: dict[str, Bone]) -> bpy.types.Object:
    rig = put("Beast Rig", bpy.data.armatures.new("Beast Rig"), into)
    layer = scene.view_layers[0]
    layer.objects.active = rig
    with bpy.context.temp_override(scene=scene, view_layer=layer, object=rig, active_object=rig):
        bpy.ops.object.mode_set(mode="EDIT")
        for name, (head, tail, parent, _) in bones.items():
            bone = rig.data.edit_bones.new(name)
            bone.head, bone.tail = head, tail
            bone.parent = rig.data.edit_bones[parent] if parent else None
        bpy.ops.object.mode_set(mode="OBJECT")
    return rig


def _stride(rig: bpy.types.Object) -> None:
    """Key the trunk's way and the turns of all that moves against it."""
    times = [(frame - FRAMES[0]) / FPS for frame in FRAMES]
    turns: dict[str, list[Matrix]] = {
        "Neck": [rx(0.10 * math.sin(4.0 * math.pi * t / _PACE)) for t in times],
        "Tail": [rx(0.30 * math.sin(2.0 * math.pi * t / _PACE)) for t in times]}
    for name, (_, _, bend, lag) in _LEGS.items():
        both = [_bent((t / _PACE + lag) % 1.0, bend) for t in times]
        turns[f"Upper {name}"], turns[f"Lower {name}"] = [upper for upper, _ in both], [lower for _, lower in both]
    for name, matrices in turns.items():
        axes = rig.data.bones[name].matrix_local.to_3x3()
        values = np.array([(axes.transposed() @ turn @ axes).to_quaternion() for turn in matrices])
        rig.pose.bones[name].rotation_mode = "QUATERNION"
        key(rig, f'pose.bones["{name}"].rotation_quaternion', FRAMES, values, name)
    axes = rig.data.bones["Trunk"].matrix_local.to_3x3().transposed()
    way = np.array([axes @ Vector((0.0, -_STRIDE / _PACE * t, -0.04)) for t in times])
    key(rig, 'pose.bones["Trunk"].location', FRAMES, way, "Trunk")


def _bent(phase: float, bend: int) -> tuple[Matrix, Matrix]:
    """Turns of a leg's two equal bones that bring its foot where it is at a ``phase`` in [0, 1) of the stride."""
    swing = max((phase - _STANCE) / (1.0 - _STANCE), 0.0)
    reach = _STRIDE * _STANCE
    y = -reach / 2.0 + reach * (phase / _STANCE if swing == 0.0 else 1.0 - swing * swing * (3.0 - 2.0 * swing))
    z = 0.06 + 0.13 * math.sin(math.pi * swing) - (_HIP - 0.04)
    half, towards = math.acos(min(math.hypot(y, z) / (2.0 * _LEG), 1.0)), math.atan2(y, -z)
    return rx(towards + bend * half), rx(-2.0 * bend * half)
