# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera moves: what the keys do against closed forms, what stays, what undo takes back, and that a move is named as it was asked
for."""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest
from lucid.addon.capture.camera import view_of
from lucid.addon.move_keys import curves_of
from lucid.addon.move_settings import KINDS, MoveProperties
from lucid.inference.conditioning.framing import Subject
from lucid.inference.conditioning.moves import stages_of
from lucid.inference.conditioning.words import camera_words
from lucid.inference.shot.model import Size
from lucid.tests.captured import add_cube
from lucid.tests.states import differences, everything
from mathutils import Matrix, Vector

SIZE = Size(640, 360)
HERO = Vector((0.3, 0.2, 0.9))


@pytest.fixture
def camera(empty: bpy.types.Scene) -> bpy.types.Object:
    """A still camera that looks a little down, 7 m from the cube HERO, the only actor."""
    item = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    empty.collection.objects.link(item)
    item.location = (2.0, -6.5, 2.4)
    item.rotation_euler = (HERO - item.location).to_track_quat("-Z", "Y").to_euler()
    empty.camera, empty.render.fps, empty.frame_end = item, 24, 200
    hero = add_cube("HERO", at=tuple(HERO))
    hero.animation_data_clear()
    hero.scale = (0.4, 0.4, 1.8)
    bpy.context.view_layer.objects.active = hero
    bpy.ops.lucid.actor_add(kind="OBJECT")
    bpy.context.view_layer.update()
    return item


def _move(kind: str, **options: object) -> None:
    assert bpy.ops.lucid.camera_move(kind=kind, **options) == {"FINISHED"}


def _refusal(kind: str = "TRUCK", **options: object) -> str:
    with pytest.raises(RuntimeError) as raised:
        bpy.ops.lucid.camera_move(kind=kind, **options)
    return str(raised.value)


def _walk(to: tuple[float, float, float], frames: tuple[int, int]) -> None:
    hero = bpy.data.objects["HERO"]
    for frame, place in zip(frames, (HERO, HERO + Vector(to)), strict=True):
        hero.location = place
        hero.keyframe_insert("location", frame=frame)


def _seen(camera: bpy.types.Object, frames: range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K (F, 3, 3), world_from_camera (F, 4, 4) with OpenCV axes and the hero's middle (F, 3), as renders evaluate them."""
    rows = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        depsgraph = bpy.context.evaluated_depsgraph_get()
        view = view_of(camera.evaluated_get(depsgraph), depsgraph, SIZE)
        hero = bpy.data.objects["HERO"].evaluated_get(depsgraph).matrix_world.translation
        rows.append((view.K, view.world_from_camera, np.array(hero)))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def _stages(camera: bpy.types.Object, frames: range) -> list[str]:
    lens, poses, hero = _seen(camera, frames)
    story = stages_of(lens, poses, SIZE, 24.0, [Subject("HERO", hero, 1.8)])
    return [stage.move + (f" and {stage.beside.name}" if stage.beside else "") for stage in story.stages]


def _knots(camera: bpy.types.Object) -> set[float]:
    return {point.co.x for owner in (camera, camera.data) for curve in curves_of(owner) for point in curve.keyframe_points}


@pytest.mark.parametrize(("easing", "half"), [("LINEAR", 0.5), ("EASE_IN", 0.25), ("EASE_OUT", 0.75), ("EASE_IN_OUT", 0.5)])
def test_a_truck_goes_along_the_cameras_x(camera: bpy.types.Object, easing: str, half: float) -> None:
    before = camera.matrix_world.copy()
    _move("TRUCK", distance=2.0, duration=24, easing=easing)
    assert _knots(camera) == {1.0, 25.0}
    _, poses, _ = _seen(camera, range(1, 60))
    gone = (poses[:, :3, 3] - np.array(before.translation)) @ np.array(before.col[0])[:3]
    assert gone[[0, 12, 24, 58]] == pytest.approx([0.0, 2.0 * half, 2.0, 2.0], abs=1e-5)
    assert np.abs(poses[:, :3, :3] - poses[0, :3, :3]).max() < 1e-6
    off = poses[:, :3, 3] - np.array(before.translation) - gone[:, None] * np.array(before.col[0])[:3]
    assert np.abs(off).max() < 1e-5


def test_dolly_and_pedestal_go_along_the_axis_and_the_vertical(camera: bpy.types.Object) -> None:
    before = camera.matrix_world.copy()
    _move("DOLLY", distance=-1.5, duration=10)
    _move("PEDESTAL", distance=0.7, duration=10)
    _, poses, _ = _seen(camera, range(1, 22))
    back = np.array(before.translation) + 1.5 * np.array(before.col[2])[:3]
    assert poses[10, :3, 3] == pytest.approx(back, abs=1e-5)
    assert poses[20, :3, 3] == pytest.approx(back + (0.0, 0.0, 0.7), abs=1e-5)


@pytest.mark.parametrize("mode", ["XYZ", "ZXY", "QUATERNION", "AXIS_ANGLE"])
def test_pan_and_tilt_in_every_rotation_mode(camera: bpy.types.Object, mode: str) -> None:
    rotation = camera.rotation_euler.to_matrix().to_4x4()
    camera.rotation_mode = mode
    camera.matrix_basis = Matrix.Translation(camera.location) @ rotation
    _move("PAN", angle=math.radians(100.0), duration=20, easing="LINEAR")
    _move("TILT", angle=math.radians(-15.0), duration=20, easing="LINEAR")
    _, poses, _ = _seen(camera, range(1, 42))
    axis, x = poses[:, :3, 2], poses[:, :3, 0]
    assert np.abs(x[:, 2]).max() < 1e-4                                         # the horizon stays level
    bearing = -np.degrees(np.unwrap(np.arctan2(axis[:, 1], axis[:, 0])))
    assert bearing - bearing[0] == pytest.approx([*np.linspace(0, 100, 21), *[100.0] * 20], abs=2e-2)
    tilt = np.degrees(np.arcsin(axis[:, 2]))
    assert tilt - tilt[0] == pytest.approx([*[0.0] * 21, *np.linspace(0, -15, 21)[1:]], abs=2e-2)
    if mode == "XYZ":
        assert _knots(camera) == {1.0, 21.0, 41.0}


def test_a_pan_may_go_round_and_round(camera: bpy.types.Object) -> None:
    start = camera.rotation_euler.z
    _move("PAN", angle=math.radians(720.0), duration=48)
    bpy.context.scene.frame_set(49)
    assert camera.rotation_euler.z == pytest.approx(start - math.radians(720.0), abs=1e-4)


def test_zoom_multiplies_the_focal_length(camera: bpy.types.Object) -> None:
    _move("ZOOM", factor=1.6, duration=30)
    lens, _, _ = _seen(camera, range(1, 32))
    assert lens[30, 0, 0] / lens[0, 0, 0] == pytest.approx(1.6, rel=1e-6)
    assert not curves_of(camera)
    camera.data.type = "ORTHO"
    _move("ZOOM", factor=2.0, duration=30)
    assert _refusal("DOLLY_ZOOM").count("MOVE_LENS") == 1
    bpy.context.scene.frame_set(61)
    assert camera.data.ortho_scale == pytest.approx(3.0)


@pytest.mark.parametrize(("easing", "duration"), [("EASE_IN_OUT", 48), ("LINEAR", 12), ("EASE_OUT", 96)])
def test_an_orbit_keeps_distance_and_aim(camera: bpy.types.Object, easing: str, duration: int) -> None:
    _move("ORBIT", angle=math.radians(-120.0), duration=duration, easing=easing)
    _, poses, hero = _seen(camera, range(1, duration + 2))
    arm = poses[:, :3, 3] - hero
    assert np.ptp(np.linalg.norm(arm, axis=1)) < 1e-4 * np.linalg.norm(arm[0])
    aimed = np.sum(arm * poses[:, :3, 2], axis=1) / np.linalg.norm(arm, axis=1)
    assert np.degrees(np.arccos(np.clip(-aimed, -1.0, 1.0))).max() < 0.05
    turned = np.degrees(np.unwrap(np.arctan2(arm[:, 1], arm[:, 0])))
    assert turned[-1] - turned[0] == pytest.approx(-120.0, abs=1e-2)
    assert len(_knots(camera)) <= 16        # few enough to edit
    bpy.context.scene.frame_set(3, subframe=0.5)
    assert (camera.matrix_world.translation - HERO).length == pytest.approx(np.linalg.norm(arm[0]), abs=1e-3)


def test_an_orbit_goes_with_a_target_that_walks(camera: bpy.types.Object) -> None:
    _walk((2.0, 1.0, 0.0), (1, 41))
    bpy.context.scene.frame_set(7)
    _move("ORBIT", angle=math.radians(60.0), duration=40, frame_start=1)
    assert bpy.context.scene.frame_current == 7
    _, poses, hero = _seen(camera, range(1, 42))
    away = np.linalg.norm(poses[:, :3, 3] - hero, axis=1)
    assert np.ptp(away) < 1e-4 * away[0]


def test_tracking_keeps_the_offset(camera: bpy.types.Object) -> None:
    assert "does not move" in _refusal("TRACK")
    _walk((3.0, 0.5, 0.0), (1, 49))
    _move("TRACK", duration=48, frame_start=1)
    _, poses, hero = _seen(camera, range(1, 50))
    assert np.ptp(poses[:, :3, 3] - hero, axis=0).max() < 1e-4
    assert np.ptp(hero[:, 0]) > 2.9


@pytest.mark.parametrize("distance", [2.5, -4.0])
def test_a_dolly_zoom_keeps_the_targets_size(camera: bpy.types.Object, distance: float) -> None:
    _move("DOLLY_ZOOM", distance=distance, duration=36)
    lens, poses, hero = _seen(camera, range(1, 38))
    depth = np.sum((hero - poses[:, :3, 3]) * poses[:, :3, 2], axis=1)
    size = lens[:, 1, 1] / depth
    assert np.ptp(size) < 0.005 * size[0]
    assert depth[-1] - depth[0] == pytest.approx(-distance, abs=1e-3)
    assert "would reach" in _refusal("DOLLY_ZOOM", distance=20.0)


def test_a_crane_keeps_the_target_in_the_middle(camera: bpy.types.Object) -> None:
    _move("CRANE", distance=3.0, duration=48)
    lens, poses, hero = _seen(camera, range(1, 50))
    local = np.einsum("fji,fj->fi", poses[:, :3, :3], hero - poses[:, :3, 3])
    assert np.abs(lens[:, 0, 0, None] * local[:, :2] / local[:, 2:]).max() < 0.5       # px
    assert poses[-1, 2, 3] - poses[0, 2, 3] == pytest.approx(3.0, abs=1e-5)
    assert np.abs(poses[:, 2, 0]).max() < 1e-4


def test_stages_follow_each_other_without_a_jump(camera: bpy.types.Object) -> None:
    for kind, options in (("DOLLY", {"distance": 1.0}), ("ORBIT", {"angle": 1.0}), ("PAN", {"angle": 0.4}), ("TRUCK", {}),
                          ("HANDHELD", {}), ("ZOOM", {"factor": 1.3}), ("CRANE", {"distance": 1.0})):
        _move(kind, duration=20, **options)
    assert _knots(camera) >= {1.0 + 20 * stage for stage in range(8)} and max(_knots(camera)) == 141.0
    lens, poses, _ = _seen(camera, range(1, 150))
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    assert steps.max() < 2.1 * 7.0 / 20 and steps[[19, 20, 39, 40, 59, 60, 79]].max() < 0.06
    assert np.abs(np.diff(poses[:, :3, :3], axis=0)).max() < 0.12
    assert np.abs(np.diff(lens[:, 0, 0])).max() < 0.05 * lens[0, 0, 0]
    assert np.abs(poses[80:100, :3, 3] - poses[80, :3, 3]).max() < 1e-6       # only the rotation trembles


def test_keys_outside_the_move_stay_and_what_they_do_before_it(camera: bpy.types.Object) -> None:
    for frame, x in ((1, 2.0), (30, 4.0), (50, 3.0), (100, 7.0)):
        camera.location.x = x
        camera.keyframe_insert("location", index=0, frame=frame)
    curve = curves_of(camera)[0]
    before = [curve.evaluate(frame) for frame in range(1, 41)]
    _move("TRUCK", distance=1.0, duration=20, frame_start=40)
    curve = next(item for item in curves_of(camera) if (item.data_path, item.array_index) == ("location", 0))
    assert [point.co.x for point in curve.keyframe_points] == [1.0, 30.0, 40.0, 60.0, 100.0]
    assert [curve.evaluate(frame) for frame in range(1, 41)] == pytest.approx(before, abs=1e-4)
    assert curve.evaluate(100) == 7.0


def test_moves_at_the_same_time_add_up(camera: bpy.types.Object) -> None:
    _move("TRUCK", distance=2.0, duration=24)
    _move("PAN", angle=math.radians(-20.0), duration=24, frame_start=1)
    _move("HANDHELD", shake=math.radians(0.4), duration=24, frame_start=1)
    _, poses, _ = _seen(camera, range(1, 26))
    assert np.linalg.norm(poses[-1, :3, 3] - poses[0, :3, 3]) == pytest.approx(2.0, abs=1e-4)
    bearing = np.degrees(np.arctan2(poses[:, 1, 2], poses[:, 0, 2]))
    assert bearing[-1] - bearing[0] == pytest.approx(20.0, abs=1e-2)
    plain = bearing[0] + 20.0 * (t := np.linspace(0, 1, 25)) ** 2 * (3 - 2 * t)
    assert 0.05 < np.abs(bearing - plain).max() < 0.5


def test_the_camera_is_there_at_once_and_a_pose_without_keys_stays(camera: bpy.types.Object) -> None:
    _walk((2.0, 1.0, 0.0), (1, 41))
    bpy.context.scene.frame_set(21)
    bpy.data.objects["HERO"].location.z = 5.0
    _move("TRUCK", distance=2.0, duration=40, frame_start=1)
    _move("ZOOM", factor=3.0, duration=40, frame_start=1)
    assert camera.matrix_world.translation.x > 2.5 and camera.data.lens == pytest.approx(100.0)
    assert bpy.data.objects["HERO"].location.z == 5.0


@pytest.mark.parametrize(("kind", "options", "named"), [
    ("PAN", {"angle": 0.6}, "pan right"), ("PAN", {"angle": -0.6}, "pan left"), ("TILT", {"angle": 0.3}, "tilt up"),
    ("TILT", {"angle": -0.3}, "tilt down"), ("ZOOM", {"factor": 1.7}, "zoom in"), ("ZOOM", {"factor": 0.6}, "zoom out"),
    ("DOLLY", {"distance": 3.0}, "dolly in"), ("DOLLY", {"distance": -3.0}, "dolly out"),
    ("TRUCK", {"distance": 2.0}, "truck right"), ("TRUCK", {"distance": -2.0}, "truck left"),
    ("PEDESTAL", {"distance": 1.0}, "pedestal up"), ("PEDESTAL", {"distance": -1.0}, "pedestal down"),
    ("CRANE", {"distance": 4.0}, "crane up and tilt down"), ("ORBIT", {"angle": 1.0}, "orbit right"),
    ("ORBIT", {"angle": -1.0}, "orbit left"), ("DOLLY_ZOOM", {"distance": 3.0}, "dolly zoom in"),
    ("DOLLY_ZOOM", {"distance": -3.0}, "dolly zoom out")])
def test_a_move_is_named_as_it_was_asked_for(camera: bpy.types.Object, kind: str, options: dict[str, float],
                                              named: str) -> None:
    _move(kind, duration=48, **options)
    assert _stages(camera, range(1, 50)) == [named]


def test_tracking_and_handheld_are_named(camera: bpy.types.Object) -> None:
    _move("HANDHELD", duration=96, shake=math.radians(0.3))
    lens, poses, hero = _seen(camera, range(1, 98))
    words = camera_words(lens, poses, SIZE, 24.0, [Subject("HERO", hero, 1.8)])
    assert words.startswith("handheld ") and "pan" not in words
    bpy.context.scene.frame_set(1)
    _walk((4.0, 1.2, 0.0), (97, 145))
    _move("TRACK", duration=48)
    assert _stages(camera, range(97, 146)) == ["track right"]


def test_without_an_actor_the_middle_of_the_picture_is_the_target(camera: bpy.types.Object) -> None:
    bpy.ops.lucid.actor_remove()
    _move("ORBIT", angle=0.5, duration=10)
    _, poses, hero = _seen(camera, range(1, 12))
    assert np.ptp(np.linalg.norm(poses[:, :3, 3] - hero, axis=1)) < 0.2     # the cube's front, not its middle
    bpy.data.objects["HERO"].location.z += 30.0
    assert "nothing is in the middle" in _refusal("ORBIT")
    assert "no object 'Nobody'" in _refusal("ORBIT", target="Nobody")
    assert "the camera itself" in _refusal("ORBIT", target="Camera")
    _move("ORBIT", target="HERO", duration=10)


def test_the_panel_and_the_operator_ask_for_the_same(camera: bpy.types.Object) -> None:
    asked = bpy.ops.lucid.camera_move.get_rna_type().properties
    kept = bpy.context.scene.lucid_moves.bl_rna.properties
    for name in MoveProperties.__annotations__:
        assert asked[name].description == kept[name].description != ""
    assert bpy.context.scene.lucid_moves.angle == pytest.approx(math.radians(30.0))


def test_what_else_moves_the_camera_is_told(camera: bpy.types.Object) -> None:
    scene = bpy.context.scene
    camera.parent = bpy.data.objects["HERO"]
    assert "its parent 'HERO'" in _refusal()
    _move("ZOOM")       # a lens has no parent
    camera.parent = None
    constraint = camera.constraints.new("TRACK_TO")
    assert "its constraint 'Track To'" in _refusal()
    camera.constraints.remove(constraint)
    camera.delta_location.x = 1.0
    assert "delta transforms" in _refusal()
    camera.delta_location.x = 0.0
    camera.driver_add("location", 0)
    assert "has a driver" in _refusal()
    camera.driver_remove("location", 0)
    assert "MOVE_AMOUNT" in _refusal("TRUCK", distance=0.0) and not curves_of(camera)
    _move("TRUCK")
    curves_of(camera)[0].modifiers.new("CYCLES")
    assert "a modifier, cycles" in _refusal()
    scene.camera = bpy.data.objects["HERO"]
    assert "is no camera" in _refusal()
    scene.camera = None
    assert "no camera" in _refusal()
    scene.lucid.source = scene
    assert "This is a timeline" in _refusal()


@pytest.mark.parametrize("kind", [name for name, *_ in KINDS])
def test_one_undo_step_takes_a_move_back(camera: bpy.types.Object, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    _walk((2.0, 0.0, 0.0), (1, 40))
    bpy.context.scene.frame_set(1)
    before = camera.matrix_world.copy(), camera.data.lens
    bpy.ops.ed.undo_push(message="before")
    all_before = everything(capfd)
    assert bpy.ops.lucid.camera_move("EXEC_DEFAULT", True, kind=kind) == {"FINISHED"}
    assert _knots(bpy.context.scene.camera)
    bpy.ops.ed.undo()
    assert [each for each in differences(all_before, everything(capfd)) if not each.startswith(".undo")] == []
    camera = bpy.context.scene.camera
    bpy.context.scene.frame_set(30)
    assert (camera.matrix_world.copy(), camera.data.lens) == before
    assert camera.animation_data is None and camera.data.animation_data is None
