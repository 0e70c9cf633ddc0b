# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture as a whole: what it leaves in the scene and on disk, on success and on failure, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from lucid.addon.capture import CaptureSpec, capture_shot, default_size, frame_rate, gbuffer, record
from lucid.addon.capture.frames import FrameSurfaces
from lucid.addon.capture.record import Recorder
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Rate, Size
from lucid.tests.captured import SIZE, add_camera, add_cube, add_sphere, captured


def _state(scene: bpy.types.Scene) -> dict[str, Any]:
    render = scene.render
    plain = {p.identifier: getattr(render, p.identifier) for p in render.bl_rna.properties
             if p.type in {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"} and not getattr(p, "is_array", False)
             and not p.is_readonly}
    return plain | {"camera": scene.camera, "frame": scene.frame_current, "subframe": scene.frame_subframe}


def _odd_scene(scene: bpy.types.Scene) -> None:
    """Settings that a capture has to change, all set otherwise."""
    add_cube("Cube")
    add_camera(scene)
    other = add_camera(scene, at=(3.0, -3.0, 1.0))
    other.name = "Other"
    scene.camera = scene.objects["Camera"]
    render = scene.render
    render.engine = "BLENDER_WORKBENCH"
    render.use_sequencer = render.use_compositing = render.use_freestyle = render.use_multiview = True
    render.use_border = render.use_persistent_data = True
    scene.frame_set(7, subframe=0.25)


def _one_frame_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gbuffer, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(gbuffer, "LOAD_SHARE", 0.0)


def test_settings_come_back(empty: bpy.types.Scene, tmp_path: Path) -> None:
    _odd_scene(empty)
    before = _state(empty)
    for _ in capture_shot(empty, CaptureSpec(Frames(1, 3), SIZE, "Other"), tmp_path / "a.lucid"):
        assert _state(empty) == before                       # between steps the scene is the user's
    assert _state(empty) == before


def _fails_while_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(recorder: Recorder, surfaces: FrameSurfaces) -> None:
        if surfaces.frame == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Recorder, "add", add)


def _fails_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, data: bytes) -> None:
        if path.name == "depth.0002.exr":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(record, "write_part", write)


@pytest.mark.parametrize("fails", [_fails_while_drawing, _fails_while_writing])
def test_settings_come_back_after_an_error(fails: Callable[[pytest.MonkeyPatch], None], empty: bpy.types.Scene,
                                           tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _odd_scene(empty)
    before = _state(empty)
    fails(monkeypatch)
    with pytest.raises(LucidError, match="DISK_WRITE.*No space left on device"):
        captured(empty, tmp_path, frames=Frames(1, 3), camera="Other")
    assert _state(empty) == before
    assert list(tmp_path.iterdir()) == []
    assert gbuffer.LucidPasses.walk is None


def test_closing_it_early_leaves_nothing(empty: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _odd_scene(empty)
    before = _state(empty)
    _one_frame_a_step(monkeypatch)
    steps = capture_shot(empty, CaptureSpec(Frames(1, 40), SIZE), tmp_path / "a.lucid")
    first = next(step for step in steps if step.done)
    assert 0 < first.done < first.total == 40
    assert len(list(tmp_path.iterdir())) == 1
    steps.close()
    assert list(tmp_path.iterdir()) == []
    assert _state(empty) == before


def test_a_scene_that_is_deleted_meanwhile_ends_it(empty: bpy.types.Scene, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    """As another window may."""
    _odd_scene(empty)
    _one_frame_a_step(monkeypatch)
    steps = capture_shot(empty, CaptureSpec(Frames(1, 40), SIZE), tmp_path / "a.lucid")
    next(step for step in steps if step.done)
    bpy.data.scenes.new("Other")
    bpy.data.scenes.remove(empty)
    with pytest.raises(LucidError, match="SCENE_GONE"):
        next(steps)
    assert list(tmp_path.iterdir()) == []


def test_steps_do_not_change_the_shot(empty: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ball = add_sphere("Ball", detail=24)
    ball.keyframe_insert("location", frame=1)
    ball.location.x = 2.0
    ball.keyframe_insert("location", frame=6)
    wave = add_cube("Waving", at=(0.0, 2.0, 0.0), size=3.0).modifiers.new("Wave", "WAVE")
    wave.height = 0.4
    add_camera(empty)
    whole = captured(empty, tmp_path, frames=Frames(1, 6), actors=("Ball",))
    _one_frame_a_step(monkeypatch)
    stepped = captured(empty, tmp_path / "again", frames=Frames(1, 6), actors=("Ball",))
    assert whole.shot.files == stepped.shot.files


def test_a_still_camera_and_frame_step(empty: bpy.types.Scene, tmp_path: Path) -> None:
    cube = add_cube("Cube")
    cube.keyframe_insert("location", frame=0)
    cube.location.x = 5.0
    cube.keyframe_insert("location", frame=10)
    for curve in cube.animation_data.action.layers[0].strips[0].channelbags[0].fcurves:
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"
    camera = add_camera(empty, at=(2.0, 0.0, 20.0))
    camera.rotation_euler = (0.0, 0.0, 0.0)
    shot = captured(empty, tmp_path, frames=Frames(-2, 10, 4))
    assert shot.camera["frame"].tolist() == [-2, 2, 6, 10]
    middles = [np.argwhere(shot.id(frame) > 0)[:, 1].mean() for frame in (2, 6, 10)]
    np.testing.assert_allclose(np.diff(middles, 2), 0.0, atol=0.8)
    assert middles[2] > middles[1] + 4.0
    assert (shot.folder / "passes/depth/depth.-0002.exr").is_file()
    np.testing.assert_allclose(shot.camera["world_from_camera"][0] @ (0.0, 0.0, 20.0, 1.0), (2.0, 0.0, 0.0, 1.0), atol=1e-6)
    np.testing.assert_allclose(shot.camera["world_from_camera"][0][:3, 1], (0.0, -1.0, 0.0), atol=1e-6)   # y is down


def test_markers_switch_cameras(empty: bpy.types.Scene, tmp_path: Path) -> None:
    add_cube("Cube")
    near, far = add_camera(empty, at=(0.0, -4.0, 0.0)), add_camera(empty, at=(0.0, -9.0, 0.0))
    for frame, camera in ((1, near), (3, far)):
        empty.timeline_markers.new("cut", frame=frame).camera = camera
    empty.camera = None
    shot = captured(empty, tmp_path, frames=Frames(1, 4))
    assert shot.camera["world_from_camera"][:, 1, 3].tolist() == [-4.0, -4.0, -9.0, -9.0]
    assert (shot.id(1) > 0).sum() > 2 * (shot.id(4) > 0).sum()
    assert shot.shot.camera == f"{near.name}, {far.name}"
    held = captured(empty, tmp_path / "held", frames=Frames(1, 4), camera=far.name)
    assert held.camera["world_from_camera"][:, 1, 3].tolist() == [-9.0] * 4


@pytest.mark.parametrize("stepped", [False, True])
def test_physics_that_is_not_baked_is_walked_through(stepped: bool, empty: bpy.types.Scene, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    ball = add_cube("Ball", at=(0.0, 0.0, 4.0))
    add_camera(empty, at=(0.0, -14.0, 2.0), towards=(0.0, 0.0, 2.0))
    with bpy.context.temp_override(object=ball, active_object=ball, selected_objects=[ball]):
        bpy.ops.rigidbody.object_add()
    empty.frame_set(30)                           # a place that the simulation has not come to yet
    if stepped:
        _one_frame_a_step(monkeypatch)
    shot = captured(empty, tmp_path, frames=Frames(9, 13, 2))
    for index, frame in enumerate((9, 11, 13)):
        hit = shot.id(frame) > 0
        row = np.argwhere(hit)[:, 0].mean() + 0.5
        z = 2.0 + (SIZE.height / 2 - row) * np.median(shot.depth(frame)[hit]) / shot.camera["K"][index, 1, 1]
        assert abs(z - (4.0 - 0.5 * 9.81 * ((frame - 1.0) / empty.render.fps) ** 2)) < 0.15
    assert empty.frame_current == 30


def test_simulation_nodes_are_walked_through(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """Geometry nodes that lift a cube by 0.1 m at every frame."""
    group = bpy.data.node_groups.new("Lift", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        group.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    start, end = group.nodes.new("GeometryNodeSimulationInput"), group.nodes.new("GeometryNodeSimulationOutput")
    start.pair_with_output(end)
    lift = group.nodes.new("GeometryNodeSetPosition")
    lift.inputs["Offset"].default_value = (0.0, 0.0, 0.1)
    chain = (group.nodes.new("NodeGroupInput").outputs[0], start.inputs["Geometry"], start.outputs["Geometry"],
             lift.inputs["Geometry"], lift.outputs["Geometry"], end.inputs["Geometry"], end.outputs["Geometry"],
             group.nodes.new("NodeGroupOutput").inputs[0])
    for tail, head in zip(chain[0::2], chain[1::2], strict=True):
        group.links.new(tail, head)
    add_cube("Cube").modifiers.new("Lift", "NODES").node_group = group
    add_camera(empty, at=(0.0, 0.0, 20.0), towards=(0.0, 0.1, 0.0))
    shot = captured(empty, tmp_path, frames=Frames(3, 13, 10))
    assert abs((shot.depth(3).min() - shot.depth(13).min()) - 1.0) < 1e-3


@pytest.mark.parametrize(("fps", "base", "rate"), [(24, 1.0, Rate(24, 1)), (24, 1.001, Rate(24000, 1001)),
                                                   (30, 1.001, Rate(30000, 1001)), (25, 2.0, Rate(25, 2))])
def test_rates_are_exact(fps: int, base: float, rate: Rate, empty: bpy.types.Scene) -> None:
    empty.render.fps, empty.render.fps_base = fps, base
    assert frame_rate(empty) == rate


@pytest.mark.parametrize(("resolution", "size"), [((1920, 1080), Size(256, 144)), ((1080, 1920), Size(144, 256)),
                                                  ((1000, 1000), Size(192, 192)), ((2048, 858), Size(304, 128))])
def test_the_default_size_keeps_the_aspect(resolution: tuple[int, int], size: Size, empty: bpy.types.Scene) -> None:
    empty.render.resolution_x, empty.render.resolution_y = resolution
    assert default_size(empty) == size


def _empty_range(scene: bpy.types.Scene) -> dict[str, Any]:
    return {"frames": Frames(5, 4)}


def _panorama(scene: bpy.types.Scene) -> dict[str, Any]:
    scene.camera.data.type = "PANO"
    return {}


def _no_camera(scene: bpy.types.Scene) -> dict[str, Any]:
    scene.camera = None
    return {}


def _nothing_there(scene: bpy.types.Scene) -> dict[str, Any]:
    bpy.data.objects.remove(scene.objects["Cube"])
    return {}


@pytest.mark.parametrize(("change", "code"), [
    (_no_camera, "CAMERA_MISSING"), (_panorama, "CAMERA_UNSUPPORTED"), (_nothing_there, "SCENE_EMPTY"),
    ({"camera": "Cube"}, "CAMERA_MISSING"), ({"camera": "Kamera"}, "CAMERA_MISSING"), ({"size": Size(0, 90)}, "SIZE_INVALID"),
    ({"actors": ("Qube",)}, "ACTOR_UNKNOWN"), (_empty_range, "RANGE_EMPTY")])
def test_what_cannot_be_captured(change: Any, code: str, empty: bpy.types.Scene, tmp_path: Path) -> None:
    add_cube("Cube")
    add_camera(empty)
    before = empty.render.engine
    with pytest.raises(LucidError) as raised:
        captured(empty, tmp_path, **(change(empty) if callable(change) else change))
    assert raised.value.code == code
    assert list(tmp_path.iterdir()) == []
    assert empty.render.engine == before


def test_rendering_by_hand_shows_normals(empty: bpy.types.Scene, tmp_path: Path) -> None:
    import cv2

    add_cube("Cube")
    add_camera(empty)
    render = empty.render
    render.engine, render.filepath = gbuffer.ENGINE, str(tmp_path / "still.png")
    render.resolution_x, render.resolution_y, render.resolution_percentage = 160, 90, 50
    render.image_settings.color_mode = "RGBA"
    bpy.ops.render.render(write_still=True)
    picture = cv2.imread(render.filepath, cv2.IMREAD_UNCHANGED)
    assert picture.shape == (45, 80, 4)
    assert 0.05 < (picture[..., 3] == 255).mean() < 0.9
    assert len(np.unique(picture[picture[..., 3] == 255], axis=0)) >= 2
    empty.camera.data.type = "PANO"
    bpy.ops.render.render()                    # a report, not a crash
