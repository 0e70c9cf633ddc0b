# SPDX-License-Identifier: GPL-3.0-or-later
"""Driving Cycles: the right frame through the right camera, and a scene that is as it was. The oracle's signs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from captured import add_camera, add_cube
from lucid.addon.capture.cycles import Cycles, changed
from lucid.addon.capture.exact import exact_frame
from lucid.addon.capture.layers import resolve_actors
from lucid.addon.capture.lit import lit_frames
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Size
from oracle import cycles_passes

SIZE = Size(64, 36)
PLAIN = {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"}


def cycles(scene: bpy.types.Scene, size: Size = SIZE, camera: bpy.types.Object | None = None) -> Cycles:
    return Cycles(scene, scene.view_layers[0].name, size, camera)


def settings(scene: bpy.types.Scene) -> dict[str, Any]:
    """Every plain property of everything that a render may touch, and the things that properties do not tell."""
    owners = [scene, scene.render, scene.render.image_settings, scene.cycles, *scene.timeline_markers]
    for layer in scene.view_layers:
        owners += [layer, layer.cycles]
    for item in bpy.data.objects:
        owners += [item, *([item.data, item.data.dof] if item.type == "CAMERA" else [])]
    found: dict[str, Any] = {"camera": scene.camera, "time": (scene.frame_current, scene.frame_subframe),
                             "markers": [marker.camera for marker in scene.timeline_markers]}
    for owner in owners:
        for item in owner.bl_rna.properties:
            if item.type in PLAIN:
                value = getattr(owner, item.identifier)
                found[f"{owner!r}.{item.identifier}"] = tuple(value) if getattr(item, "is_array", False) else value
    return found


@pytest.fixture
def awkward(empty: bpy.types.Scene) -> bpy.types.Scene:
    """A scene whose user has set whatever gets in the way of a plain render."""
    scene, render = empty, empty.render
    camera, other = add_camera(scene, at=(0.0, -5.0, 0.0), towards=(0.0, 0.0, 0.0)), add_camera(scene, at=(0.0, -9.0, 0.0))
    camera.data.dof.use_dof = other.data.dof.use_dof = True
    camera.data.dof.aperture_fstop = 0.1
    scene.camera = other
    for frame, name, bound in ((1, "first", camera), (5, "second", other), (7, "note", None)):
        scene.timeline_markers.new(name, frame=frame).camera = bound
    add_cube("Cube", size=1.0)
    add_cube("Hero", at=(1.0, 1.0, 0.0), size=1.0)
    render.resolution_x, render.resolution_y, render.resolution_percentage = 333, 77, 41
    render.use_border = render.use_crop_to_border = render.use_motion_blur = True
    render.border_min_x, render.border_max_x = 0.2, 0.5
    render.use_simplify = render.use_persistent_data = render.use_multiview = render.use_stamp = True
    render.filepath, render.use_file_extension = "//somewhere_", False
    render.image_settings.file_format, render.image_settings.color_mode = "JPEG", "BW"
    scene.cycles.samples, scene.cycles.seed, scene.cycles.use_animated_seed = 77, 5, True
    scene.cycles.use_adaptive_sampling = scene.cycles.use_denoising = True
    layer = scene.view_layers[0]
    layer.name = "Main. layer with the longest name that Blender lets its users give."[:63]
    layer.use_pass_mist, layer.samples = True, 3
    scene.view_layers.new("Second").use_pass_z = True
    scene.frame_set(3, subframe=0.25)
    return scene


def test_a_render_is_the_size_asked_for_and_the_scene_stays_as_it_was(awkward: bpy.types.Scene) -> None:
    before = settings(awkward)
    still = cycles(awkward).picture(2, 1)
    assert {name for name in still.channels if "Combined" in name} == {f"Combined.{name}" for name in "RGBA"}
    assert {values.shape for values in still.channels.values()} == {(36, 64)}
    assert {values.dtype for values in still.channels.values()} == {np.dtype(np.float32)}
    assert settings(awkward) == before


@pytest.mark.parametrize(("kind", "mode", "depth"), [("PNG", "RGBA", "16"), ("JPEG", "RGB", "8"), ("FFMPEG", "BW", "8"),
                                                      ("OPEN_EXR", "RGB", "16"), ("OPEN_EXR_MULTILAYER", "RGBA", "16")])
def test_every_file_format_comes_back(awkward: bpy.types.Scene, kind: str, mode: str, depth: str) -> None:
    image = awkward.render.image_settings
    image.media_type = {"FFMPEG": "VIDEO", "OPEN_EXR_MULTILAYER": "MULTI_LAYER_IMAGE"}.get(kind, "IMAGE")
    image.file_format, image.color_mode, image.color_depth = kind, mode, depth
    before = settings(awkward)
    cycles(awkward).picture(2, 1)
    assert settings(awkward) == before


def test_data_is_through_the_centres_without_blur(awkward: bpy.types.Scene) -> None:
    """The face of a cube one metre wide, 4.5 m before the camera, is flat in depth and sharp."""
    depth = cycles(awkward).data(2, ("z",)).channels["Depth.Z"]
    face = np.abs(depth - 4.5) < 1e-5
    focal = awkward.timeline_markers["first"].camera.data.lens / 36.0 * SIZE.width
    half = int(focal * 0.5 / 4.5)
    assert face[18 - half:18 + half, 32 - half:32 + half].all()
    assert abs(face.sum() - (2.0 * focal * 0.5 / 4.5) ** 2) < 4.5 * half


@pytest.mark.parametrize(("frame", "chosen", "distance"), [(2, None, 4.5), (6, None, 8.5), (2, 1, 8.5), (6, 0, 4.5)])
def test_markers_bind_cameras_unless_one_is_chosen(awkward: bpy.types.Scene, frame: int, chosen: int | None,
                                                   distance: float) -> None:
    cameras = [awkward.timeline_markers[name].camera for name in ("first", "second")]
    cameras[1].rotation_euler = cameras[0].rotation_euler
    cameras[1].location.z = 0.0
    still = cycles(awkward, camera=None if chosen is None else cameras[chosen]).data(frame, ("z",))
    assert still.channels["Depth.Z"][18, 32] == pytest.approx(distance, abs=1e-5)
    assert still.world_from_camera[1, 3] == pytest.approx(-0.5 - distance)


def test_a_scene_that_no_window_shows(awkward: bpy.types.Scene) -> None:
    """Its camera moves, and is hidden."""
    other = bpy.data.scenes.new("Other")
    cube, camera = bpy.data.objects["Cube"], awkward.timeline_markers["first"].camera
    other.camera = camera
    for item in (cube, camera):
        other.collection.objects.link(item)
    for frame in (1, 11):
        camera.location.y = -4.0 - frame
        camera.keyframe_insert("location", frame=frame)
    for curve in camera.animation_data.action.layers[0].strips[0].channelbags[0].fcurves:
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"
    camera.hide_viewport = True
    still = Cycles(other, other.view_layers[0].name, SIZE).data(5, ("z",))
    assert still.channels["Depth.Z"][18, 32] == pytest.approx(8.5, abs=1e-5)
    assert still.world_from_camera[1, 3] == pytest.approx(-9.0)


def test_the_same_frame_twice_is_bit_identical(awkward: bpy.types.Scene) -> None:
    first, second = (cycles(awkward).picture(2, 3).channels for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


class Stop(Exception):
    """For tests."""


@contextmanager
def stopping() -> Iterator[None]:
    raise Stop
    yield


def test_an_error_in_the_middle_puts_everything_back(awkward: bpy.types.Scene) -> None:
    before = settings(awkward)
    with pytest.raises(Stop):
        cycles(awkward).data(2, ("z",), (changed(bpy.data.objects["Cube"], visible_camera=False), stopping()))
    assert settings(awkward) == before


def test_a_layered_capture_that_is_closed_puts_everything_back(awkward: bpy.types.Scene) -> None:
    before = settings(awkward)
    steps = lit_frames(cycles(awkward), [2, 3], 1, resolve_actors(awkward, ["Hero"]), ("beauty", "shadow"))
    for _, text in zip(range(3), steps, strict=False):
        assert isinstance(text, str) and settings(awkward) == before
    steps.close()
    assert settings(awkward) == before


def test_exact_objects_put_everything_back(awkward: bpy.types.Scene) -> None:
    before = settings(awkward)
    exact_frame(cycles(awkward), 2, frozenset({bpy.data.objects["Cube"].session_uid}), flow=True)
    assert settings(awkward) == before


def test_without_a_camera_it_says_so(empty: bpy.types.Scene) -> None:
    with pytest.raises(LucidError, match="CAMERA_MISSING"):
        cycles(empty).picture(1, 1)


def test_what_blender_refuses_is_told_in_its_words(awkward: bpy.types.Scene) -> None:
    def obstruct(scene: bpy.types.Scene, *_: object) -> None:
        Path(scene.render.filepath).mkdir()

    before = settings(awkward)
    bpy.app.handlers.render_pre.append(obstruct)
    try:
        with pytest.raises(LucidError, match="RENDER_FAILED") as caught:
            cycles(awkward).picture(2, 1)
    finally:
        bpy.app.handlers.render_pre.remove(obstruct)
    assert "directory" in caught.value.text and "\n" not in caught.value.text
    assert settings(awkward) == before


def test_without_room_for_its_files_it_says_so(awkward: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    with pytest.raises(LucidError, match="RENDER_FAILED.*/no/such/folder"):
        cycles(awkward).picture(2, 1)


def test_the_oracle_knows_closed_forms(empty: bpy.types.Scene) -> None:
    """A cube that moves by (0.2, 0, 0.1) each frame before a camera that stands 4 m from its face and looks along +y."""
    camera, cube = add_camera(empty, at=(0.0, -4.5, 0.0), towards=(0.0, 0.0, 0.0)), add_cube("Prop_08_cube", size=1.0)
    for frame, x in ((1, -0.2), (3, 0.2)):
        cube.location = (x, 0.0, x / 2.0)
        cube.keyframe_insert("location", frame=frame)
    for curve in cube.animation_data.action.layers[0].strips[0].channelbags[0].fcurves:
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"
    truth = cycles_passes(empty, 2, SIZE)
    focal = camera.data.lens / camera.data.sensor_width * SIZE.width
    middle = (18, 32)
    assert truth["depth"][middle] == pytest.approx(4.0, abs=1e-5) and np.isinf(truth["depth"][0, 0])
    assert np.allclose(truth["normal"][middle], (0.0, 0.0, -1.0), atol=1e-6)
    assert np.allclose(truth["normal_world"][middle], (0.0, -1.0, 0.0), atol=1e-6)
    assert np.allclose(truth["flow_forward"][middle], (focal * 0.2 / 4.0, -focal * 0.1 / 4.0), atol=1e-3)
    assert np.allclose(truth["flow_backward"][middle], (-focal * 0.2 / 4.0, focal * 0.1 / 4.0), atol=1e-3)
    assert np.allclose(truth["position"][middle][1:], (-0.5, 0.0), atol=0.1)
    assert set(np.unique(truth["object"])) == {"", "Prop_08_cube"} and truth["object"][middle] == "Prop_08_cube"
