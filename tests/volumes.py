# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests inside Blender: a geometry-node volume whose grids are known, and materials for volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from lucid.addon.capture.volume import VolumeGrid
from numpy.typing import NDArray

SHAPE = (9, 8, 7)           # voxels of the fog, which reaches from -1 to 1
SLOPE = (1.5, 1.0, 0.5)     # its density is |SLOPE . position|


def volume_material(*nodes: tuple[str, dict[str, Any]], links: Sequence[tuple[int, str, int, str]] = ()) -> bpy.types.Material:
    """A material of ``nodes`` (type, values of inputs and attributes), the last of which is the volume; ``links`` are
    (from node, output, to node, input)."""
    material = bpy.data.materials.new("Fog")
    tree = material.node_tree
    tree.nodes.clear()
    made = []
    for kind, values in nodes:
        made.append(tree.nodes.new(kind))
        for name, value in values.items():
            if name in made[-1].inputs:
                made[-1].inputs[name].default_value = value
            else:
                setattr(made[-1], name, value)
    for start, output, end, name in links:
        tree.links.new(made[start].outputs[output], made[end].inputs[name])
    tree.links.new(made[-1].outputs[0], tree.nodes.new("ShaderNodeOutputMaterial").inputs["Volume"])
    return material


def add_fog(material: bpy.types.Material | None, second: str = "") -> bpy.types.Object:
    """An object whose geometry nodes make a volume of one grid, "density"; ``second`` names a copy of it."""
    tree = bpy.data.node_groups.new("Fog", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    new, link = tree.nodes.new, tree.links.new
    cube, product, positive = new("GeometryNodeVolumeCube"), new("ShaderNodeVectorMath"), new("ShaderNodeMath")
    for axis, count in zip("XYZ", SHAPE, strict=True):
        cube.inputs[f"Resolution {axis}"].default_value = count
    product.operation, positive.operation = "DOT_PRODUCT", "ABSOLUTE"
    product.inputs[1].default_value = SLOPE
    link(new("GeometryNodeInputPosition").outputs[0], product.inputs[0])
    link(product.outputs["Value"], positive.inputs[0])
    link(positive.outputs[0], cube.inputs["Density"])
    made = cube.outputs[0]
    if second:
        get, put = new("GeometryNodeGetNamedGrid"), new("GeometryNodeStoreNamedGrid")
        get.inputs["Name"].default_value, put.inputs["Name"].default_value = "density", second
        get.inputs["Remove"].default_value = False
        link(made, get.inputs["Volume"])
        link(get.outputs["Volume"], put.inputs["Volume"])
        link(get.outputs["Grid"], put.inputs["Grid"])
        made = put.outputs["Volume"]
    paint = new("GeometryNodeSetMaterial")
    paint.inputs["Material"].default_value = material
    link(made, paint.inputs["Geometry"])
    link(paint.outputs["Geometry"], new("NodeGroupOutput").inputs[0])
    item = bpy.data.objects.new("Fog", bpy.data.meshes.new("Fog"))
    bpy.context.scene.collection.objects.link(item)
    item.modifiers.new("Fog", "NODES").node_group = tree
    return item


def fog_grid(world_from_object: NDArray[np.float64], **light: Any) -> VolumeGrid:
    """What the grid of :func:`add_fog` holds."""
    axes = [np.linspace(-1.0, 1.0, count) for count in SHAPE]
    values = np.abs(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ SLOPE).astype(np.float32)
    object_from_index = np.diag([*(2.0 / (count - 1) for count in SHAPE), 1.0])
    object_from_index[:3, 3] = -1.0
    return VolumeGrid(values, world_from_object @ object_from_index, **light)
