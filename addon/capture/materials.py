# SPDX-License-Identifier: GPL-3.0-or-later
"""What the camera sees of a material, and which objects only Cycles can draw, or neither engine."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from .alpha import Cutout, Decision, Invisible, Solid, Unsupported, decide

__all__ = ["Cutout", "Decision", "Invisible", "Solid", "Unsupported", "classify", "is_volume", "materials_of",
           "needs_cycles", "never_captured"]

_STRANDS = {"CURVES": "hair curves", "POINTCLOUD": "a point cloud"}


def classify(material: bpy.types.Material | None) -> Decision:
    """Whether the camera sees the surface of ``material``, by the rule of Cycles' data passes."""
    output = _output(material)
    if output is None:
        return Solid()
    surface, displacement = output.inputs["Surface"], output.inputs["Displacement"]
    if displacement.is_linked and material.displacement_method != "BUMP":
        return Unsupported(f"displacement by '{displacement.links[0].from_node.name}'")
    if not surface.is_linked:
        return Invisible() if output.inputs["Volume"].is_linked else Solid()
    return decide(surface)


def materials_of(item: bpy.types.Object) -> Sequence[bpy.types.Material | None]:
    """The material of each slot: the (evaluated) mesh's own, where the object does not put another one there."""
    found = list(getattr(item.data, "materials", ()))
    for index, slot in enumerate(item.material_slots):
        if index >= len(found):
            found.append(slot.material)
        elif slot.link == "OBJECT":
            found[index] = slot.material
    return found


def needs_cycles(item: bpy.types.Object) -> str | None:
    """Why the G-buffer cannot draw this (evaluated) object and Cycles can; None when it can."""
    if item.type in _STRANDS:
        return _STRANDS[item.type]
    if any(_is_strands(modifier) for modifier in item.modifiers):
        return "particle hair"
    for material in materials_of(item):
        found = classify(material)
        if isinstance(found, Unsupported):
            return f"material '{material.name}': {found.reason}"
    return None


def never_captured(item: bpy.types.Object) -> str | None:
    """What neither engine draws; None when one of them does."""
    return "Grease Pencil strokes" if item.type == "GREASEPENCIL" else None


def is_volume(item: bpy.types.Object) -> bool:
    """Whether the (evaluated) object is a volume, or has a material with one inside."""
    outputs = (_output(material) for material in materials_of(item))
    return item.type == "VOLUME" or any(output.inputs["Volume"].is_linked for output in outputs if output is not None)


def _is_strands(modifier: bpy.types.Modifier) -> bool:
    if modifier.type != "PARTICLE_SYSTEM" or not modifier.show_render:
        return False
    settings = modifier.particle_system.settings
    return settings.type == "HAIR" and settings.render_type == "PATH"


def _output(material: bpy.types.Material | None) -> bpy.types.Node | None:
    if material is None or material.node_tree is None:
        return None
    return material.node_tree.get_output_node("CYCLES")
