# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera, sun and sky: a dolly beside the walker that turns into an orbit around it."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, radians, sin

import bpy
import numpy as np
from mathutils import Vector

from .gait import SPEED
from .solids import collection, key, put

_LENS = 29.0
"""mm on a 36 mm wide sensor"""
_FROM, _TO = radians(-14), radians(78)
"""azimuth around the walker: 0 is its left side, positive towards its front"""


def _ease(x: float) -> float:
    """Smootherstep: no jump in speed or acceleration where the dolly becomes an orbit."""
    return x * x * x * (x * (6.0 * x - 15.0) + 10.0)


def build_camera(scene: bpy.types.Scene, frames: Sequence[int], at: Vector) -> bpy.types.Object:
    """The scene's camera; the walker is at `at` (m) at the first frame and walks towards -y."""
    data = bpy.data.cameras.new("Camera")
    data.lens, data.sensor_width, data.clip_start, data.clip_end = _LENS, 36.0, 0.1, 200.0
    camera = put("Camera", data, scene.collection)
    places, turns, last = [], [], None
    for frame in frames:
        part = (frame - frames[0]) / max(len(frames) - 1, 1)
        turn = _ease(min(max((part - 0.22) / 0.78, 0.0), 1.0))
        body = at + Vector((0.0, -SPEED * (frame - frames[0]) / scene.render.fps, 0.0))
        azimuth, away = _FROM + (_TO - _FROM) * turn, 4.40 - 0.10 * turn
        place = body + Vector((away * cos(azimuth), -away * sin(azimuth), 1.42 - 0.12 * turn))
        aim = body + Vector((0.0, -0.15 * (1 - turn), 0.98 + 0.02 * turn))
        look = (aim - place).to_track_quat("-Z", "Y")
        look.make_compatible(last or look)
        last = look
        places.append(place)
        turns.append(look)
    camera.rotation_mode = "QUATERNION"
    key(camera, "location", frames, np.array(places), "Move")
    key(camera, "rotation_quaternion", frames, np.array(turns), "Move")
    scene.camera = camera
    return camera


def build_daylight(scene: bpy.types.Scene) -> None:
    """A warm sun over the walker's left front and a sky that pales towards the horizon."""
    into = collection(scene, "Light")
    data = bpy.data.lights.new("Sun", "SUN")
    data.energy, data.angle, data.color = 3.3, radians(1.5), (1.0, 0.93, 0.82)
    sun = put("Sun", data, into, (0, 0, 20))
    sun.rotation_mode = "QUATERNION"
    sun.rotation_quaternion = Vector((-0.34, 0.72, -0.95)).to_track_quat("-Z", "Y")
    world = bpy.data.worlds.new("Sky")
    scene.world = world
    nodes, links = world.node_tree.nodes, world.node_tree.links
    where, split, ramp = (nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "SeparateXYZ", "ValToRGB"))
    links.new(where.outputs["Generated"], split.inputs[0])
    links.new(split.outputs["Z"], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], nodes["Background"].inputs["Color"])
    stops = ((0.0, (0.62, 0.76, 0.90)), (0.55, (0.13, 0.32, 0.72)))
    for element, (position, colour) in zip(ramp.color_ramp.elements, stops, strict=True):
        element.position, element.color = position, (*colour, 1.0)
    nodes["Background"].inputs["Strength"].default_value = 0.85
