# SPDX-License-Identifier: GPL-3.0-or-later
"""The marcher against Cycles, and the volume layer by Cycles where it cannot march."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from captured import add_camera, add_cube
from lucid.addon.capture.camera import CameraView, view_of
from lucid.addon.capture.cycles import Cycles
from lucid.addon.capture.shading import ensure_gpu
from lucid.addon.capture.volume import Marcher, VolumeSurface
from lucid.addon.capture.volume_cycles import cycles_volume
from lucid.addon.capture.volume_grids import obstacles
from lucid.addon.capture.volume_shading import Blackbody, blackbody_curve
from lucid.inference.shot.model import Size
from volumes import add_fog, fog_grid, volume_material

SIZE = Size(48, 36)
SAMPLES = 96
PRINCIPLED = "ShaderNodeVolumePrincipled"


def foggy(scene: bpy.types.Scene) -> tuple[CameraView, np.ndarray]:
    """A black, glowing fog, turned and stretched; its camera and its matrix. Marched and rendered pixels are the same
    points, and Cycles's own steps small."""
    item = add_fog(volume_material(
        ("ShaderNodeAttribute", {"attribute_name": "density"}),
        (PRINCIPLED, {"Density": 0.6, "Color": (0.0, 0.0, 0.0, 1.0), "Absorption Color": (0.0, 0.04, 0.16, 1.0),
                      "Emission Color": (1.0, 0.5, 0.25, 1.0)}), links=((0, "Factor", 1, "Emission Strength"),)))
    item.scale, item.rotation_euler = (1.2, 0.8, 1.0), (0.1, 0.2, 0.3)
    camera = add_camera(scene, at=(1.4, -5.0, 0.7), towards=(0.0, 0.0, 0.0))
    scene.render.resolution_x, scene.render.resolution_y = SIZE.width, SIZE.height
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BOX", 0.01
    scene.cycles.volume_biased, scene.cycles.volume_step_rate, scene.cycles.volume_max_steps = True, 0.1, 1024
    depsgraph = bpy.context.evaluated_depsgraph_get()
    matrix = next(np.array(i.matrix_world, np.float64) for i in depsgraph.object_instances if i.object.type == "VOLUME")
    return view_of(camera.evaluated_get(depsgraph), depsgraph, SIZE), matrix


def marched(view: CameraView, matrix: np.ndarray, stop: np.ndarray) -> VolumeSurface:
    ensure_gpu()
    scale = 1.0 / np.linalg.norm(matrix[:3, :3] @ np.full(3, 3.0 ** -0.5))
    fog = fog_grid(matrix, extinction=tuple(0.6 * scale * np.array([1.0, 0.8, 0.6])),
                   emission=tuple(scale * np.array([1.0, 0.5, 0.25])))
    return Marcher(SIZE).march([fog], view, stop)


def same(ours: VolumeSurface, cycles: VolumeSurface) -> None:
    """Means agree to 0.3 %, pixels within Cycles's noise."""
    seen = ours.transmittance < 0.98
    assert seen.sum() > 300
    for name, scale in (("transmittance", 1.0), ("emission", ours.emission.max())):
        off = (getattr(ours, name) - getattr(cycles, name))[seen] / scale
        assert abs(off.mean()) < 3e-3
        assert np.median(abs(off)) < 5e-3
        assert np.percentile(abs(off), 99) < 0.03


def test_cycles_sees_the_same(empty: bpy.types.Scene) -> None:
    view, matrix = foggy(empty)
    rendered = cycles_volume(Cycles(empty, "ViewLayer", SIZE), 1, SAMPLES)
    same(marched(view, matrix, np.full((36, 48), np.inf, np.float32)), rendered)
    assert np.all(np.isnan(rendered.depth) == (rendered.transmittance < 1.0))
    assert np.all(np.isposinf(rendered.depth[rendered.transmittance == 1.0]))


def test_fire_is_as_bright_as_in_cycles(empty: bpy.types.Scene) -> None:
    """A black body's power is of the voxels and then interpolated, not the other way round, which gives 3 % less."""
    view, matrix = foggy(empty)
    node = next(node for node in bpy.data.materials["Fog"].node_tree.nodes if node.type == "PRINCIPLED_VOLUME")
    node.id_data.links.remove(node.inputs["Emission Strength"].links[0])
    node.inputs["Emission Strength"].default_value, node.inputs["Blackbody Intensity"].default_value = 0.0, 1.0
    node.inputs["Temperature"].default_value, node.inputs["Temperature Attribute"].default_value = 1500.0, "density"
    rendered = cycles_volume(Cycles(empty, "ViewLayer", SIZE), 1, SAMPLES)
    scale = 1.0 / np.linalg.norm(matrix[:3, :3] @ np.full(3, 3.0 ** -0.5))
    reach = float(fog_grid(matrix).values.max())
    fire = fog_grid(matrix, extinction=tuple(0.6 * scale * np.array([1.0, 0.8, 0.6])), emission=(scale,) * 3,
                    curve=blackbody_curve(Blackbody(1500.0, 1.0, (1.0, 1.0, 1.0)), reach), reach=reach)
    ensure_gpu()
    same(Marcher(SIZE).march([fire], view, np.full((36, 48), np.inf, np.float32)), rendered)


def test_a_file_is_seen_without_a_world(empty: bpy.types.Scene, tmp_path: Path) -> None:
    fog = add_fog(None)
    for instance in bpy.context.evaluated_depsgraph_get().object_instances:
        if instance.object.type == "VOLUME":
            assert instance.object.data.grids.save(filepath=str(tmp_path / "fog.vdb"))
    bpy.data.objects.remove(fog)
    item = bpy.data.objects.new("Smoke", bpy.data.volumes.new("Smoke"))
    item.data.filepath = str(tmp_path / "fog.vdb")
    empty.collection.objects.link(item)
    add_camera(empty, at=(0.0, -5.0, 0.0), towards=(0.0, 0.0, 0.0))
    worlds = list(bpy.data.worlds)
    seen = cycles_volume(Cycles(empty, "ViewLayer", SIZE), 1, 16)
    assert seen.transmittance.min() < 0.5
    assert list(bpy.data.worlds) == worlds and empty.world is None


def test_fog_in_a_mesh_is_for_cycles(empty: bpy.types.Scene) -> None:
    """A cube of even fog, seen along its depth of 2 m; what is inside of a visible surface is not of the volume layer."""
    material = volume_material((PRINCIPLED, {"Density": 0.5, "Color": (0.0, 0.0, 0.0, 1.0)}))
    cube = add_cube("Cloud", size=2.0)
    cube.data.materials.append(material)
    add_camera(empty, at=(0.0, -5.0, 0.0), towards=(0.0, 0.0, 0.0), type="ORTHO", ortho_scale=1.0)
    (reason,) = obstacles(bpy.context.evaluated_depsgraph_get())
    assert "'Cloud'" in reason and "inside of a mesh" in reason
    seen = cycles_volume(Cycles(empty, "ViewLayer", Size(4, 4)), 1, 64)
    np.testing.assert_allclose(seen.transmittance, np.exp(-1.0), atol=2e-3)

    tree = material.node_tree
    tree.links.new(tree.nodes.new("ShaderNodeBsdfGlass").outputs[0], tree.get_output_node("ALL").inputs["Surface"])
    assert obstacles(bpy.context.evaluated_depsgraph_get()) == []
    np.testing.assert_array_equal(cycles_volume(Cycles(empty, "ViewLayer", Size(4, 4)), 1, 4).transmittance, 1.0)


def test_surfaces_stop_it_and_lights_do_not_show(empty: bpy.types.Scene) -> None:
    view, matrix = foggy(empty)
    wall = add_cube("Wall", at=(0.0, 5.0, 0.0), size=10.0)      # its front runs through the middle of the fog
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    lamp.data.energy, lamp.location = 1e4, (0.0, -3.0, 2.0)
    empty.collection.objects.link(lamp)
    empty.world = bpy.data.worlds.new("World")
    before = (empty.world, wall.is_holdout, lamp.visible_volume_scatter, empty.cycles.max_bounces)
    rendered = cycles_volume(Cycles(empty, "ViewLayer", SIZE), 1, SAMPLES)
    assert (empty.world, wall.is_holdout, lamp.visible_volume_scatter, empty.cycles.max_bounces) == before

    v, u = np.mgrid[0:36, 0:48] + 0.5
    seen = np.stack([(u - view.K[0, 2]) / view.K[0, 0], (v - view.K[1, 2]) / view.K[1, 1], np.ones_like(u)], -1)
    along = seen @ view.world_from_camera[:3, :3].T
    stop = (0.0 - view.world_from_camera[1, 3]) / along[..., 1]      # the plane y = 0
    same(marched(view, matrix, stop.astype(np.float32)), rendered)
