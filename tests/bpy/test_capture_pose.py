# SPDX-License-Identifier: GPL-3.0-or-later
"""Skeletons: which rigs have one, where the joints fall in the picture, and what hides them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import addon_utils
import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from lucid.addon.capture.camera import view_of
from lucid.addon.capture.layers import resolve_actors
from lucid.addon.capture.pose import PoseTrack, skeletons_of
from lucid.addon.capture.rigs import FACING, joints_of, pose_source, rest_point
from lucid.inference.conditioning.pose import (
    ABSENT,
    FACE,
    FINGERS,
    HANDS,
    HIDDEN_OTHER,
    HIDDEN_SELF,
    JOINTS,
    OUTSIDE,
    SEEN,
)
from lucid.inference.shot.model import Frames, Size
from lucid.tests.captured import FIGURE, SIDED, SIZE, add_armature, add_camera, add_cube, add_figure, captured

RIGIFY = {"hips": "spine", "spine": "spine.003", "head": "spine.006", "shoulder": "upper_arm.{}", "elbow": "forearm.{}",
          "wrist": "hand.{}", "hip": "thigh.{}", "knee": "shin.{}", "ankle": "foot.{}"}
MIXAMO = {"hips": "Hips", "spine": "Spine2", "head": "Head", "shoulder": "{}Arm", "elbow": "{}ForeArm", "wrist": "{}Hand",
          "hip": "{}UpLeg", "knee": "{}Leg", "ankle": "{}Foot"}
UNREAL = {"hips": "pelvis", "spine": "spine_03", "head": "head", "shoulder": "upperarm_{}", "elbow": "lowerarm_{}",
          "wrist": "hand_{}", "hip": "thigh_{}", "knee": "calf_{}", "ankle": "foot_{}"}
PLAIN = {"hips": "A", "spine": "B", "head": "C", "shoulder": "P {}", "elbow": "Q {}", "wrist": "R {}", "hip": "X {}",
         "knee": "Y {}", "ankle": "Z {}"}


def _prefixed(names: dict[str, str], prefix: str) -> dict[str, str]:
    return {part: prefix + name for part, name in names.items()}


NAMES = {
    "rigify metarig": (RIGIFY, ("L", "R")), "rigify DEF": (_prefixed(RIGIFY, "DEF-"), ("L", "R")),
    "rigify ORG": (_prefixed(RIGIFY, "ORG-"), ("L", "R")), "mixamo": (_prefixed(MIXAMO, "mixamorig:"), ("Left", "Right")),
    "mixamo, numbered": (_prefixed(MIXAMO, "mixamorig7_"), ("Left", "Right")),
    "mixamo, no prefix": (MIXAMO, ("Left", "Right")), "guess from _l and _r": (UNREAL, ("l", "r")),
    "guess from shapes alone": (PLAIN, ("Left", "Right")),
}


@pytest.mark.parametrize("kind", NAMES)
def test_joints_of_known_and_unknown_rigs(kind: str, empty: bpy.types.Scene) -> None:
    names, sides = NAMES[kind]
    rig = add_figure("Figure", names, sides)
    rig.rotation_euler.x = 1.2                 # how the object lies must not matter
    joints = joints_of(rig.data)
    for part in SIDED:
        for side, sign in (("l", 1.0), ("r", -1.0)):
            head = FIGURE[part][0]
            np.testing.assert_allclose(rest_point(rig.data, joints[f"{side}_{part}"]), (sign * head[0], *head[1:]),
                                       atol=1e-5)
    np.testing.assert_allclose(rest_point(rig.data, joints["neck"]), (0.0, 0.0, 1.45), atol=1e-5)
    np.testing.assert_allclose(rest_point(rig.data, joints["nose"]), (0.0, -0.1, 1.65), atol=1e-5)
    assert not {"l_eye", "r_eye", "l_ear", "r_ear"} & set(joints)        # nothing tells where they are


@pytest.fixture
def rigify(empty: bpy.types.Scene) -> Iterator[None]:
    addon_utils.enable("rigify", default_set=True)
    yield
    addon_utils.disable("rigify", default_set=True)


def test_the_rigs_that_rigify_makes(rigify: None) -> None:
    bpy.ops.object.armature_human_metarig_add()
    rig = bpy.context.object
    joints = joints_of(rig.data)
    assert {*JOINTS, *HANDS, FACING} <= set(joints) and len({*FACE} & set(joints)) == 39
    spots = {name: rest_point(rig.data, points) for name, points in joints.items()}
    assert spots["nose"][1] < spots["l_eye"][1] < spots["l_ear"][1]
    assert spots["l_eye"][0] > 0.0 > spots["r_eye"][0]
    assert spots["l_ankle"][2] < spots["l_knee"][2] < spots["l_hip"][2] < spots["l_shoulder"][2] < spots["nose"][2]
    for side, sign in (("l", 1.0), ("r", -1.0)):
        across = [sign * spots[f"{side}_{name}"][0] for name in ("lid_inner", "lid_top_inner", "lid_top_outer", "lid_outer")]
        assert across == sorted(across)                      # from the nose outwards, also in the names of iBUG
        down = [spots[name][2] for name in (f"{side}_brow_3", f"{side}_eye", "bridge_4", "lip_top", "lip_bottom", "chin")]
        assert down == sorted(down, reverse=True)
        for finger in FINGERS:
            reach = [np.linalg.norm(spots[f"{side}_{finger}_{n}"] - spots[f"{side}_hand"]) for n in (1, 2, 3, 4)]
            assert reach == sorted(reach)
    bpy.ops.pose.rigify_generate()
    generated = next(item for item in bpy.data.objects if item.type == "ARMATURE" and item != rig)
    made = joints_of(generated.data)
    assert pose_source(generated.data) == pose_source(rig.data) == "rigify"
    assert set(made) == set(joints)
    assert all(points[0].bone.startswith(("DEF-", "ORG-eye")) for name, points in made.items())
    for name, spot in spots.items():
        np.testing.assert_allclose(rest_point(generated.data, made[name]), spot, atol=1e-4)


@pytest.mark.parametrize("animal", ["basic_quadruped", "bird", "cat", "horse", "shark", "wolf"])
def test_no_pose_for_the_animals_of_rigify(animal: str, rigify: None) -> None:
    getattr(bpy.ops.object, f"armature_{animal}_metarig_add")()
    assert joints_of(bpy.context.object.data) == {}
    assert pose_source(bpy.context.object.data) == "none"


def _fox() -> bpy.types.Object:
    bones: dict[str, Any] = {"Hip": ((0.0, 0.5, 0.6), (0.0, 0.2, 0.6), None), "Spine": ((0.0, 0.2, 0.6), (0.0, -0.4, 0.6), "Hip"),
                             "Head": ((0.0, -0.5, 0.7), (0.0, -0.8, 0.75), "Spine")}
    for side, x in (("Left", 0.1), ("Right", -0.1)):
        for part, parent, y in (("Arm", "Spine", -0.4), ("Leg", "Hip", 0.5)):
            bones |= {f"{side}Upper{part}": ((x, y, 0.55), (x, y, 0.3), parent),
                      f"{side}Lower{part}": ((x, y, 0.3), (x, y, 0.05), f"{side}Upper{part}"),
                      f"{side}Paw{part}": ((x, y, 0.05), (x, y - 0.05, 0.0), f"{side}Lower{part}")}
    return add_armature("Fox", bones)


def test_no_pose_for_four_legs_or_no_sides(empty: bpy.types.Scene, tmp_path: Path) -> None:
    fox = _fox()
    assert joints_of(fox.data) == {}
    snake = add_armature("Snake", {f"Bone.{i:03d}": ((0.0, i, 0.0), (0.0, i + 1.0, 0.0), f"Bone.{i - 1:03d}" if i else None)
                                   for i in range(6)})
    assert joints_of(snake.data) == {}
    body = add_cube("Body")
    body.parent = fox
    add_camera(empty)
    shot = captured(empty, tmp_path, actors=("Fox",), frames=Frames(1, 2))
    assert shot.shot.layer("Fox").pose is None
    assert shot.pose["world"].shape == (0, 2, 18, 3)
    assert list(shot.pose["joints"]) == list(JOINTS)
    assert shot.pose["hands_world"].shape == (0, 2, 2, 21, 3) and shot.pose["face_visibility"].shape == (0, 2, 68)


@pytest.mark.parametrize(("lens", "render", "size"), [
    ({}, {}, SIZE), ({"shift_x": 0.2, "shift_y": -0.1}, {}, Size(90, 160)), ({"sensor_fit": "VERTICAL"}, {}, SIZE),
    ({"sensor_fit": "HORIZONTAL"}, {}, Size(90, 160)), ({}, {"pixel_aspect_x": 2.0}, SIZE),
    ({"shift_x": 0.05}, {"pixel_aspect_y": 1.5}, Size(90, 160)), ({"type": "ORTHO", "shift_y": 0.1}, {}, SIZE)])
def test_joints_fall_where_blender_puts_them(lens: dict[str, Any], render: dict[str, float], size: Size,
                                             empty: bpy.types.Scene, tmp_path: Path) -> None:
    rig = add_figure("Figure", *NAMES["mixamo"])
    body = add_cube("Body", at=(0.0, 0.0, 1.0), size=0.5)
    body.parent = rig
    rig.location, rig.scale = (0.3, 0.4, 0.1), (1.1, 1.1, 1.1)
    bone = rig.pose.bones["mixamorig:LeftArm"]
    bone.rotation_mode = "XYZ"
    for frame, angle in ((1, 0.0), (5, 1.0)):
        bone.rotation_euler.x = angle
        bone.keyframe_insert("rotation_euler", frame=frame)
    camera = add_camera(empty, at=(1.0, -5.0, 1.5), towards=(0.0, 0.0, 1.0), lens=30.0, **lens)
    camera.keyframe_insert("location", frame=1)
    camera.location.x = 2.0
    camera.keyframe_insert("location", frame=5)
    for name, value in render.items():
        setattr(empty.render, name, value)
    empty.render.resolution_x, empty.render.resolution_y = size.width, size.height
    shot = captured(empty, tmp_path, actors=("Figure",), size=size, frames=Frames(1, 5, 2))
    assert shot.shot.layer("Figure").pose == 0
    for index, frame in enumerate((1, 3, 5)):
        empty.frame_set(frame)
        heads = {"l_wrist": "mixamorig:LeftHand", "r_ankle": "mixamorig:RightFoot", "l_elbow": "mixamorig:LeftForeArm"}
        for joint, name in heads.items():
            number = JOINTS.index(joint)
            world = rig.matrix_world @ rig.pose.bones[name].head
            np.testing.assert_allclose(shot.pose["world"][0, index, number], world, atol=1e-5)
            x, y, depth = world_to_camera_view(empty, empty.camera, world)
            np.testing.assert_allclose(shot.pose["image"][0, index, number],
                                       (x * size.width, (1.0 - y) * size.height), atol=0.05)
            assert abs(shot.pose["depth"][0, index, number] - depth) < 1e-4
    eye = JOINTS.index("l_eye")
    assert np.isnan(shot.pose["image"][0, :, eye]).all()
    assert (shot.pose["visibility"][0, :, eye] == ABSENT).all()


def test_what_hides_a_joint(empty: bpy.types.Scene, tmp_path: Path) -> None:
    rig = add_figure("Figure", *NAMES["rigify metarig"])
    for name, at, scale in (("Torso", (0.0, 0.0, 1.2), (0.3, 0.2, 0.5)), ("Limbs", (0.4, 0.0, 1.2), (0.1, 0.1, 0.1)),
                            ("Screen", (0.12, -0.6, 1.0), (0.25, 0.05, 0.3))):
        part = add_cube(name, at=at)
        part.scale = scale
        part.parent = rig
    add_cube("Wall", at=(-0.55, -1.0, 1.0), size=0.6)                # in front of the right hand, not of the body
    add_camera(empty, at=(0.0, -6.0, 1.1), towards=(0.0, 0.0, 1.1), lens=50.0)
    shot = captured(empty, tmp_path, actors=("Figure",))
    codes = dict(zip(JOINTS, shot.pose["visibility"][0, 0].tolist(), strict=True))
    assert codes["r_wrist"] == HIDDEN_OTHER
    assert codes["l_hip"] == HIDDEN_SELF                             # behind the actor's own screen, 0.6 m in front
    assert codes["r_hip"] == codes["neck"] == SEEN                   # 0.1 m inside the torso
    assert codes["l_ankle"] == SEEN                                  # no surface at all in front of it
    empty.camera.data.shift_y = 0.2
    low = captured(empty, tmp_path / "low", actors=("Figure",))
    assert low.pose["visibility"][0, 0, JOINTS.index("l_ankle")] == OUTSIDE


@pytest.mark.parametrize("size", [0.2, 0.8])
@pytest.mark.parametrize(("turn", "nose"), [(0.0, SEEN), (1.57, SEEN), (3.14, HIDDEN_SELF)])
def test_a_nose_is_seen_from_the_front_only(turn: float, nose: int, size: float, empty: bpy.types.Scene,
                                            tmp_path: Path) -> None:
    """Also a nose that is guessed from the head's bone, deep in a toy's large head."""
    rig = add_figure("Figure", *NAMES["rigify metarig"])
    head = add_cube("Head", at=(0.0, 0.0, 1.65), size=size)
    head.parent = rig
    rig.rotation_euler.z = turn
    add_camera(empty, at=(0.0, -6.0, 1.1), towards=(0.0, 0.0, 1.1))
    shot = captured(empty, tmp_path, actors=("Figure",))
    assert shot.pose["visibility"][0, 0, JOINTS.index("nose")] == nose


def test_behind_the_camera(empty: bpy.types.Scene, tmp_path: Path) -> None:
    rig = add_figure("Figure", *NAMES["rigify metarig"])
    add_cube("Body", at=(0.0, 0.0, 1.0), size=0.5).parent = rig
    add_cube("Beyond", at=(0.0, 12.0, 1.0))
    add_camera(empty, at=(0.0, 6.0, 1.0), towards=(0.0, 12.0, 1.0))
    shot = captured(empty, tmp_path, actors=("Figure",))
    codes = shot.pose["visibility"][0, 0]
    assert set(codes.tolist()) == {OUTSIDE, ABSENT}
    assert np.isnan(shot.pose["image"][0, 0][codes == OUTSIDE]).all()
    assert shot.matte("Figure").sum() == 0.0


@pytest.mark.parametrize("rig_hidden", [False, True])
def test_a_rig_inside_an_instanced_collection(rig_hidden: bool, empty: bpy.types.Scene, tmp_path: Path) -> None:
    rig = add_figure("Figure", *NAMES["mixamo"])
    body = add_cube("Body", at=(0.0, 0.0, 1.0), size=0.5)
    body.modifiers.new("Rig", "ARMATURE").object = rig
    rig.hide_render = rig_hidden
    hero = bpy.data.collections.new("Hero")
    for item in (rig, body):
        empty.collection.objects.unlink(item)
        hero.objects.link(item)
    place = bpy.data.objects.new("Hero here", None)
    place.instance_type, place.instance_collection, place.location = "COLLECTION", hero, (1.0, 2.0, 0.5)
    place.scale = (2.0, 2.0, 2.0)
    empty.collection.objects.link(place)
    add_camera(empty, towards=(0.5, 0.5, 1.0))
    shot = captured(empty, tmp_path, actors=("Hero here",))
    knee = shot.pose["world"][0, 0, JOINTS.index("l_knee")]
    np.testing.assert_allclose(knee, 2.0 * np.array(FIGURE["knee"][0]) + (1.0, 2.0, 0.5), atol=1e-5)


def _with_fingers_and_chin() -> bpy.types.Object:
    """A figure of Rigify's names; its left index finger points at the camera that is in front."""
    rig = add_figure("Figure", *NAMES["rigify metarig"])
    bpy.ops.object.mode_set(mode="EDIT")
    parent = "hand.L"
    for number in (1, 2, 3):
        bone = rig.data.edit_bones.new(f"f_index.0{number}.L")
        bone.head, bone.tail = (0.72, -0.04 * number, 0.93), (0.72, -0.04 * (number + 1), 0.93)
        bone.parent, parent = rig.data.edit_bones[parent], bone.name
    chin = rig.data.edit_bones.new("chin")
    chin.head, chin.tail, chin.parent = (0.0, -0.11, 1.58), (0.0, -0.11, 1.6), rig.data.edit_bones["spine.006"]
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig


@pytest.mark.parametrize(("turn", "chin"), [(0.0, SEEN), (3.14159, HIDDEN_SELF)])
def test_hands_and_face_are_in_the_shot(turn: float, chin: int, empty: bpy.types.Scene, tmp_path: Path) -> None:
    rig = _with_fingers_and_chin()
    add_cube("Head", at=(0.0, 0.0, 1.65), size=0.2).parent = rig
    rig.rotation_euler.z = turn
    add_camera(empty, at=(0.0, -4.0, 1.3), towards=(0.0, 0.0, 1.3))
    pose = captured(empty, tmp_path, actors=("Figure",)).pose
    assert pose["hands"].shape == (2, 21) and list(pose["hands"].ravel()) == list(HANDS)
    assert list(pose["face"]) == list(FACE)
    names = [f"l_index_{number}" for number in (1, 2, 3, 4)]
    left, sign = pose["hands_world"][0, 0, 0], np.cos(turn)
    for number, name in enumerate(names, 1):
        np.testing.assert_allclose(left[HANDS.index(name)], (0.72 * sign, -0.04 * number * sign, 0.93), atol=1e-4)
    np.testing.assert_array_equal(left[0], pose["world"][0, 0, JOINTS.index("l_wrist")])
    mapped = {"l_hand", *names}
    codes = dict(zip(HANDS, pose["hands_visibility"][0, 0].ravel().tolist(), strict=True))
    assert {name for name, code in codes.items() if code == SEEN} == mapped
    assert {name for name, code in codes.items() if code == ABSENT} == set(HANDS) - mapped
    assert pose["face_visibility"][0, 0, FACE.index("chin")] == chin
    assert np.isfinite(pose["face_image"][0, 0]).all(-1).sum() == 1
    for name, last in (("image", 2), ("world", 3)):
        assert pose[f"hands_{name}"].shape == (1, 1, 2, 21, last) and pose[f"face_{name}"].shape == (1, 1, 68, last)
    assert pose["hands_depth"].shape == (1, 1, 2, 21) and pose["face_depth"].shape == (1, 1, 68)


def test_a_reading_outlives_the_next_frame(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """What is read of an evaluated frame stays as it was when the scene moves on."""
    rig = add_figure("Figure", *NAMES["mixamo"])
    add_cube("Body", at=(0.0, 0.0, 1.0), size=0.5).parent = rig
    rig.keyframe_insert("location", frame=1)
    rig.location.x = 1.0
    rig.keyframe_insert("location", frame=2)
    camera = add_camera(empty)
    track = PoseTrack(skeletons_of(resolve_actors(empty, ("Figure",))), lambda instance: 0)
    empty.frame_set(1)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    reading = track.read(depsgraph, view_of(camera.evaluated_get(depsgraph), depsgraph, SIZE))
    before = reading.world.copy()
    empty.frame_set(2)
    later = track.read(depsgraph, view_of(camera.evaluated_get(depsgraph), depsgraph, SIZE))
    np.testing.assert_array_equal(reading.world, before)
    np.testing.assert_allclose((later.world - before)[..., 0][np.isfinite(before[..., 0])], 1.0, atol=1e-5)


def test_several_actors_with_several_rigs_each(empty: bpy.types.Scene, tmp_path: Path) -> None:
    """Each actor has the skeleton of its own fullest figure, wherever the others stand; a prop has none."""
    for name, kind, x in (("Anna", "mixamo", -1.0), ("Bert", "rigify metarig", 1.0)):
        collection = bpy.data.collections.new(name)
        empty.collection.children.link(collection)
        rig = add_figure(f"{name}'s rig", *NAMES[kind])
        body = add_cube(f"{name}'s body", at=(0.0, 0.0, 1.0), size=0.4)
        prop = add_armature(f"{name}'s bag", {"Handle": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.3), None)})
        rig.location.x, body.parent = x, rig
        for item in (prop, rig, body):
            empty.collection.objects.unlink(item)
            collection.objects.link(item)
    add_cube("Box", at=(0.0, 2.0, 0.5))
    add_camera(empty, at=(0.0, -7.0, 1.2), towards=(0.0, 0.0, 1.0))
    shot = captured(empty, tmp_path, actors=("Bert", "Box", "Anna"))
    assert [shot.shot.layer(name).pose for name in ("Bert", "Box", "Anna")] == [0, None, 1]
    assert list(shot.pose["actors"]) == ["Bert", "Anna"]
    neck = JOINTS.index("neck")
    np.testing.assert_allclose(shot.pose["world"][:, 0, neck], [(1.0, 0.0, 1.45), (-1.0, 0.0, 1.45)], atol=1e-5)
    assert (shot.pose["visibility"][:, 0, neck] == SEEN).all()
