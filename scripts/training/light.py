# SPDX-License-Identifier: GPL-3.0-or-later
"""The sun and the sky of a training scene, in the three channels that keep them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import mathutils
import numpy as np

from .shapes import Array

SUN, SKY = (1.0, 0.0, 1.0), (0.0, 1.0, 1.0)  # red is the sun on matter, green the sky on it, blue what is mirrored


@dataclass(frozen=True)
class Sun:
    """`right` is its lean towards the camera's right (-1..1), `elevation` in radians, `towards` the unit vector to it."""

    right: float
    elevation: float
    towards: tuple[float, float, float]


def draw_sun(rng: np.random.Generator, right: Array) -> Sun:
    """A sun mostly at one side of the camera, whose right is the (3,) world vector `right`, and mostly behind it."""
    lean = rng.choice([-1, 1]) * rng.uniform(0.45, 0.95) if rng.random() < 0.85 else rng.uniform(-0.2, 0.2)
    elevation = rng.uniform(0.35, 1.1)
    forward = np.cross([0, 0, 1.0], right)
    depth = np.sqrt(max(0.0, 1 - lean * lean)) * rng.choice([-1, -1, 1])
    x, y = ((right * lean + forward * depth)[:2] * np.cos(elevation)).tolist()
    return Sun(float(lean), float(elevation), (x, y, float(np.sin(elevation))))


def light_scene(scene: Any, sun: Sun) -> None:
    """A sun of irradiance pi and a uniform sky of radiance 1: a white diffuse surface shows 1 of each, fully lit."""
    world = bpy.data.worlds.new("sky")
    scene.world = world
    if world.node_tree is None:
        world.use_nodes = True
    nodes = world.node_tree.nodes
    background = next((node for node in nodes if node.type == "BACKGROUND"), None)
    if background is None:
        background = nodes.new("ShaderNodeBackground")
        world.node_tree.links.new(background.outputs[0], nodes.new("ShaderNodeOutputWorld").inputs[0])
    background.inputs[0].default_value, background.inputs[1].default_value = (*SKY, 1), 1.0
    data = bpy.data.lights.new("sun", "SUN")
    data.color, data.energy, data.angle = SUN, float(np.pi), 0.02
    lamp = bpy.data.objects.new("sun", data)
    lamp.rotation_euler = mathutils.Vector(sun.towards).to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(lamp)
