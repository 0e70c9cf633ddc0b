# SPDX-License-Identifier: GPL-3.0-or-later
"""The pose map that is stored on an armature: filled, edited, obeyed, undone."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon.capture.rigs import joints_of, missing_joints, pose_source, rest_point, torso_length, unmapped_joints
from lucid.inference.conditioning.pose import ABSENT, JOINTS, POINTS, SEEN
from lucid.tests.captured import FIGURE, add_armature, add_camera, add_cube, add_figure, captured
from mathutils import Vector

MIXAMO = {"hips": "Hips", "spine": "Spine2", "head": "Head", "shoulder": "{}Arm", "elbow": "{}ForeArm", "wrist": "{}Hand",
          "hip": "{}UpLeg", "knee": "{}Leg", "ankle": "{}Foot"}


@pytest.fixture
def figure(empty: bpy.types.Scene) -> bpy.types.Object:
    return add_figure("Figure", MIXAMO, ("Left", "Right"))


def _row(rig: bpy.types.Object, joint: str) -> object:
    return rig.data.lucid_pose.joints[joint]


def _spots(rig: bpy.types.Object) -> dict[str, np.ndarray]:
    return {name: rest_point(rig.data, points) for name, points in joints_of(rig.data).items()}


def test_the_guess_is_what_is_captured_without_a_map(figure: bpy.types.Object) -> None:
    before = _spots(figure)
    assert bpy.ops.lucid.pose_guess() == {"FINISHED"}
    assert [row.name for row in figure.data.lucid_pose.joints] == [name for name in POINTS if name != "neck"]
    assert pose_source(figure.data) == "map" and missing_joints(figure.data) == []
    after = _spots(figure)
    assert set(after) == set(before)
    for name, spot in before.items():
        if name != "facing":
            np.testing.assert_allclose(after[name], spot, atol=1e-6)
    assert unmapped_joints(figure.data) == ["r_eye", "l_eye", "r_ear", "l_ear"]


def test_the_map_is_obeyed(figure: bpy.types.Object) -> None:
    bpy.ops.lucid.pose_guess()
    _row(figure, "l_elbow").bone, _row(figure, "l_elbow").end = "LeftHand", "TAIL"
    _row(figure, "r_ear").bone, _row(figure, "r_ear").offset = "Head", (-0.1, 0.05, 0.02)
    _row(figure, "r_knee").enabled = False
    spots = _spots(figure)
    np.testing.assert_allclose(spots["l_elbow"], FIGURE["wrist"][1], atol=1e-5)
    head = figure.data.bones["Head"].matrix_local
    np.testing.assert_allclose(spots["r_ear"], head @ Vector((-0.1, 0.05, 0.02)), atol=1e-6)
    assert "r_knee" not in spots and "neck" in spots


def test_a_bone_that_is_gone_is_told(figure: bpy.types.Object) -> None:
    bpy.ops.lucid.pose_guess()
    bpy.ops.object.mode_set(mode="EDIT")
    figure.data.edit_bones.remove(figure.data.edit_bones["LeftHand"])
    bpy.ops.object.mode_set(mode="OBJECT")
    assert missing_joints(figure.data) == ["l_wrist"]
    assert "l_wrist" not in joints_of(figure.data) and pose_source(figure.data) == "map"
    _row(figure, "l_wrist").enabled = False
    assert missing_joints(figure.data) == []


def test_set_from_the_active_bone_and_clear(figure: bpy.types.Object) -> None:
    assert not bpy.ops.lucid.pose_set.poll() and not bpy.ops.lucid.pose_clear.poll()
    bpy.ops.lucid.pose_guess()
    pose = figure.data.lucid_pose
    pose.joint_index = pose.joints.find("l_ankle")
    figure.data.bones.active = None
    assert not bpy.ops.lucid.pose_set.poll()
    for mode in ("POSE", "EDIT"):
        bpy.ops.object.mode_set(mode=mode)
        bones = figure.data.edit_bones if mode == "EDIT" else figure.data.bones
        bones.active = bones["Spine2" if mode == "EDIT" else "LeftLeg"]
        assert bpy.ops.lucid.pose_set() == {"FINISHED"}
        assert pose.joints["l_ankle"].bone == bones.active.name
    bpy.ops.object.mode_set(mode="OBJECT")
    assert bpy.ops.lucid.pose_clear() == {"FINISHED"}
    assert pose_source(figure.data) == "mixamo" and not figure.data.lucid_pose.joints


def test_the_operators_are_undone(scene: bpy.types.Scene) -> None:
    add_figure("Figure", MIXAMO, ("Left", "Right"))
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.lucid.pose_guess("EXEC_DEFAULT", True)
    bpy.ops.lucid.pose_clear("EXEC_DEFAULT", True)
    bpy.ops.ed.undo()
    assert len(bpy.data.objects["Figure"].data.lucid_pose.joints) == len(POINTS) - 1
    bpy.ops.ed.undo()
    assert not bpy.data.objects["Figure"].data.lucid_pose.joints


def test_only_for_armatures_that_can_be_edited(figure: bpy.types.Object, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "figure.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    add_cube("Cube")
    assert not bpy.ops.lucid.pose_guess.poll()
    with bpy.data.libraries.load(str(tmp_path / "figure.blend"), link=True) as (_, to):
        to.objects = ["Figure"]
    bpy.context.scene.collection.objects.link(to.objects[0])
    bpy.context.view_layer.objects.active = to.objects[0]
    assert not bpy.ops.lucid.pose_guess.poll()
    assert pose_source(to.objects[0].data) == "mixamo"


def test_the_map_is_saved_with_the_file(figure: bpy.types.Object, tmp_path: Path) -> None:
    bpy.ops.lucid.pose_guess()
    _row(figure, "l_ear").bone = "Head"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "figure.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "figure.blend"))
    armature = bpy.data.objects["Figure"].data
    assert pose_source(armature) == "map" and joints_of(armature)["l_ear"][0].bone == "Head"


def test_what_nobody_recognises_can_be_mapped_by_hand(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """A bust: no legs, no sides in its names. Nothing is made of what is not mapped."""
    rig = add_armature("Bust", {"Base": ((0.0, 0.0, 1.0), (0.0, 0.0, 1.4), None), "A": ((0.2, 0.0, 1.4), (0.5, 0.0, 1.2), "Base"),
                                "B": ((-0.2, 0.0, 1.4), (-0.5, 0.0, 1.2), "Base")})
    assert bpy.ops.lucid.pose_guess() == {"FINISHED"}
    assert pose_source(rig.data) == "none" and joints_of(rig.data) == {}
    for joint, bone, end in (("l_shoulder", "A", "HEAD"), ("l_elbow", "A", "TAIL"), ("r_shoulder", "B", "HEAD")):
        row = _row(rig, joint)
        row.bone, row.end = bone, end
    assert pose_source(rig.data) == "map" and set(joints_of(rig.data)) == {"l_shoulder", "l_elbow", "r_shoulder"}
    assert 0.1 < torso_length(rig.data, joints_of(rig.data)) < 0.5
    add_cube("Body", at=(0.0, 0.0, 1.2), size=0.3).parent = rig
    add_camera(empty, towards=(0.0, 0.0, 1.2))
    shot = captured(empty, tmp_path, actors=("Bust",))
    codes = dict(zip(JOINTS, shot.pose["visibility"][0, 0].tolist(), strict=True))
    assert {name for name, code in codes.items() if code == SEEN} == {"l_shoulder", "l_elbow", "r_shoulder"}
    assert {name for name, code in codes.items() if code == ABSENT} == set(JOINTS) - {"l_shoulder", "l_elbow", "r_shoulder"}
