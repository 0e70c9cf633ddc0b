# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verdict's scenes are made of: surfaces, light, cameras, ground.

The ambient light is a glow of the surfaces by their normals, not of a sky, so that few samples leave no noise to speak of.
Lengths in metres, z up.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import bpy
import numpy as np
from mathutils import Vector

from ..demo.solids import Point, Solid, key, put

FRAMES = range(1, 41)
FPS = 24

View = tuple[Point, Point, float]               # where the camera is, what it looks at (m), focal length (mm of 36 wide)
Palette = tuple[tuple[float, float, float], ...]

BRICK: Palette = ((0.10, 0.03, 0.02), (0.32, 0.09, 0.05), (0.55, 0.22, 0.12), (0.70, 0.52, 0.38))
STONE: Palette = ((0.07, 0.07, 0.08), (0.20, 0.19, 0.18), (0.42, 0.40, 0.35), (0.68, 0.66, 0.60))
GRASS: Palette = ((0.03, 0.07, 0.02), (0.10, 0.20, 0.04), (0.28, 0.36, 0.08), (0.55, 0.52, 0.22))
SAND: Palette = ((0.18, 0.11, 0.05), (0.40, 0.27, 0.13), (0.58, 0.43, 0.25), (0.76, 0.64, 0.44))
WOOD: Palette = ((0.06, 0.03, 0.015), (0.20, 0.10, 0.04), (0.38, 0.22, 0.10), (0.58, 0.40, 0.20))
TEAL: Palette = ((0.01, 0.06, 0.08), (0.03, 0.22, 0.25), (0.20, 0.48, 0.45), (0.65, 0.72, 0.55))
PLUM: Palette = ((0.07, 0.02, 0.10), (0.25, 0.06, 0.30), (0.55, 0.25, 0.40), (0.75, 0.62, 0.45))
SLATE: Palette = ((0.03, 0.05, 0.09), (0.10, 0.15, 0.25), (0.30, 0.36, 0.44), (0.62, 0.62, 0.56))
SUNNY: Palette = ((0.10, 0.02, 0.01), (0.55, 0.14, 0.02), (0.72, 0.45, 0.05), (0.78, 0.72, 0.50))
FUR: Palette = ((0.05, 0.03, 0.02), (0.30, 0.16, 0.07), (0.60, 0.40, 0.20), (0.78, 0.70, 0.58))


def surface(palette: Palette, scale: float = 2.5, pattern: str = "cells", size: float = 0.4,
            coordinates: str = "object") -> bpy.types.Material:
    """Diffuse and busy at several scales: ``scale`` blotches a metre with finer ones on them, darkened by a pattern of
    ``size`` metres ("cells", "checker", "bricks", "bands"). ``coordinates`` "rest" are the mesh's undeformed ones, of
    :func:`stuck`, so that nothing swims on a body that bends."""
    made = bpy.data.materials.new(pattern)
    nodes, links = made.node_tree.nodes, made.node_tree.links
    nodes.clear()
    if coordinates == "rest":
        source = nodes.new("ShaderNodeAttribute")
        source.attribute_name = "stuck"
        at = source.outputs["Vector"]
    else:
        at = nodes.new("ShaderNodeTexCoord").outputs["Object"]
    noise, ramp = nodes.new("ShaderNodeTexNoise"), nodes.new("ShaderNodeValToRGB")
    for socket, value in (("Scale", scale), ("Detail", 2.0), ("Roughness", 0.52), ("Lacunarity", 2.8)):
        noise.inputs[socket].default_value = value
    links.new(at, noise.inputs["Vector"])
    links.new(noise.outputs[0], ramp.inputs[0])
    for _ in palette[2:]:
        ramp.color_ramp.elements.new(0.5)
    for index, (element, colour) in enumerate(zip(ramp.color_ramp.elements, palette, strict=True)):
        element.position, element.color = 0.33 + 0.34 * index / (len(palette) - 1), (*colour, 1.0)
    dark = nodes.new("ShaderNodeMapRange")
    dark.inputs["To Min"].default_value, dark.inputs["To Max"].default_value = 0.45, 1.0
    links.new(_pattern(nodes, links, at, pattern, size), dark.inputs["Value"])
    colour = nodes.new("ShaderNodeVectorMath")
    colour.operation = "SCALE"
    links.new(ramp.outputs[0], colour.inputs[0])
    links.new(dark.outputs[0], colour.inputs["Scale"])
    _lit(made, colour.outputs[0])
    return made


def _pattern(nodes: bpy.types.Nodes, links: bpy.types.NodeLinks, at: bpy.types.NodeSocket, pattern: str,
             size: float) -> bpy.types.NodeSocket:
    """A socket that is 0 in a pattern's dark parts, 1 in its bright ones."""
    kind = {"cells": "Voronoi", "checker": "Checker", "bricks": "Brick", "bands": "Wave"}[pattern]
    node = nodes.new(f"ShaderNodeTex{kind}")
    node.inputs["Scale"].default_value = (0.3 if pattern == "bands" else 1.0) / size
    if pattern == "bands":
        node.inputs["Distortion"].default_value = 2.0
    if pattern == "bricks":     # the node's bricks lie in x and y; walls stand
        split, join, add = (nodes.new(f"ShaderNode{name}") for name in ("SeparateXYZ", "CombineXYZ", "Math"))
        links.new(at, split.inputs[0])
        links.new(split.outputs["X"], add.inputs[0])
        links.new(split.outputs["Y"], add.inputs[1])
        links.new(add.outputs[0], join.inputs["X"])
        links.new(split.outputs["Z"], join.inputs["Y"])
        at = join.outputs[0]
        invert = nodes.new("ShaderNodeMapRange")
        invert.inputs["To Min"].default_value, invert.inputs["To Max"].default_value = 1.0, 0.0
        links.new(node.outputs[1], invert.inputs["Value"])
        links.new(at, node.inputs["Vector"])
        return invert.outputs[0]
    links.new(at, node.inputs["Vector"])
    return node.outputs[1] if pattern == "checker" else node.outputs[0]


def _lit(material: bpy.types.Material, colour: bpy.types.NodeSocket) -> None:
    """Diffuse for the sun, and a glow between 0.2 (facing down) and 0.5 (up) of the colour for all else."""
    nodes, links = material.node_tree.nodes, material.node_tree.links
    facing, split, glow, emit, diffuse, both, out = (nodes.new(f"ShaderNode{kind}") for kind in (
        "NewGeometry", "SeparateXYZ", "MapRange", "Emission", "BsdfDiffuse", "AddShader", "OutputMaterial"))
    for socket, value in (("From Min", -1.0), ("From Max", 1.0), ("To Min", 0.2), ("To Max", 0.5)):
        glow.inputs[socket].default_value = value
    diffuse.inputs["Roughness"].default_value = 0.0     # of its microfacets: Lambert's law, nothing shines
    for start, end in ((facing.outputs["Normal"], split.inputs[0]), (split.outputs["Z"], glow.inputs["Value"]),
                       (glow.outputs[0], emit.inputs["Strength"]), (colour, emit.inputs["Color"]),
                       (colour, diffuse.inputs["Color"]), (emit.outputs[0], both.inputs[0]),
                       (diffuse.outputs[0], both.inputs[1]), (both.outputs[0], out.inputs["Surface"])):
        links.new(start, end)
    material.cycles.emission_sampling = "NONE"      # it lights nothing but itself


def daylight(scene: bpy.types.Scene, towards: Point, energy: float = 2.4) -> None:
    """A small sun that shines ``towards``, and clouds that light nothing."""
    data = bpy.data.lights.new("Sun", "SUN")
    data.energy, data.angle, data.color = energy, math.radians(0.2), (1.0, 0.95, 0.87)
    sun = put("Sun", data, scene.collection, (0.0, 0.0, 20.0))
    sun.rotation_euler = Vector(towards).to_track_quat("-Z", "Y").to_euler()
    world = bpy.data.worlds.new("Clouds")
    scene.world = world
    world.cycles.sampling_method, world.cycles_visibility.diffuse = "NONE", False
    nodes, links = world.node_tree.nodes, world.node_tree.links
    where, noise, ramp = (nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "TexNoise", "ValToRGB"))
    for socket, value in (("Scale", 5.0), ("Detail", 2.0), ("Roughness", 0.6), ("Lacunarity", 2.8)):
        noise.inputs[socket].default_value = value
    links.new(where.outputs["Generated"], noise.inputs["Vector"])
    links.new(noise.outputs[0], ramp.inputs[0])
    links.new(ramp.outputs[0], nodes["Background"].inputs["Color"])
    for element, (place, colour) in zip(ramp.color_ramp.elements, ((0.38, (0.16, 0.32, 0.62)), (0.62, (0.75, 0.78, 0.80))),
                                        strict=True):
        element.position, element.color = place, (*colour, 1.0)


def camera(scene: bpy.types.Scene, view: Callable[[float], View]) -> None:
    """Keys what ``view`` gives for each second of the shot."""
    data = bpy.data.cameras.new("Camera")
    item = put("Camera", data, scene.collection)
    data.clip_start, data.clip_end, scene.camera = 0.1, 120.0, item
    views = [view((frame - FRAMES[0]) / FPS) for frame in FRAMES]
    looks = [(Vector(aim) - Vector(at)).to_track_quat("-Z", "Y") for at, aim, _ in views]
    for before, after in zip(looks, looks[1:], strict=False):
        after.make_compatible(before)
    item.rotation_mode = "QUATERNION"
    key(item, "location", FRAMES, np.array([at for at, _, _ in views]), "Move")
    key(item, "rotation_quaternion", FRAMES, np.array(looks), "Move")
    for frame, (_, _, lens) in zip(FRAMES, views, strict=True):
        data.lens = lens
        data.keyframe_insert("lens", frame=frame)


def block(scene: bpy.types.Scene, name: str, low: Point, high: Point, material: bpy.types.Material,
          yaw: float = 0.0) -> bpy.types.Object:
    """A box between two corners, turned by ``yaw`` about the middle of its base."""
    base = Vector(((low[0] + high[0]) / 2.0, (low[1] + high[1]) / 2.0, low[2]))
    solid = Solid(name, [material])
    solid.box(Vector(low) - base, Vector(high) - base)
    return solid.object(scene.collection, base, yaw)


def crates(scene: bpy.types.Scene, materials: Sequence[bpy.types.Material], places: Sequence[tuple[float, float]],
           sizes: tuple[float, float], seed: int) -> None:
    """A turned box at each place (x, y), as high as sizes say."""
    chance = random.Random(seed)
    for number, (x, y) in enumerate(places):
        half, high = chance.uniform(*sizes) / 2.0, chance.uniform(*sizes)
        block(scene, f"Crate {number}", (x - half, y - half, 0.0), (x + half, y + half, high),
              materials[number % len(materials)], chance.uniform(0.0, 1.5))


def hills(scene: bpy.types.Scene, material: bpy.types.Material, low: tuple[float, float], high: tuple[float, float],
          track: float, height: float, seed: int) -> Callable[[float, float], float]:
    """Ground over a rectangle, flat up to a metre beyond y = ``track``; returns its height (m) at x, y."""
    chance = random.Random(seed)
    waves = [(chance.uniform(-1.3, 1.3), chance.uniform(-1.3, 1.3), chance.uniform(0, 6.3), chance.uniform(0.5, 1.0))
             for _ in range(9)]

    def rise(x: float, y: float) -> float:
        away = min(max((y - track - 1.0) / 4.0, 0.0), 1.0)
        bumps = sum(a * math.sin(u * x + v * y + w) for u, v, w, a in waves)
        return height * away * away * (3.0 - 2.0 * away) * (0.8 + 0.3 * bumps)

    across, deep = (int((high[axis] - low[axis]) / 0.2) + 1 for axis in range(2))
    points = [(low[0] + 0.2 * i, low[1] + 0.2 * j, rise(low[0] + 0.2 * i, low[1] + 0.2 * j))
              for j in range(deep) for i in range(across)]
    faces = [(j * across + i, j * across + i + 1, (j + 1) * across + i + 1, (j + 1) * across + i)
             for j in range(deep - 1) for i in range(across - 1)]
    mesh = bpy.data.meshes.new("Ground")
    mesh.from_pydata(points, [], faces)
    mesh.materials.append(material)
    mesh.shade_smooth()
    put("Ground", mesh, scene.collection)
    return rise
