# SPDX-License-Identifier: GPL-3.0-or-later
"""Grey Cycles materials that keep three lights apart: diffuse in red and green, mirror-like reflection in blue."""

from __future__ import annotations

from typing import Any

import bpy

GREY = 0.72
ROUGHNESS = 0.3

#: pattern -> (texture node, scale); what a pattern is called is what the surface is made of
_TEXTURES = {
    "brick": ("ShaderNodeTexBrick", 1.6),
    "plank": ("ShaderNodeTexWave", 1.4),
    "checker": ("ShaderNodeTexChecker", 1.0),
    "cobble": ("ShaderNodeTexVoronoi", 3.0),
    "noise": ("ShaderNodeTexNoise", 2.5),
    "grass": ("ShaderNodeTexNoise", 9.0),
}
_OUTPUTS = {"cobble": "Distance", "noise": "Factor", "grass": "Factor"}


def grey_material(pattern: str) -> Any:
    """A diffuse BSDF of the pattern's grey in red and green, plus a glossy one of weight 1 in blue alone.

    Fresnel is left out: how much of the reflection a surface shows is decided when the clip is used.
    """
    material = bpy.data.materials.new(pattern)
    if not material.node_tree:
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    diffuse, gloss = nodes.new("ShaderNodeBsdfDiffuse"), nodes.new("ShaderNodeBsdfGlossy")
    total, out = nodes.new("ShaderNodeAddShader"), nodes.new("ShaderNodeOutputMaterial")
    gloss.inputs["Color"].default_value, gloss.inputs["Roughness"].default_value = (0, 0, 1, 1), ROUGHNESS
    diffuse.inputs["Color"].default_value = (GREY, GREY, 0, 1)
    links.new(diffuse.outputs[0], total.inputs[0])
    links.new(gloss.outputs[0], total.inputs[1])
    links.new(total.outputs[0], out.inputs[0])
    if pattern != "plain":
        colour = nodes.new("ShaderNodeCombineColor")
        level = _level(nodes, links, pattern)
        for channel in (0, 1):
            links.new(level, colour.inputs[channel])
        links.new(colour.outputs[0], diffuse.inputs["Color"])
    return material


def _level(nodes: Any, links: Any, pattern: str) -> Any:
    """The socket with the pattern's grey level, 0.62 to 1 times GREY."""
    kind, scale = _TEXTURES[pattern]
    texture, ramp = nodes.new(kind), nodes.new("ShaderNodeMapRange")
    coordinates = nodes.new("ShaderNodeTexCoord")
    texture.inputs["Scale"].default_value = scale
    if pattern == "brick":
        for name, value in (("Color1", 1.0), ("Color2", 0.7), ("Mortar", 0.2)):
            texture.inputs[name].default_value = (value, value, value, 1)
    ramp.inputs["To Min"].default_value, ramp.inputs["To Max"].default_value = GREY * 0.62, GREY
    names = [socket.name for socket in texture.outputs]
    output = _OUTPUTS.get(pattern, "Color")
    links.new(coordinates.outputs["Object"], texture.inputs["Vector"])
    links.new(texture.outputs[output if output in names else 0], ramp.inputs["Value"])
    return ramp.outputs[0]
