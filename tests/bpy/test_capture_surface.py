# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth and normals against closed forms and against Cycles, over the ways a camera can be set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import OpenEXR
import pytest
from lucid.inference.shot.model import Size
from lucid.tests.captured import SIZE, Captured, add_camera, add_cube, add_sphere, captured

CAMERAS: dict[str, tuple[dict[str, Any], dict[str, Any], Size]] = {
    "plain": ({}, {}, SIZE),
    "shift": ({"shift_x": 0.13, "shift_y": -0.07}, {}, SIZE),
    "sensor vertical": ({"sensor_fit": "VERTICAL"}, {}, SIZE),
    "sensor horizontal, portrait": ({"sensor_fit": "HORIZONTAL", "lens": 30.0}, {}, Size(90, 160)),
    "pixel aspect": ({}, {"pixel_aspect_x": 2.0, "pixel_aspect_y": 1.0}, SIZE),
    "portrait": ({"shift_x": 0.05}, {}, Size(90, 160)),
    "orthographic": ({"type": "ORTHO", "ortho_scale": 4.0}, {}, SIZE),
    "orthographic, shifted": ({"type": "ORTHO", "ortho_scale": 4.0, "shift_x": 0.1, "shift_y": 0.05}, {}, SIZE),
}


def _sphere_depth(shot: Captured) -> np.ndarray:
    """Depth along z of the unit sphere at the origin; +inf where a ray misses it."""
    start, way = shot.rays()
    a, b, c = (way * way).sum(-1), 2.0 * (start * way).sum(-1), (start * start).sum(-1) - 1.0
    square = b * b - 4.0 * a * c
    with np.errstate(invalid="ignore"):
        return np.where(square > 0.0, (-b - np.sqrt(square)) / (2.0 * a), np.inf)


@pytest.mark.parametrize("case", ["plain", "pixel aspect", "portrait", "orthographic, shifted"])
def test_depth_of_a_sphere(case: str, empty: bpy.types.Scene, tmp_path: Path) -> None:
    lens, render, size = CAMERAS[case]
    add_sphere()
    add_camera(empty, **lens)
    for name, value in render.items():
        setattr(empty.render, name, value)
    shot = captured(empty, tmp_path, size=size)
    depth, truth = shot.depth(), _sphere_depth(shot)
    both = np.isfinite(depth) & np.isfinite(truth)
    assert both.mean() > 0.03
    assert (np.isfinite(depth) != np.isfinite(truth)).mean() < 2e-3      # the sphere is a polygon at its outline
    assert np.median(np.abs(depth[both] - truth[both]) / truth[both]) <= 1e-4


@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_depth_and_normal_of_a_plane(kind: str, empty: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_plane_add(size=2000.0)
    camera = add_camera(empty, at=(0.0, -6.0, 3.0), type=kind)
    camera.scale = (2.0, 2.0, 2.0)                # the scale of the camera object must not matter
    shot = captured(empty, tmp_path)
    start, way = shot.rays()
    with np.errstate(divide="ignore"):
        truth = -start[..., 2] / way[..., 2]
    depth = shot.depth()
    hit = np.isfinite(depth)
    assert hit.mean() > 0.5
    assert np.median(np.abs(depth[hit] - truth[hit]) / truth[hit]) <= 1e-4
    up = np.linalg.inv(shot.camera["world_from_camera"][0])[:3, :3] @ (0.0, 0.0, 1.0)
    np.testing.assert_allclose(shot.normal()[hit], np.broadcast_to(up, (hit.sum(), 3)), atol=1e-5)
    assert (shot.normal()[~hit] == 0.0).all()
    assert (shot.id()[~hit] == 0).all()


def test_far_from_the_origin(empty: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_plane_add(size=100.0, location=(20000.0, 20000.0, 0.0))
    add_camera(empty, at=(20000.0, 19994.0, 3.0), towards=(20000.0, 20000.0, 0.0))
    shot = captured(empty, tmp_path)
    start, way = shot.rays()
    hit = np.isfinite(shot.depth())
    truth = (-start[..., 2] / way[..., 2])[hit]
    assert np.median(np.abs(shot.depth()[hit] - truth) / truth) <= 1e-4


def test_normals_of_a_sphere_face_the_camera(empty: bpy.types.Scene, tmp_path: Path) -> None:
    outside = add_sphere(smooth=True)
    mirrored = add_sphere("Mirrored", at=(2.2, 1.0, 0.0), smooth=True)
    mirrored.scale = (-1.0, 1.0, 1.0)             # turns the winding round
    add_camera(empty)
    shot = captured(empty, tmp_path)
    start, way = shot.rays()
    point = start + way * shot.depth()[..., None]
    rotation = shot.camera["world_from_camera"][0][:3, :3]
    for item in (outside, mirrored):
        on = shot.names() == item.name
        truth = (point[on] - np.array(item.location)) @ rotation
        alike = (shot.normal()[on] * truth).sum(-1) / np.linalg.norm(truth, axis=-1)
        assert on.sum() > 500
        assert np.median(alike) > 1.0 - 1e-5
        assert (alike > 0.999).mean() > 0.99
        assert ((shot.normal()[on] * (way[on] @ rotation)).sum(-1) < 0.02).all()


def test_inside_faces_are_turned(empty: bpy.types.Scene, tmp_path: Path) -> None:
    add_cube("Room", size=8.0)
    add_camera(empty, at=(0.0, -2.0, 0.0), towards=(0.3, 3.0, 0.2))
    shot = captured(empty, tmp_path)
    _, way = shot.rays()
    rotation = shot.camera["world_from_camera"][0][:3, :3]
    assert np.isfinite(shot.depth()).all()
    assert ((shot.normal() * (way @ rotation)).sum(-1) < 0.0).all()


def _busy_scene(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    bpy.ops.mesh.primitive_plane_add(size=20.0, location=(0.0, 0.0, -1.0))
    items = [bpy.context.object]
    for number, (x, y) in enumerate([(-1.5, 0.0), (0.0, 1.0), (1.4, -0.5), (0.5, -1.5)]):
        bpy.ops.mesh.primitive_monkey_add(size=1.2, location=(x, y, 0.0), rotation=(0.1 * number, 0.2, number))
        items.append(bpy.context.object)
    add_camera(scene, at=(0.5, -4.5, 4.0), towards=(0.1, 0.0, -0.2), lens=35.0)
    return items


def _cycles(scene: bpy.types.Scene, size: Size, folder: Path) -> dict[str, np.ndarray]:
    render, layer = scene.render, scene.view_layers[0]
    render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    # Cycles puts its one sample beside the pixel's centre, by 5e-4 px with this filter (measured), more with others
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BOX", 0.01
    layer.use_pass_z = layer.use_pass_object_index = True
    render.resolution_x, render.resolution_y, render.resolution_percentage = size.width, size.height, 100
    render.image_settings.media_type = "MULTI_LAYER_IMAGE"
    render.image_settings.color_depth = "32"
    render.image_settings.use_exr_interleave = True
    render.filepath = str(folder / "cycles.exr")
    bpy.ops.render.render(write_still=True)
    with OpenEXR.File(render.filepath, separate_channels=True) as file:
        channels = file.channels()
        depth = next(name for name in channels if name.endswith("Depth.Z"))
        index = next(name for name in channels if name.endswith("Object Index.X"))
        return {"depth": np.array(channels[depth].pixels), "index": np.array(channels[index].pixels)}


@pytest.mark.parametrize("case", CAMERAS)
def test_depth_and_ids_equal_those_of_cycles(case: str, empty: bpy.types.Scene, tmp_path: Path) -> None:
    lens, render, size = CAMERAS[case]
    items = _busy_scene(empty)
    for name, value in lens.items():
        setattr(empty.camera.data, name, value)
    for name, value in render.items():
        setattr(empty.render, name, value)
    for number, item in enumerate(items, start=1):
        item.pass_index = number
    truth = _cycles(empty, size, tmp_path)
    shot = captured(empty, tmp_path, size=size)
    # one sample through the pixel centre in both, so that only a ray along an edge of two triangles may differ
    hit = np.isfinite(shot.depth()) & (truth["depth"] < 1e9)
    error = np.abs(shot.depth()[hit] - truth["depth"][hit]) / truth["depth"][hit]
    assert hit.mean() > 0.2
    assert np.median(error) <= 1e-5
    number_of = {item.name: item.pass_index for item in items} | {"": 0}
    ours = np.vectorize(number_of.__getitem__)(shot.names())
    assert (ours != truth["index"]).sum() <= 2


def test_the_gpu_shader_equals_its_numpy_twin(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """One triangle: position, plane depth and flat normal worked out by hand."""
    corners = np.array([(-2.0, 1.0, -1.5), (2.2, 0.5, -1.0), (0.1, 1.6, 1.8)])
    mesh = bpy.data.meshes.new("Triangle")
    mesh.from_pydata(corners.tolist(), [], [(0, 1, 2)])
    item = bpy.data.objects.new("Triangle", mesh)
    empty.collection.objects.link(item)
    item.location, item.scale, item.rotation_euler = (0.1, 0.2, 0.0), (1.0, 0.7, 1.2), (0.2, 0.1, 0.3)
    add_camera(empty)
    shot = captured(empty, tmp_path)
    world = corners @ np.array(item.matrix_world)[:3, :3].T + np.array(item.matrix_world)[:3, 3]
    back = np.linalg.inv(shot.camera["world_from_camera"][0])
    a, b, c = world @ back[:3, :3].T + back[:3, 3]
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal)
    normal *= -np.sign(normal @ a)
    v, u = np.mgrid[0:SIZE.height, 0:SIZE.width] + 0.5
    intrinsics = shot.camera["K"][0]
    way = np.stack([(u - intrinsics[0, 2]) / intrinsics[0, 0], (v - intrinsics[1, 2]) / intrinsics[1, 1],
                    np.ones_like(u)], axis=-1)
    depth = (normal @ a) / (way @ normal)
    spot = way * depth[..., None]
    inside = np.ones_like(u, bool)
    for start, end in ((a, b), (b, c), (c, a)):
        turn = np.cross(end - start, spot - start) @ np.cross(b - a, c - a)
        inside &= turn > 0.0
    drawn = np.isfinite(shot.depth())
    assert (drawn != inside).sum() <= 3
    np.testing.assert_allclose(shot.depth()[drawn & inside], depth[drawn & inside], rtol=2e-6)
    np.testing.assert_allclose(shot.normal()[drawn], np.broadcast_to(normal, (drawn.sum(), 3)), atol=2e-6)
