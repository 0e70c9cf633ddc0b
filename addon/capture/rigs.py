# SPDX-License-Identifier: GPL-3.0-or-later
"""From an armature's bones to OpenPose-18 joints: presets by name, else a guess from the shape of the hierarchy.

Nothing is invented: a joint without a bone stays unmapped, and a skeleton that does not stand on two legs in its rest
pose gets no pose at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

# joint -> bone, then "head" or "tail". {0} is the side in the preset's own words.
_RIGIFY_LIMBS = {"shoulder": ("upper_arm.{0}", "head"), "elbow": ("forearm.{0}", "head"), "wrist": ("hand.{0}", "head"),
                 "hip": ("thigh.{0}", "head"), "knee": ("shin.{0}", "head"), "ankle": ("foot.{0}", "head"),
                 "eye": ("eye.{0}", "head"), "ear": ("ear.{0}", "head")}
_MIXAMO_LIMBS = {"shoulder": ("{0}Arm", "head"), "elbow": ("{0}ForeArm", "head"), "wrist": ("{0}Hand", "head"),
                 "hip": ("{0}UpLeg", "head"), "knee": ("{0}Leg", "head"), "ankle": ("{0}Foot", "head"),
                 "eye": ("{0}Eye", "head")}
_NEEDED = tuple(f"{side}_{part}" for side in "rl" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"))

# two legs: the way from hips to shoulders and the way from hips to ankles differ by more than this at rest. A person
# has about 180 degrees whichever way the armature is turned, a fox about 90.
_UPRIGHT_DEGREES = 135.0
# a guess must also be built like a person or a toy of one; measured: people 1.9 and 1.1 torsos, RobotExpressive 1.7, 2.1
_LEG_IN_TORSOS = (0.8, 4.0)
_ARM_IN_TORSOS = (0.5, 3.0)
_HALVES = 3.0               # neither half of a limb is longer than this many times the other
_LEG_IN_EXTENT = 0.12       # of the armature's largest dimension, or ears and jaws pass for limbs
_BELOW_ANKLES = 0.4         # legs; nothing of a figure hangs lower than its feet

# the nose of a rig without a face: this far up the head bone and this far in front of it, in lengths of the bone
_NOSE_UP, _NOSE_FORWARD = 0.4, 0.4

_WORDS = {"left": "l", "right": "r", "l": "l", "r": "r"}
_SIDES = (re.compile(r"(?<![A-Za-z])([Ll]eft|[Rr]ight|LEFT|RIGHT)(?![a-z])"),   # LeftArm, arm_left, arm.Left
          re.compile(r"(?<=[a-z0-9])(Left|Right)(?![a-z])"),                    # armLeft
          re.compile(r"(?<![A-Za-z0-9])([LlRr])(?![A-Za-z0-9])"))               # arm.L, arm_l, L_arm)


@dataclass(frozen=True)
class BonePoint:
    """A point that moves with a bone: ``offset`` (3,) is in the bone's own space (y runs from head to tail)."""

    bone: str
    offset: tuple[float, float, float]


# joint -> the points whose mean it is; beside the joints, FACING holds two points in a line that the face looks along
FACING = "facing"
JointMap = dict[str, tuple[BonePoint, ...]]


def joints_of(armature: bpy.types.Armature) -> JointMap:
    """The joints that this armature knows, or {} when it is not an upright figure with two arms and two legs."""
    for named in (_rigify(armature), _mixamo(armature), _guessed(armature)):
        if all(joint in named for joint in _NEEDED) and _upright(armature, named):
            return _with_neck_and_nose(armature, named)
    return {}


def rest_point(armature: bpy.types.Armature, points: tuple[BonePoint, ...]) -> NDArray[np.float64]:
    """The mean of ``points`` in the rest pose, armature space (3,)."""
    return np.mean([np.array(armature.bones[p.bone].matrix_local @ Vector(p.offset)) for p in points], axis=0)


def torso_length(armature: bpy.types.Armature, joints: JointMap) -> float:
    """From the middle of the hips to the middle of the shoulders at rest, in armature units."""
    shoulders = rest_point(armature, joints["l_shoulder"] + joints["r_shoulder"])
    return float(np.linalg.norm(shoulders - rest_point(armature, joints["l_hip"] + joints["r_hip"])))


def _rigify(armature: bpy.types.Armature) -> JointMap:
    """The metarig, and the DEF and ORG bones of the rig generated from it."""
    for prefix in ("DEF-", "ORG-", ""):
        found = _by_table(armature, _RIGIFY_LIMBS, (prefix, "ORG-"), {"r": "R", "l": "L"})
        if "l_shoulder" in found:
            found |= _first(armature, {"head": (f"{prefix}spine.006", "spine.006", "ORG-spine.006")}, "head")
            return found | _first(armature, {"nose": (f"{prefix}nose.001", "ORG-nose.001", "nose.001")}, "tail")
    return {}


def _mixamo(armature: bpy.types.Armature) -> JointMap:
    """Mixamo's names behind any prefix (``mixamorig:``, ``mixamorig7_``, a character's name, or none)."""
    arm = next((bone.name for bone in armature.bones if bone.name.endswith("LeftForeArm")), None)
    if arm is None:
        return {}
    prefix = arm.removesuffix("LeftForeArm")
    return _by_table(armature, _MIXAMO_LIMBS, (prefix,), {"r": "Right", "l": "Left"}) \
        | _first(armature, {"head": (f"{prefix}Head",)}, "head")


def _by_table(armature: bpy.types.Armature, table: Mapping[str, tuple[str, str]], prefixes: tuple[str, ...],
              sides: Mapping[str, str]) -> JointMap:
    found: JointMap = {}
    for side, word in sides.items():
        for part, (name, end) in table.items():
            found |= _first(armature, {f"{side}_{part}": tuple(p + name.format(word) for p in prefixes)}, end)
    return found


def _first(armature: bpy.types.Armature, wanted: Mapping[str, tuple[str, ...]], end: str) -> JointMap:
    return {joint: (_end_of(armature.bones[name], end),) for joint, names in wanted.items()
            for name in [next((n for n in names if n in armature.bones), None)] if name is not None}


def _end_of(bone: bpy.types.Bone, end: str) -> BonePoint:
    return BonePoint(bone.name, (0.0, bone.length if end == "tail" else 0.0, 0.0))


def _guessed(armature: bpy.types.Armature) -> JointMap:
    """Two pairs of limbs of which one hangs away from the other are legs and arms.

    A limb is a chain of bones of one side that starts at a bone without a side; within it the two longest
    neighbouring bones are upper and lower arm or leg (collar bones, hands and feet are shorter).
    """
    limbs = [limb for bone in armature.bones if _side(bone.name) == "l" and not _has_side_above(bone)
             for limb in [_limb_pair(armature, bone)] if limb]
    best: JointMap = {}
    length = 0.0
    for legs in limbs:
        for arms in limbs:
            if legs is arms:
                continue
            candidate = _joined(legs, ("hip", "knee", "ankle")) | _joined(arms, ("shoulder", "elbow", "wrist"))
            reach = sum(_limb_lengths(armature, candidate, "l"))
            if reach > length and _upright(armature, candidate) and _built_like_a_person(armature, candidate):
                best, length = candidate, reach
    head = _head_bone(armature, best) if best else None
    return best | ({"head": (_end_of(head, "head"),)} if head else {})


def _side(name: str) -> str | None:
    for pattern in _SIDES:
        found = pattern.search(name)
        if found:
            return _WORDS[found.group(1).lower()]
    return None


def _mirrored_name(name: str) -> str:
    for pattern in _SIDES:
        found = pattern.search(name)
        if found:
            word = found.group(1)
            other = {"left": "right", "right": "left", "l": "r", "r": "l"}[word.lower()]
            cased = other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other
            return name[:found.start(1)] + cased + name[found.end(1):]
    return name


def _has_side_above(bone: bpy.types.Bone) -> bool:
    return bone.parent is not None and _side(bone.parent.name) is not None


def _limb_pair(armature: bpy.types.Armature, root: bpy.types.Bone) -> dict[str, list[BonePoint]]:
    """The three joints of the limb that starts at ``root`` on both sides, or {} without a limb or a mirror image."""
    chain = _longest_chain(root)
    points = [_end_of(bone, "head") for bone in chain] + [_end_of(chain[-1], "tail")]
    if len(points) < 3:
        return {}
    spots = [np.array(armature.bones[p.bone].matrix_local @ Vector(p.offset)) for p in points]
    steps = [float(np.linalg.norm(b - a)) for a, b in zip(spots, spots[1:], strict=False)]
    start = max(range(len(steps) - 1), key=lambda i: steps[i] + steps[i + 1])
    left = points[start:start + 3]
    right = [_mirrored_point(armature, point) for point in left]
    return {"l": left, "r": [p for p in right if p]} if all(right) else {}


def _mirrored_point(armature: bpy.types.Armature, point: BonePoint) -> BonePoint | None:
    """The same point on the other side: by name, and where numbers differ (``Arm_06``, ``Arm_09``) by the stem."""
    name = _mirrored_name(point.bone)
    stem = re.compile(re.escape(name.rstrip("0123456789")) + r"\d*$")
    bone = armature.bones.get(name) or next((b for b in armature.bones if stem.match(b.name)), None)
    if bone is None:
        return None
    return _end_of(bone, "tail" if point.offset[1] > 0.0 else "head")


def _longest_chain(bone: bpy.types.Bone) -> list[bpy.types.Bone]:
    tails = [_longest_chain(child) for child in bone.children if _side(child.name) == _side(bone.name)]
    return [bone, *max(tails, key=lambda chain: sum(b.length for b in chain), default=[])]


def _joined(limbs: dict[str, list[BonePoint]], parts: tuple[str, str, str]) -> JointMap:
    return {f"{side}_{part}": (point,) for side, points in limbs.items()
            for part, point in zip(parts, points, strict=True)}


def _limb_lengths(armature: bpy.types.Armature, joints: JointMap, side: str) -> tuple[float, float, float, float]:
    """Thigh, shin, upper arm and forearm at rest, in armature units."""
    spots = {name: rest_point(armature, joints[f"{side}_{name}"])
             for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")}
    thigh, shin, upper, fore = (float(np.linalg.norm(spots[a] - spots[b])) for a, b in (
        ("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")))
    return thigh, shin, upper, fore


def _built_like_a_person(armature: bpy.types.Armature, joints: JointMap) -> bool:
    """Whether the limbs have the lengths of a figure's, against its torso, its halves and the whole armature."""
    thigh, shin, upper, fore = _limb_lengths(armature, joints, "l")
    torso = torso_length(armature, joints)
    ends = np.array([end for bone in armature.bones for end in (bone.head_local, bone.tail_local)])
    hips = rest_point(armature, joints["l_hip"] + joints["r_hip"])
    up = (rest_point(armature, joints["l_shoulder"] + joints["r_shoulder"]) - hips) / torso
    ankles = rest_point(armature, joints["l_ankle"] + joints["r_ankle"])
    return (_LEG_IN_TORSOS[0] <= (thigh + shin) / torso <= _LEG_IN_TORSOS[1]
            and _ARM_IN_TORSOS[0] <= (upper + fore) / torso <= _ARM_IN_TORSOS[1]
            and max(thigh, shin) <= _HALVES * min(thigh, shin) and max(upper, fore) <= _HALVES * min(upper, fore)
            and thigh + shin >= _LEG_IN_EXTENT * float(np.ptp(ends, axis=0).max())
            and float(((ends - ankles) @ up).min()) >= -_BELOW_ANKLES * (thigh + shin))


def _upright(armature: bpy.types.Armature, joints: JointMap) -> bool:
    """Whether the legs point away from the torso in the rest pose, on both sides."""
    hips = rest_point(armature, joints["l_hip"] + joints["r_hip"])
    spine = rest_point(armature, joints["l_shoulder"] + joints["r_shoulder"]) - hips
    for side in "lr":
        leg = rest_point(armature, joints[f"{side}_ankle"]) - rest_point(armature, joints[f"{side}_hip"])
        size = float(np.linalg.norm(spine) * np.linalg.norm(leg))
        if size == 0.0 or float(spine @ leg) / size > np.cos(np.radians(_UPRIGHT_DEGREES)):
            return False
    return True


def _head_bone(armature: bpy.types.Armature, joints: JointMap) -> bpy.types.Bone | None:
    """The bone named a head; else the last one, from the shoulders up, of the bones without a side."""
    shoulders = rest_point(armature, joints["l_shoulder"] + joints["r_shoulder"])
    spine = shoulders - rest_point(armature, joints["l_hip"] + joints["r_hip"])
    above = [bone for bone in armature.bones if _side(bone.name) is None
             and float((np.array(bone.head_local) - shoulders) @ spine) > 0.0]
    named = [bone for bone in above if re.search(r"(?<![a-z])head", bone.name, re.IGNORECASE)]
    return next(iter(named), None) or max(above, key=lambda b: float(np.array(b.head_local) @ spine), default=None)


def _with_neck_and_nose(armature: bpy.types.Armature, joints: JointMap) -> JointMap:
    """Neck: the middle of the shoulders, as OpenPose's COCO-18 and DWPose have it.

    Nose: a bone of that name; else, from the head bone alone, the point 0.4 of its length up and 0.4 in front, where
    "in front" is right-to-left across the shoulders crossed with the spine. Eyes and ears without bones stay absent.
    """
    complete = {**joints, "neck": joints["r_shoulder"] + joints["l_shoulder"]}
    head = complete.pop("head", None)
    if head is None:
        return complete
    across = rest_point(armature, joints["l_shoulder"]) - rest_point(armature, joints["r_shoulder"])
    spine = rest_point(armature, complete["neck"]) - rest_point(armature, joints["l_hip"] + joints["r_hip"])
    forward, spine = np.cross(across, spine) / np.linalg.norm(np.cross(across, spine)), spine / np.linalg.norm(spine)
    bone = armature.bones[head[0].bone]
    base = np.array(bone.head_local)
    complete[FACING] = (_end_of(bone, "head"), _carried(bone, base + bone.length * forward))
    if "nose" not in complete:
        complete["nose"] = (_carried(bone, base + bone.length * (_NOSE_UP * spine + _NOSE_FORWARD * forward)),)
    return complete


def _carried(bone: bpy.types.Bone, spot: NDArray[np.float64]) -> BonePoint:
    """A point given in the rest pose, armature space, as one that moves with ``bone``."""
    x, y, z = bone.matrix_local.inverted() @ Vector(spot.tolist())
    return BonePoint(bone.name, (x, y, z))
