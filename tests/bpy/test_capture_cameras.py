# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of a sphere and of a plane, and the camera written beside it, over the ways a camera can be set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from lucid.inference.shot.model import Frames, Size
from lucid.tests.captured import SIZE, Captured, add_camera, add_sphere, captured
from mathutils import Vector
from numpy.typing import NDArray

TALL = Size(SIZE.height, SIZE.width)
GROUND = -1.2                   # the plane's z; the sphere has radius 1 and stands at the origin
FAR = 90.0                      # a little before Blender's default clip_end
ORTHO = {"type": "ORTHO", "ortho_scale": 4.0}

# name -> (camera data, render settings, scale of the camera object, size)
Case = tuple[dict[str, Any], dict[str, Any], tuple[float, float, float], Size]
ONE = (1.0, 1.0, 1.0)
WIDE_PIXELS, TALL_PIXELS = {"pixel_aspect_x": 2.0}, {"pixel_aspect_y": 2.0}
CASES: dict[str, Case] = {
    **{f"{fit.lower()}, {'portrait' if size is TALL else 'landscape'}":
       ({"sensor_fit": fit, "lens": 35.0, "sensor_width": 32.0, "sensor_height": 28.0}, {}, ONE, size)
       for fit in ("AUTO", "HORIZONTAL", "VERTICAL") for size in (SIZE, TALL)},
    "shift x": ({"shift_x": 0.21}, {}, ONE, SIZE),
    "shift y, portrait": ({"shift_y": -0.13}, {}, ONE, TALL),
    "pixels 2:1": ({"shift_x": 0.05}, WIDE_PIXELS, ONE, SIZE),
    "pixels 2:1, portrait": ({"shift_y": 0.05}, WIDE_PIXELS, ONE, TALL),
    "pixels 1:2": ({"sensor_fit": "VERTICAL", "shift_x": -0.04}, TALL_PIXELS, ONE, SIZE),
    "pixels 1:2, portrait": ({"sensor_fit": "HORIZONTAL"}, TALL_PIXELS, ONE, TALL),
    "orthographic": (ORTHO, {}, ONE, SIZE),
    "orthographic, shifted": (ORTHO | {"shift_x": 0.1, "shift_y": -0.07}, {}, ONE, TALL),
    "orthographic, pixels 1:2": (ORTHO | {"sensor_fit": "VERTICAL", "shift_y": 0.1}, TALL_PIXELS, ONE, SIZE),
    "scaled": ({}, {}, (2.0, 2.0, 2.0), SIZE),
    "scaled unevenly": ({"shift_x": 0.1}, {}, (0.5, 3.0, 2.0), SIZE),
    "orthographic, scaled": (ORTHO, {}, (3.0, 3.0, 3.0), SIZE),
}


def _scene(scene: bpy.types.Scene, case: str) -> Size:
    lens, render, scale, size = CASES[case]
    add_sphere("Sphere", detail=384)
    bpy.ops.mesh.primitive_plane_add(size=200.0, location=(0.0, 0.0, GROUND))
    add_camera(scene, **lens).scale = scale
    scene.render.resolution_x, scene.render.resolution_y = size.width, size.height
    for name, value in render.items():
        setattr(scene.render, name, value)
    return size


def _truth(shot: Captured, index: int) -> dict[str, NDArray[np.float64]]:
    """Depth along z, +inf where a ray of camera.npz misses: of the sphere, where it is seen, and of the plane, likewise."""
    start, way = shot.rays(index)
    a, b, c = (way * way).sum(-1), 2.0 * (start * way).sum(-1), (start * start).sum(-1) - 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        sphere = np.where(b * b > 4.0 * a * c, (-b - np.sqrt(b * b - 4.0 * a * c)) / (2.0 * a), np.inf)
        plane = (GROUND - start[..., 2]) / way[..., 2]
    plane = np.where((plane > 0.0) & (plane < FAR), plane, np.inf)
    return {"Sphere": np.where(sphere < plane, sphere, np.inf), "Plane": np.where(plane < sphere, plane, np.inf)}


def _agrees(shot: Captured, index: int = 0) -> None:
    """Depth and names are those of the sphere and the plane, seen along the rays of camera.npz."""
    frame = shot.shot.frames.numbers[index]
    depth, names = shot.depth(frame), shot.names(frame)
    for name, truth in _truth(shot, index).items():
        hit = np.isfinite(truth)
        assert hit.mean() > 0.03
        assert ((names == name) & (depth < FAR) != hit).sum() <= 0.004 * hit.size    # the outline is a polygon
        both = hit & (names == name)
        error = np.abs(depth[both] - truth[both]) / truth[both]
        assert np.median(error) <= (3e-5 if name == "Sphere" else 2e-6)


@pytest.mark.parametrize("case", CASES)
def test_depth_of_a_sphere_and_a_plane(case: str, empty: bpy.types.Scene, tmp_path: Path) -> None:
    size = _scene(empty, case)
    _agrees(captured(empty, tmp_path, size=size))


@pytest.mark.parametrize("case", CASES)
def test_the_camera_is_blenders(case: str, empty: bpy.types.Scene, tmp_path: Path) -> None:
    """Points through K and world_from_camera come out where Blender's own, other way of projecting puts them."""
    size = _scene(empty, case)
    shot = captured(empty, tmp_path, size=size)
    for point in np.random.default_rng(3).uniform(-1.0, 1.0, (20, 3)):
        x, y, z = (np.linalg.inv(shot.camera["world_from_camera"][0]) @ (*point, 1.0))[:3]
        divisor = 1.0 if shot.shot.source["projection"] == "orthographic" else z
        u, v, _ = shot.camera["K"][0] @ (x / divisor, y / divisor, 1.0)
        right, up, depth = world_to_camera_view(empty, empty.camera, Vector(point))
        np.testing.assert_allclose((u, v, z), (right * size.width, (1.0 - up) * size.height, depth), atol=2e-4)


@pytest.mark.parametrize("settings", [
    {"resolution_percentage": 50}, {"resolution_x": 500, "resolution_y": 70},
    {"use_border": True, "border_min_x": 0.25, "border_max_x": 0.75, "border_min_y": 0.25, "use_crop_to_border": True}])
def test_the_size_is_the_captures_own(settings: dict[str, Any], empty: bpy.types.Scene, tmp_path: Path) -> None:
    size = _scene(empty, "pixels 2:1")
    plain = captured(empty, tmp_path, size=size)
    for name, value in settings.items():
        setattr(empty.render, name, value)
    other = captured(empty, tmp_path / "other", size=size)
    assert plain.depth().shape == (size.height, size.width)
    np.testing.assert_array_equal(other.depth(), plain.depth())
    np.testing.assert_array_equal(other.camera["K"], plain.camera["K"])


def test_lens_shift_and_place_may_move(empty: bpy.types.Scene, tmp_path: Path) -> None:
    _scene(empty, "shift x")
    camera = empty.camera
    for frame, lens, shift, x in ((1, 50.0, 0.21, 0.4), (5, 28.0, -0.1, -1.0)):
        camera.data.lens, camera.data.shift_x, camera.location.x = lens, shift, x
        for owner, path in ((camera.data, "lens"), (camera.data, "shift_x"), (camera, "location")):
            owner.keyframe_insert(path, frame=frame)
    shot = captured(empty, tmp_path, frames=Frames(1, 5, 2))
    assert (np.diff(shot.camera["K"][:, 0, 0]) < 0.0).all() and (np.diff(shot.camera["K"][:, 0, 2]) > 0.0).all()
    for index in range(3):
        _agrees(shot, index)
