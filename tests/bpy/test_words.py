# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera animated in Blender, captured, in words."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon.capture import CaptureSpec, capture_shot
from lucid.inference.shot.model import Frames, Size
from lucid.inference.shot.store import open_shot
from lucid.tests.captured import add_camera, add_cube
from mathutils import Vector


def _told(scene: bpy.types.Scene, folder: Path, last: int, actors: tuple[str, ...] = ("HERO",)) -> str:
    scene.render.fps = 24
    for _ in capture_shot(scene, CaptureSpec(Frames(1, last), Size(64, 36), actors=actors, passes=("depth",)),
                          folder / "shot.lucid"):
        pass
    return open_shot(folder / "shot.lucid").camera_words


def _person(name: str, at: tuple[float, float, float]) -> bpy.types.Object:
    item = add_cube(name, at=at)
    item.scale = (0.4, 0.4, 1.8)
    bpy.context.view_layer.update()
    return item


def _look(camera: bpy.types.Object, frame: int, at: Vector, towards: Vector) -> None:
    camera.location = at
    camera.rotation_mode = "QUATERNION"
    camera.rotation_quaternion = (towards - at).to_track_quat("-Z", "Y")
    camera.keyframe_insert("location", frame=frame)
    camera.keyframe_insert("rotation_quaternion", frame=frame)


@pytest.fixture
def hero(empty: bpy.types.Scene) -> bpy.types.Object:
    camera = add_camera(empty, lens=50.0)
    camera.animation_data_clear()
    return _person("HERO", (0.0, 0.0, 0.9))


def test_a_dolly_keyed_with_bezier_eases(empty: bpy.types.Scene, hero: bpy.types.Object, tmp_path: Path) -> None:
    target = Vector((0.0, 0.0, 0.9))
    for frame, distance in ((1, 14.0), (61, 2.4)):
        _look(empty.camera, frame, Vector((0.0, -distance, 0.9)), target)
    assert _told(empty, tmp_path, 61) == "starts on a wide shot, dollies in to a medium shot on HERO"


def test_an_orbit_on_an_empty(empty: bpy.types.Scene, hero: bpy.types.Object, tmp_path: Path) -> None:
    pivot = bpy.data.objects.new("Pivot", None)
    empty.collection.objects.link(pivot)
    _look(empty.camera, 1, Vector((0.0, -5.0, 0.9)), Vector((0.0, 0.0, 0.9)))
    empty.camera.parent = pivot
    for frame, angle in ((1, 0.0), (49, -np.pi / 2)):
        pivot.rotation_euler.z = angle
        pivot.keyframe_insert("rotation_euler", frame=frame)
    assert _told(empty, tmp_path, 49) == "starts on a full shot, orbits 90 degrees left around HERO"


def test_a_camera_that_goes_with_a_walker(empty: bpy.types.Scene, hero: bpy.types.Object, tmp_path: Path) -> None:
    hero.animation_data_clear()
    for frame, x in ((1, 0.0), (49, 5.0)):
        hero.location.x = x
        hero.keyframe_insert("location", frame=frame)
        _look(empty.camera, frame, Vector((x, -6.0, 1.0)), Vector((x, 0.0, 1.0)))
    assert _told(empty, tmp_path, 49) == "starts on a full shot, tracks right with HERO"


def test_nobody_is_named_without_actors(empty: bpy.types.Scene, hero: bpy.types.Object, tmp_path: Path) -> None:
    """The picture's median depth gives the size: a wall 20 m away."""
    wall = add_cube("Wall", at=(0.0, 20.0, 0.0))
    wall.scale = (90.0, 1.0, 90.0)
    for frame, angle in ((1, 0.0), (37, 30.0)):
        aim = Vector((np.sin(np.radians(angle)), np.cos(np.radians(angle)), 0.9))
        _look(empty.camera, frame, Vector((0.0, 0.0, 0.9)), aim)
    hero.hide_render = True
    assert _told(empty, tmp_path, 37, actors=()) == "starts on a wide shot, pans 30 degrees right"
