# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside Blender with Lucid installed: ``-P volume_session.py -- FOLDER``. Writes grids, reads them back as the
capture does, and prints one JSON object of what was found."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import openvdb
from bl_ext.user_default.lucid.addon.capture import volume_grids
from bl_ext.user_default.lucid.addon.capture.volume import MOST_VOXELS, VolumeGrid

LOW = (-3, 5, 2)        # index of the first voxel
FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
VALUES = np.random.default_rng(5).uniform(0.1, 1.0, (13, 6, 9)).astype(np.float32)


def write_grids(path: Path, **grids: np.ndarray) -> None:
    made = []
    for name, values in grids.items():
        grid = openvdb.FloatGrid()
        grid.copyFromArray(values, ijk=LOW)
        grid.name = name
        grid.transform = openvdb.createLinearTransform([[0.5, 0, 0, 0], [0, 0.25, 0, 0], [0.1, 0, 0.5, 0], [1, 2, 3, 1]])
        made.append(grid)
    openvdb.write(str(path), made)


def add_volume(path: Path) -> bpy.types.Object:
    data = bpy.data.volumes.new("Smoke")
    data.filepath = str(path)
    item = bpy.data.objects.new("Smoke", data)
    bpy.context.scene.collection.objects.link(item)
    return item


def read(reader: volume_grids.VolumeReader) -> list[VolumeGrid]:
    return reader.read(bpy.context.evaluated_depsgraph_get())


def file_volume() -> dict[str, Any]:
    """A grid with a sheared transform, of a moved object; read once, whatever is asked."""
    write_grids(FOLDER / "smoke.vdb", density=VALUES)
    item = add_volume(FOLDER / "smoke.vdb")
    item.location = (10.0, 0.0, 0.0)
    reader = volume_grids.VolumeReader()
    grids, again = read(reader), read(reader)
    corner = grids[0].world_from_index @ (2.0, 1.0, 4.0, 1.0)
    index = np.array(LOW) + (2, 1, 4)
    return {"values": bool(np.array_equal(grids[0].values, VALUES)), "kept": again[0].values is grids[0].values,
            "corner": corner[:3].tolist(), "notes": list(reader.notes), "extinction": grids[0].extinction,
            "expected": [11.0 + 0.5 * index[0] + 0.1 * index[2], 2.0 + 0.25 * index[1], 3.0 + 0.5 * index[2]]}


def pooled() -> dict[str, Any]:
    """A small limit: 2 x 2 x 2 voxels become one, whose place is their middle."""
    grid = openvdb.read(str(FOLDER / "smoke.vdb"), "density")
    values, index_from_array, count = volume_grids._box(grid, 7 * 3 * 5)
    padded = np.zeros((14, 6, 10), np.float32)
    padded[:13, :, :9] = VALUES
    expected = padded.reshape(7, 2, 3, 2, 5, 2).mean(axis=(1, 3, 5))
    return {"count": count, "close": bool(np.allclose(values, expected, atol=1e-6)),
            "first": (index_from_array @ (0.0, 0.0, 0.0, 1.0))[:3].tolist(), "most": MOST_VOXELS}


def sequence() -> list[float]:
    """Files of a sequence: the frame's own is read."""
    for frame in (1, 2):
        write_grids(FOLDER / f"fire_{frame:04d}.vdb", density=VALUES * frame)
    item = add_volume(FOLDER / "fire_0001.vdb")
    item.data.is_sequence, item.data.frame_duration, item.data.frame_start = True, 2, 1
    reader, found = volume_grids.VolumeReader(), []
    for frame in (1, 2, 1):
        bpy.context.scene.frame_set(frame)
        found.append(float(read(reader)[0].values.max() / VALUES.max()))
    return found


def geometry_nodes() -> list[float]:
    """What geometry nodes make, which changes with the frame."""
    tree = bpy.data.node_groups.new("Fog", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    cube = tree.nodes.new("GeometryNodeVolumeCube")
    tree.links.new(cube.outputs[0], tree.nodes.new("NodeGroupOutput").inputs[0])
    for frame in (1, 3):
        cube.inputs["Density"].default_value = frame
        cube.inputs["Density"].keyframe_insert("default_value", frame=frame)
    item = bpy.data.objects.new("Fog", bpy.data.meshes.new("Fog"))
    bpy.context.scene.collection.objects.link(item)
    item.modifiers.new("Fog", "NODES").node_group = tree
    reader, found = volume_grids.VolumeReader(), []
    for frame in (1, 2, 3, 3):
        bpy.context.scene.frame_set(frame)
        grid = read(reader)[0]
        found.append(float(grid.values.mean()))
        assert grid.values.shape == (32, 32, 32)
        assert np.allclose(grid.world_from_index @ (31.0, 31.0, 31.0, 1.0), 1.0)
    return found


def missing() -> list[str]:
    add_volume(FOLDER / "nowhere.vdb")
    reader = volume_grids.VolumeReader()
    assert read(reader) == []
    return list(reader.notes)


def fresh(check: Any) -> Any:
    bpy.data.batch_remove(bpy.context.scene.objects)
    return check()


checks = (file_volume, pooled, sequence, geometry_nodes, missing)
sys.stdout.write("FOUND " + json.dumps({check.__name__: fresh(check) for check in checks}) + "\n")
