# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene that captures are timed on: a room of modified props, instances strewn over its floor, a skinned figure.

About 45 objects, 470 instances and 190 000 render triangles. Every motion repeats, so that it can be as long as is wanted.
Lengths in metres, z up.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import bpy
from mathutils import Euler, Vector

PERIOD = 96                     # frames after which everything is where it was
_KEY_EVERY = 3
_PROPS = 30
_KINDS = ("monkey", "torus", "cube", "ico_sphere", "cylinder", "cone")
_SUBDIVIDED = {"monkey": 2, "cube": 3, "ico_sphere": 2}

# bones: head, tail, parent, radius of the flesh around it
_BONES: dict[str, tuple[tuple[float, ...], tuple[float, ...], str | None, float]] = {
    "Hips": ((0.0, 0.0, 1.0), (0.0, 0.0, 1.2), None, 0.17), "Spine": ((0.0, 0.0, 1.2), (0.0, 0.0, 1.55), "Hips", 0.18),
    "Head": ((0.0, 0.0, 1.55), (0.0, 0.0, 1.85), "Spine", 0.13),
    **{f"{side}{part}": ((sign * head[0], 0.0, head[1]), (sign * tail[0], 0.0, tail[1]), parent.format(side), 0.08)
       for side, sign in (("Left", 1.0), ("Right", -1.0))
       for part, head, tail, parent in (("Arm", (0.2, 1.5), (0.5, 1.5), "Spine"),
                                        ("ForeArm", (0.5, 1.5), (0.8, 1.5), "{}Arm"),
                                        ("UpLeg", (0.12, 1.0), (0.12, 0.55), "Hips"),
                                        ("Leg", (0.12, 0.55), (0.12, 0.08), "{}UpLeg"))}}


def build(frames: int) -> bpy.types.Scene:
    """An empty file's scene with all of it, keyed over ``frames`` frames from 1."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end, scene.render.fps = 1, frames, 24
    chance = random.Random(7)
    materials = [_material(f"Surface {number}", chance) for number in range(8)]
    _room(materials)
    _props(materials, chance, frames)
    _scatter(materials[3])
    _figure(materials[6], frames)
    _ball(materials[5], frames)
    _daylight(scene)
    _camera(scene, frames)
    return scene


def _material(name: str, chance: random.Random) -> bpy.types.Material:
    """A principled surface with a bump of noise, so that shading costs what it usually does."""
    material = bpy.data.materials.new(name)
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (chance.random(), chance.random(), chance.random(), 1.0)
    noise, bump = nodes.new("ShaderNodeTexNoise"), nodes.new("ShaderNodeBump")
    noise.inputs["Scale"].default_value, bump.inputs["Strength"].default_value = 8.0, 0.2
    links.new(noise.outputs[0], bump.inputs["Height"])
    links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    return material


def _glass() -> bpy.types.Material:
    material = bpy.data.materials.new("Glass")
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Transmission Weight"].default_value, shader.inputs["Roughness"].default_value = 1.0, 0.0
    return material


def _add(kind: str, name: str, material: bpy.types.Material, **settings: Any) -> bpy.types.Object:
    getattr(bpy.ops.mesh, f"primitive_{kind}_add")(**settings)
    item = bpy.context.object
    item.name = name
    item.data.materials.append(material)
    return item


def _room(materials: list[bpy.types.Material]) -> None:
    """A floor and four walls without a ceiling: some of the world is to be seen."""
    right = math.pi / 2.0
    for name, at, turn, size, material in (
            ("Floor", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (16.0, 16.0), materials[0]),
            ("Wall North", (0.0, 8.0, 2.5), (right, 0.0, 0.0), (16.0, 5.0), materials[1]),
            ("Wall South", (0.0, -8.0, 2.5), (right, 0.0, 0.0), (16.0, 5.0), materials[1]),
            ("Wall East", (8.0, 0.0, 2.5), (0.0, right, 0.0), (5.0, 16.0), materials[2]),
            ("Wall West", (-8.0, 0.0, 2.5), (0.0, right, 0.0), (5.0, 16.0), materials[2])):
        wall = _add("grid", name, material, x_subdivisions=40, y_subdivisions=40, size=1.0, location=at, rotation=turn)
        wall.scale = (*size, 1.0)


def _props(materials: list[bpy.types.Material], chance: random.Random, frames: int) -> None:
    """Rings of things around the middle, each with what artists do to things: subdivision, bevels, arrays, waves, keys,
    a driver; and a pane of glass."""
    for number in range(_PROPS):
        kind = _KINDS[number % len(_KINDS)]
        angle, away = number / _PROPS * 2.0 * math.pi, 3.0 + number % 3 * 1.4
        item = _add(kind, f"Prop {number:02d}", materials[number % 8],
                    location=(away * math.cos(angle), away * math.sin(angle), 0.6 + 0.15 * (number % 4)),
                    rotation=(chance.random(), chance.random(), 6.0 * chance.random()))
        item.scale = (0.45 + 0.2 * chance.random(),) * 3
        if kind in _SUBDIVIDED:
            smooth = item.modifiers.new("Smooth", "SUBSURF")
            smooth.levels, smooth.render_levels = 2, _SUBDIVIDED[kind]
        if kind == "cylinder":
            bevel = item.modifiers.new("Bevel", "BEVEL")
            bevel.width, bevel.segments = 0.05, 3
        if number % 10 == 4:
            array = item.modifiers.new("Array", "ARRAY")
            array.count, array.relative_offset_displace = 3, (0.0, 0.0, 1.02)
        if number % 7 == 3:
            wave = item.modifiers.new("Wave", "WAVE")
            wave.height, wave.width, wave.speed = 0.15, 0.5, 0.1
        if number % 5 == 0:
            rest = item.rotation_euler.z
            _key(item, "rotation_euler", frames, lambda t, i=item, z=rest: (*i.rotation_euler[:2], z + 3.0 * _ease(t)))
    bpy.data.objects["Prop 01"].driver_add("location", 2).driver.expression = "0.8 + 0.3 * sin(frame / 6)"
    _add("cube", "Pane", _glass(), size=1.0, location=(1.6, -2.4, 0.8)).scale = (0.8, 0.05, 0.8)


def _scatter(material: bpy.types.Material) -> None:
    """Blades strewn over the floor by geometry nodes."""
    blade = _add("cone", "Blade", material, vertices=6, radius1=0.03, depth=0.25, location=(0.0, 0.0, -5.0))
    blade.hide_render = True
    group = bpy.data.node_groups.new("Scatter", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        group.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    start, strew, source, place, end = (group.nodes.new(kind) for kind in (
        "NodeGroupInput", "GeometryNodeDistributePointsOnFaces", "GeometryNodeObjectInfo", "GeometryNodeInstanceOnPoints",
        "NodeGroupOutput"))
    strew.inputs["Density"].default_value = 3.0
    source.inputs["Object"].default_value, source.inputs["As Instance"].default_value = blade, True
    group.links.new(start.outputs[0], strew.inputs["Mesh"])
    group.links.new(strew.outputs["Points"], place.inputs["Points"])
    group.links.new(source.outputs["Geometry"], place.inputs["Instance"])
    group.links.new(place.outputs["Instances"], end.inputs[0])
    ground = _add("grid", "Scatter", material, x_subdivisions=2, y_subdivisions=2, size=12.0, location=(0.0, 0.0, 0.12))
    ground.modifiers.new("Scatter", "NODES").node_group = group


def _figure(material: bpy.types.Material, frames: int) -> None:
    """A skinned, subdivided body that walks up and down; its bones have names that poses are read from."""
    rig = _rig()
    body = _body(material)
    body.parent = rig
    body.modifiers.new("Rig", "ARMATURE").object = rig
    smooth = body.modifiers.new("Smooth", "SUBSURF")
    smooth.levels = smooth.render_levels = 1
    _key(rig, "location", frames, lambda t: (0.0, -1.2 + 1.8 * _ease(t), 0.0))
    for bone in rig.pose.bones:
        bone.rotation_mode = "XYZ"
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        swing = _swing(sign)
        _key(rig.pose.bones[f"{side}UpLeg"], "rotation_euler", frames, lambda t, s=swing: (0.6 * s(t), 0.0, 0.0))
        _key(rig.pose.bones[f"{side}Arm"], "rotation_euler", frames, lambda t, s=swing, z=-sign: (0.5 * s(t), 0.0, z))


def _rig() -> bpy.types.Object:
    rig = bpy.data.objects.new("Figure", bpy.data.armatures.new("Figure"))
    bpy.context.scene.collection.objects.link(rig)
    rig.rotation_euler.z = math.pi
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, (head, tail, parent, _) in _BONES.items():
        bone = rig.data.edit_bones.new(name)
        bone.head, bone.tail = head, tail
        bone.parent = rig.data.edit_bones[parent] if parent else None
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig


def _body(material: bpy.types.Material) -> bpy.types.Object:
    """An ellipsoid around each bone, all one mesh."""
    parts = []
    for name, (head, tail, _, radius) in _BONES.items():
        along = Vector(tail) - Vector(head)
        part = _add("uv_sphere", name, material, segments=24, ring_count=16, radius=1.0,
                    location=(Vector(head) + Vector(tail)) / 2.0, rotation=along.to_track_quat("Z", "Y").to_euler())
        part.scale = (radius, radius, along.length / 2.0 + 0.7 * radius)
        part.vertex_groups.new(name=name).add(range(len(part.data.vertices)), 1.0, "REPLACE")
        parts.append(part)
    with bpy.context.temp_override(active_object=parts[0], object=parts[0], selected_objects=parts,
                                   selected_editable_objects=parts):
        bpy.ops.object.transform_apply()
        bpy.ops.object.join()
    parts[0].name = "Body"
    parts[0].data.shade_smooth()
    return parts[0]


def _ball(material: bpy.types.Material, frames: int) -> None:
    ball = _add("uv_sphere", "Ball", material, segments=48, ring_count=24, radius=0.35)
    ball.data.shade_smooth()
    _key(ball, "location", frames, lambda t: (-2.0 + 4.0 * _ease(t), -1.5, 0.35 + 1.6 * abs(math.cos(6.0 * math.pi * t))))


def _daylight(scene: bpy.types.Scene) -> None:
    light = bpy.data.lights.new("Key", "AREA")
    light.energy, light.size = 600.0, 3.0
    item = bpy.data.objects.new("Key", light)
    item.location = (2.0, -3.0, 4.5)
    scene.collection.objects.link(item)
    scene.world = bpy.data.worlds.new("Sky")
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.35, 0.5, 0.8, 1.0)


def _camera(scene: bpy.types.Scene, frames: int) -> None:
    """It goes around the middle, rises and zooms in."""
    data = bpy.data.cameras.new("Camera")
    camera = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(camera)
    scene.camera, data.clip_end = camera, 200.0

    def place(t: float) -> Vector:
        angle = -math.pi / 2.0 + 0.9 * _ease(t)
        return Vector((6.4 * math.cos(angle), 6.4 * math.sin(angle), 2.0 + 0.5 * _ease(t)))

    def turn(t: float) -> Euler:
        return (Vector((0.0, 0.0, 1.0)) - place(t)).to_track_quat("-Z", "Y").to_euler()

    _key(camera, "location", frames, place)
    _key(camera, "rotation_euler", frames, turn)
    _key(data, "lens", frames, lambda t: 28.0 + 6.0 * _ease(t))


def _key(owner: bpy.types.bpy_struct, path: str, frames: int, value: Callable[[float], Any]) -> None:
    """Key ``value`` of the time in periods every few frames."""
    for frame in range(1, frames + _KEY_EVERY, _KEY_EVERY):
        setattr(owner, path, value((frame - 1) / PERIOD))
        owner.keyframe_insert(path, frame=frame)


def _ease(t: float) -> float:
    """0 at the beginning of a period, 1 in its middle, 0 at its end."""
    return 0.5 - 0.5 * math.cos(2.0 * math.pi * t)


def _swing(sign: float) -> Callable[[float], float]:
    """Four steps in a period."""
    return lambda t: sign * math.sin(8.0 * math.pi * t)

