# SPDX-License-Identifier: GPL-3.0-or-later
"""Markers that bind cameras become shots, and all of them are captured as one sequence."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon import commands
from lucid.addon.capture.camera import camera_at
from lucid.addon.capture.sequence import markers_of, shots_of
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import read_exr
from lucid.inference.shot.model import Frames, Marker
from lucid.inference.shot.store import open_shot
from lucid.tests.captured import add_camera, add_cube

Marked = dict[str, bpy.types.Object]


@pytest.fixture
def cameras(empty: bpy.types.Scene) -> Marked:
    """Three cameras around two cubes, a range of 1 to 30, nothing bound yet."""
    made = {}
    for name, x in (("Left", -2.0), ("Front", 0.4), ("Right", 3.0)):
        made[name] = add_camera(empty, at=(x, -5.0, 1.2))
        made[name].name = name
    add_cube("Near", at=(0.0, -1.0, 0.0))
    add_cube("Far", at=(0.5, 3.0, 0.0))
    empty.frame_start, empty.frame_end = 1, 30
    empty.lucid.use_size, empty.lucid.width, empty.lucid.height = True, 64, 48
    return made


def _mark(name: str, frame: int, camera: bpy.types.Object | None = None) -> bpy.types.TimelineMarker:
    marker = bpy.context.scene.timeline_markers.new(name, frame=frame)
    marker.camera = camera
    return marker


def _saved(folder: Path) -> str:
    path = str(folder / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path


def test_each_bound_marker_starts_a_shot(cameras: Marked) -> None:
    """The first one holds before it, too; a marker without a camera cuts nothing."""
    _mark("wide", 20, cameras["Front"])
    _mark("open", 5, cameras["Left"])       # not in order of time
    _mark("note", 8)
    _mark("wide", 25, cameras["Right"])
    assert shots_of(bpy.context.scene) == [
        ("open", Frames(1, 19), "Left"), ("wide", Frames(20, 24), "Front"), ("wide_2", Frames(25, 30), "Right")]


@pytest.mark.parametrize("step", [1, 3])
def test_the_shots_are_what_blender_shows(cameras: Marked, step: int) -> None:
    scene = bpy.context.scene
    for name, frame, camera in (("a", -9, "Front"), ("b", 4, "Right"), ("c", 4, "Left"), ("d", 12, "Front"),
                                ("e", 13, "Left"), ("f", 90, "Right")):
        _mark(name, frame, cameras[camera])
    shots = shots_of(scene, Frames(1, 30, step))
    told = {number: camera for _name, frames, camera in shots for number in frames.numbers}
    assert list(told) == list(Frames(1, 30, step).numbers)
    for number, camera in told.items():
        scene.frame_set(number)
        assert scene.camera.name == camera
        assert camera_at(scene, number, None).name == camera
    assert [name for name, _frames, _camera in shots] == (["a", "b", "d", "e"] if step == 1 else ["a", "b", "e"])


def test_a_camera_hidden_in_renders_binds_nothing(cameras: Marked) -> None:
    scene = bpy.context.scene
    _mark("a", 1, cameras["Left"])
    _mark("b", 10, cameras["Right"])
    cameras["Right"].hide_render = True
    assert shots_of(scene) == [("a", Frames(1, 30), "Left")]
    scene.frame_set(15)
    assert scene.camera.name == "Left"      # as Blender


def test_names_are_safe_and_unique(cameras: Marked) -> None:
    for name, frame in (("F_01", 1), ("f_01", 5), ("../up", 10), ("", 15), ("été: 3/4", 20)):
        _mark(name, frame, cameras["Front"])
    assert [name for name, _frames, _camera in shots_of(bpy.context.scene)] == ["F_01", "f_01_2", "up", "shot", "t___3_4"]


def test_no_bound_marker_is_told(cameras: Marked) -> None:
    _mark("note", 8)
    with pytest.raises(LucidError, match="MARKERS_MISSING"):
        shots_of(bpy.context.scene)
    with pytest.raises(RuntimeError, match="No marker binds a camera"):
        bpy.ops.lucid.capture_all_shots()


def test_markers_inside_a_shot(cameras: Marked) -> None:
    _mark("late", 30)
    _mark("cut", 10, cameras["Left"])
    _mark("before", 9)
    _mark("hit", 12)
    assert markers_of(bpy.context.scene, Frames(10, 29)) == (Marker(10, "cut", "Left"), Marker(12, "hit"))


def test_a_sequence_from_the_command_line(cameras: Marked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ids mean the same object in each shot, the depth range is one, the scene is as before."""
    bpy.context.scene.frame_end = 4
    _mark("left", 1, cameras["Left"])
    _mark("right", 3, cameras["Right"])
    blend = _saved(tmp_path)
    assert commands.main(["capture", blend, "--all-shots", "--out", str(tmp_path / "shots")]) == 0
    left, right = (open_shot(tmp_path / "shots" / f"{name}.lucid") for name in ("left", "right"))
    assert f"shot: {tmp_path / 'shots' / 'right.lucid'}" in capsys.readouterr().out
    assert (left.frames, left.camera, right.frames, right.camera) == (Frames(1, 2), "Left", Frames(3, 4), "Right")
    assert left.depth_range == right.depth_range
    both = left.instances.keys() & right.instances.keys()
    assert {left.instances[i] for i in both} == {"Near", "Far"}
    assert all(left.instances[i] == right.instances[i] for i in both)
    seen = read_exr(tmp_path / "shots" / "right.lucid" / right.sequence("id").path(3))["id"]
    assert {right.instances[i] for i in np.unique(seen) if i} == {"Near", "Far"}
    assert (bpy.context.scene.frame_current, bpy.context.scene.frame_end) == (1, 4)


def test_a_sequence_that_cannot_be_is_told_before_it_starts(cameras: Marked, tmp_path: Path,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    blend = _saved(tmp_path)
    out = str(tmp_path / "shots")
    assert commands.main(["capture", blend, "--all-shots", "--out", out]) == 2
    assert "MARKERS_MISSING" in capsys.readouterr().err
    _mark("left", 1, bpy.data.objects["Left"])
    _mark("right", 3, bpy.data.objects["Right"])
    _saved(tmp_path)
    assert commands.main(["capture", blend, "--all-shots", "--camera", "Left", "--out", out]) == 2
    assert "USAGE" in capsys.readouterr().err
    (tmp_path / "shots" / "right.lucid").mkdir(parents=True)
    assert commands.main(["capture", blend, "--all-shots", "--out", out]) == 2
    assert "SHOT_EXISTS" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "shots").iterdir()] == ["right.lucid"]


def test_the_button_captures_all_shots(cameras: Marked, tmp_path: Path) -> None:
    bpy.context.scene.frame_end = 2
    _mark("one", 1, cameras["Left"])
    _mark("two", 2, cameras["Right"])
    _saved(tmp_path)
    assert bpy.ops.lucid.capture_all_shots() == {"FINISHED"}
    assert bpy.context.scene.lucid.shot == "//lucid/scene/one.lucid/"
    assert bpy.ops.lucid.capture_all_shots() == {"FINISHED"}        # sealed shots are never changed
    assert bpy.context.scene.lucid.shot == "//lucid/scene_2/one.lucid/"
    found = sorted(path.relative_to(tmp_path / "lucid").as_posix() for path in (tmp_path / "lucid").glob("*/*.lucid"))
    assert found == ["scene/one.lucid", "scene/two.lucid", "scene_2/one.lucid", "scene_2/two.lucid"]
