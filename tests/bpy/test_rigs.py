# SPDX-License-Identifier: GPL-3.0-or-later
"""Known rigs by the names of their bones: bodies, fingers, eyes; and what a name must not be taken for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np
import pytest
from bpy.props import CollectionProperty, PointerProperty, StringProperty
from lucid.addon.capture.rigs import joints_of, pose_source, rest_point, unmapped_joints
from lucid.inference.conditioning.pose import FINGERS, JOINTS
from lucid.tests.captured import FIGURE, SIDED, add_armature

_PLAIN = ("Thumb", "Index", "Middle", "Ring", "Pinky")
_TRUNK = {"hips": "Hips", "spine": "Spine", "head": "Head"}


@dataclass(frozen=True)
class Rig:
    """``limbs`` in the order of SIDED; ``fingers`` name the five, ``finger`` is the bone of one, "*" the finger, "#" the
    number, "{}" the side; ``eye`` is the bone of an eye."""

    source: str
    sides: tuple[str, str]
    limbs: tuple[str, ...]
    trunk: dict[str, str]
    finger: str = ""
    fingers: tuple[str, ...] = ()
    eye: str = ""
    extra: tuple[str, ...] = ()
    prefix: str = ""


_MIXAMO = ("{}Arm", "{}ForeArm", "{}Hand", "{}UpLeg", "{}Leg", "{}Foot")
RIGS = {
    "rigify": Rig("rigify", ("L", "R"), ("upper_arm.{}", "forearm.{}", "hand.{}", "thigh.{}", "shin.{}", "foot.{}"),
                  {"hips": "spine", "spine": "spine.003", "head": "spine.006"}, "*.0#.{}",
                  ("thumb", "f_index", "f_middle", "f_ring", "f_pinky"), "eye.{}"),
    "mixamo": Rig("mixamo", ("Left", "Right"), _MIXAMO, _TRUNK, "{}Hand*#", _PLAIN, "{}Eye", prefix="mixamorig:"),
    "mixamo of a name": Rig("mixamo", ("Left", "Right"), _MIXAMO, _TRUNK, "{}Hand*#", _PLAIN, prefix="Ninja_"),
    "vroid": Rig("vrm", ("L", "R"), ("J_Bip_{}_UpperArm", "J_Bip_{}_LowerArm", "J_Bip_{}_Hand", "J_Bip_{}_UpperLeg",
                                     "J_Bip_{}_LowerLeg", "J_Bip_{}_Foot"),
                 {"hips": "J_Bip_C_Hips", "spine": "J_Bip_C_Chest", "head": "J_Bip_C_Head"}, "J_Bip_{}_*#",
                 ("Thumb", "Index", "Middle", "Ring", "Little"), "J_Adj_{}_FaceEye"),
    "mpfb default": Rig("mpfb", ("L", "R"), ("upperarm01.{}", "lowerarm01.{}", "wrist.{}", "upperleg01.{}", "lowerleg01.{}",
                                             "foot.{}"), {"hips": "root", "spine": "spine01", "head": "head"},
                        "finger*-#.{}", ("1", "2", "3", "4", "5"), "eye.{}"),
    "mpfb openpose": Rig("mpfb", ("L", "R"), ("{}Shoulder", "{}Elbow", "{}Wrist", "{}Hip", "{}Knee", "{}Ankle"),
                         {"hips": "MidHip", "spine": "Neck", "head": "Top"}, eye="{}Eye"),
    "mpfb mixamo": Rig("mixamo", ("Left", "Right"), _MIXAMO, _TRUNK, "{}Hand*#", _PLAIN, prefix="mixamorig:"),
    "unreal": Rig("unreal", ("l", "r"), ("upperarm_{}", "lowerarm_{}", "hand_{}", "thigh_{}", "calf_{}", "foot_{}"),
                  {"hips": "pelvis", "spine": "spine_03", "head": "head"}, "*_0#_{}",
                  ("thumb", "index", "middle", "ring", "pinky"), extra=("lowerarm_twist_01_l", "ik_hand_l")),
    "cmu bvh": Rig("bvh", ("Left", "Right"), _MIXAMO, _TRUNK, extra=("LHipJoint", "RHipJoint", "LeftFingerBase")),
    "cmu asf": Rig("bvh", ("l", "r"), ("{}humerus", "{}radius", "{}wrist", "{}femur", "{}tibia", "{}foot"),
                   {"hips": "root", "spine": "thorax", "head": "head"}),
    "daz": Rig("bvh", ("l", "r"), ("{}Shldr", "{}ForeArm", "{}Hand", "{}Thigh", "{}Shin", "{}Foot"),
               {"hips": "hip", "spine": "abdomen", "head": "head"}, "{}*#", ("Thumb", "Index", "Mid", "Ring", "Pinky"), "{}Eye"),
    "old bvh": Rig("bvh", ("Left", "Right"), ("{}Shoulder", "{}Elbow", "{}Wrist", "{}Hip", "{}Knee", "{}Ankle"), _TRUNK),
}


def finger_spot(finger: int, number: int, sign: float) -> tuple[float, float, float]:
    return sign * (0.72 + 0.03 * number), -0.04 * finger, 0.93


def built(rig: Rig, *, sideways_tips: bool = False, fourth: bool = False) -> bpy.types.Object:
    """FIGURE under the rig's names, with three bones for each finger (four where ``fourth``), whose last tails point
    away where ``sideways_tips``."""
    names = {**rig.trunk, **dict(zip(SIDED, rig.limbs, strict=True))}
    bones: dict[str, tuple[tuple[float, ...], tuple[float, ...], str | None]] = {}
    for part, (head, tail, parent) in FIGURE.items():
        for sign, side in zip((1.0, -1.0), rig.sides if part in SIDED else ("",), strict=False):
            ends = ((sign * head[0], *head[1:]), (sign * tail[0], *tail[1:]))
            bones[rig.prefix + names[part].format(side)] = (
                *ends, rig.prefix + names[parent].format(side) if parent else None)
    for sign, side in zip((1.0, -1.0), rig.sides, strict=True):
        for finger, name in enumerate(rig.fingers):
            parent = rig.prefix + rig.limbs[2].format(side)
            for number in range(1, 5 if fourth else 4):
                bone = rig.prefix + rig.finger.replace("*", name).replace("#", str(number)).format(side)
                head = finger_spot(finger, number, sign)
                aside = sideways_tips and number == 3
                bones[bone] = (head, (head[0], head[1], 1.2) if aside else finger_spot(finger, number + 1, sign), parent)
                parent = bone
        if rig.eye:
            bones[rig.prefix + rig.eye.format(side)] = ((sign * 0.03, -0.08, 1.68), (sign * 0.03, -0.1, 1.68),
                                                        rig.prefix + rig.trunk["head"])
    for name in rig.extra:
        bones[name] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.6), None)
    return add_armature("Figure", bones)


@pytest.mark.parametrize("kind", RIGS)
def test_known_rigs(kind: str, empty: bpy.types.Scene) -> None:
    rig = RIGS[kind]
    armature = built(rig).data
    joints = joints_of(armature)
    assert pose_source(armature) == rig.source
    for side, sign in (("l", 1.0), ("r", -1.0)):
        for part in SIDED:
            head = FIGURE[part][0]
            np.testing.assert_allclose(rest_point(armature, joints[f"{side}_{part}"]), (sign * head[0], *head[1:]), atol=1e-5)
        for finger, name in enumerate(FINGERS if rig.fingers else ()):
            for number in (1, 2, 3, 4):
                np.testing.assert_allclose(rest_point(armature, joints[f"{side}_{name}_{number}"]),
                                           finger_spot(finger, number, sign), atol=1e-5)
        if rig.fingers:
            assert joints[f"{side}_hand"] == joints[f"{side}_wrist"]
        else:
            assert not any(name.startswith(f"{side}_index") or name == f"{side}_hand" for name in joints)
        if rig.eye:
            np.testing.assert_allclose(rest_point(armature, joints[f"{side}_eye"]), (sign * 0.03, -0.08, 1.68), atol=1e-5)
    missing = {"l_ear", "r_ear"} | (set() if rig.eye else {"l_eye", "r_eye"}) | ({"nose"} if kind == "mpfb openpose" else set())
    assert unmapped_joints(armature) == [name for name in JOINTS if name in missing]


def test_a_tail_that_an_importer_made_up_is_no_fingertip(empty: bpy.types.Scene) -> None:
    joints = joints_of(built(RIGS["unreal"], sideways_tips=True).data)
    assert "l_index_3" in joints and not any(name.endswith("_4") for name in joints)


def test_the_fourth_bone_of_a_finger_is_its_tip(empty: bpy.types.Scene) -> None:
    armature = built(RIGS["mixamo"], fourth=True).data
    joints = joints_of(armature)
    assert joints["r_ring_4"][0].bone == "mixamorig:RightHandRing4"
    np.testing.assert_allclose(rest_point(armature, joints["r_ring_4"]), finger_spot(3, 4, -1.0), atol=1e-5)


def test_known_names_on_four_legs_are_no_person(empty: bpy.types.Scene) -> None:
    """Some animals are rigged with a person's names."""
    rig = built(RIGS["mixamo"])
    bpy.ops.object.mode_set(mode="EDIT")
    for bone in rig.data.edit_bones:
        if any(part in bone.name for part in ("Leg", "Foot")):
            for end in ("head", "tail"):
                x, y, z = getattr(bone, end)
                setattr(bone, end, (x, z - 1.0, 1.0 - y))
    bpy.ops.object.mode_set(mode="OBJECT")
    assert joints_of(rig.data) == {}
    assert pose_source(rig.data) == "none" and unmapped_joints(rig.data) == list(JOINTS)


class _Node(bpy.types.PropertyGroup):
    bone_name: StringProperty()


class _Human(bpy.types.PropertyGroup):
    bone: StringProperty()
    node: PointerProperty(type=_Node)


_HUMANS = ("upper_arm", "lower_arm", "hand", "upper_leg", "lower_leg", "foot", "eye", "thumb_metacarpal", "thumb_proximal",
           "thumb_distal", *(f"{finger}_{part}" for finger in ("index", "middle", "ring", "little")
                             for part in ("proximal", "intermediate", "distal")))
_Humans = type("_Humans", (bpy.types.PropertyGroup,), {"__annotations__": {
    "head": PointerProperty(type=_Human),
    **{f"{side}_{part}": PointerProperty(type=_Human) for side in ("left", "right") for part in _HUMANS}}})


class _Extension(bpy.types.PropertyGroup):
    """The VRM add-on's ``vrm_addon_extension``, as far as bones go; ``vrm1`` and ``vrm0`` share a humanoid here."""

    spec_version: StringProperty()
    one: PointerProperty(type=_Humans)
    zero: CollectionProperty(type=_Human)

    @property
    def vrm1(self) -> _Extension:
        return self

    @property
    def vrm0(self) -> _Extension:
        return self

    @property
    def humanoid(self) -> _Extension:
        return self

    @property
    def human_bones(self) -> object:
        return self.zero if self.spec_version == "0.0" else self.one


@pytest.fixture
def vrm_extension(empty: bpy.types.Scene) -> Iterator[None]:
    for cls in (_Node, _Human, _Humans, _Extension):
        bpy.utils.register_class(cls)
    bpy.types.Armature.vrm_addon_extension = PointerProperty(type=_Extension)
    yield
    del bpy.types.Armature.vrm_addon_extension
    for cls in (_Extension, _Humans, _Human, _Node):
        bpy.utils.unregister_class(cls)


@pytest.mark.parametrize("version", ["1.0", "0.0"])
def test_the_humanoid_of_vrm_whatever_its_bones_are_called(version: str, vrm_extension: None) -> None:
    rig = Rig("vrm", ("1", "2"), ("aa{}", "ab{}", "ac{}", "ba{}", "bb{}", "bc{}"), {"hips": "p", "spine": "q", "head": "h"},
              "f{}*#", ("T", "I", "M", "N", "P"))
    armature = built(rig).data
    assert pose_source(armature) == "none"
    extension = armature.vrm_addon_extension
    extension.spec_version = version
    joints = ("metacarpal", "proximal", "distal") if version == "1.0" else ("proximal", "intermediate", "distal")
    for side, word in zip(rig.sides, ("left", "right"), strict=True):
        human = dict(zip(_HUMANS[:6], (limb.format(side) for limb in rig.limbs), strict=True))
        human |= {f"thumb_{joint}": f"f{side}T{number}" for number, joint in enumerate(joints, 1)}
        human |= {f"index_{joint}": f"f{side}I{number}" for number, joint in
                  enumerate(("proximal", "intermediate", "distal"), 1)}
        for name, bone in human.items():
            if version == "1.0":
                getattr(extension.one, f"{word}_{name}").node.bone_name = bone
            else:
                entry = extension.zero.add()
                entry.bone = word + name.title().replace("_", "")
                entry.node.bone_name = bone
    found = joints_of(armature)
    assert pose_source(armature) == "vrm"
    np.testing.assert_allclose(rest_point(armature, found["r_knee"]), np.array(FIGURE["knee"][0]) * (-1, 1, 1), atol=1e-5)
    for finger, name in ((0, "thumb"), (1, "index")):
        for number in (1, 2, 3, 4):
            np.testing.assert_allclose(rest_point(armature, found[f"l_{name}_{number}"]), finger_spot(finger, number, 1.0),
                                       atol=1e-5)
    assert "l_middle_1" not in found
