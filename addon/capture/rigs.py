# SPDX-License-Identifier: GPL-3.0-or-later
"""From an armature's bones to the points of a skeleton: the map stored on it, else a known rig's names, else a guess.

Nothing is invented: a joint without a bone stays unmapped, and a skeleton that does not stand on two legs in its rest
pose gets no pose at all, unless somebody mapped it by hand.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np

from ...inference.conditioning.pose import JOINTS, POINTS
from .bones import NEEDED, TORSO, BonePoint, JointMap, carried, end_of, rest_point, spine_of, torso_length, upright
from .guess import guessed
from .presets import named

__all__ = ["FACING", "BonePoint", "JointMap", "joints_of", "missing_joints", "pose_source", "rest_point", "torso_length",
           "unmapped_joints"]

# the nose of a rig without a face: this far up the head bone and this far in front of it, in lengths of the bone
_NOSE_UP, _NOSE_FORWARD = 0.4, 0.4
# beside the points, FACING holds two points in a line that the face looks along
FACING = "facing"
# the joint that is always the middle of two others
NECK = "neck"


def joints_of(armature: bpy.types.Armature) -> JointMap:
    """The points of POINTS that this armature knows and FACING, or {} when it is no figure that is known or guessed."""
    return _read(armature)[1]


def pose_source(armature: bpy.types.Armature) -> str:
    """Where the joints come from: "map" (stored on the armature), "rigify", "mixamo", "vrm", "mpfb", "unreal", "bvh",
    "guess", or "none"."""
    return _read(armature)[0]


def missing_joints(armature: bpy.types.Armature) -> list[str]:
    """The points whose bone, in the map stored on the armature, is gone."""
    return [row.name for row in armature.lucid_pose.joints if row.enabled and row.bone and row.bone not in armature.bones]


def unmapped_joints(armature: bpy.types.Armature) -> list[str]:
    """The joints of the body that no bone stands for; all of them for an armature without a pose."""
    joints = joints_of(armature)
    return [name for name in JOINTS if name not in joints]


def is_mapped(armature: bpy.types.Armature) -> bool:
    """Whether a map is stored: one that names a bone."""
    return any(row.bone for row in armature.lucid_pose.joints)


def recognised(armature: bpy.types.Armature) -> tuple[str, JointMap]:
    """What names or shapes say, whatever is stored: the source and the points, or "none" and {}."""
    for source, joints in _candidates(armature):
        if all(joint in joints for joint in NEEDED) and upright(armature, joints):
            return source, _with_neck_and_nose(armature, joints)
    return "none", {}


def _candidates(armature: bpy.types.Armature) -> Iterator[tuple[str, JointMap]]:
    yield from named(armature)
    yield "guess", guessed(armature)


def _read(armature: bpy.types.Armature) -> tuple[str, JointMap]:
    if not is_mapped(armature):
        return recognised(armature)
    joints: JointMap = {}
    for row in armature.lucid_pose.joints:
        bone = armature.bones.get(row.bone)
        if row.enabled and bone is not None and row.name in POINTS:
            x, y, z = row.offset
            joints[row.name] = (BonePoint(bone.name, (x, y + (bone.length if row.end == "TAIL" else 0.0), z)),)
    return "map", _with_neck_and_nose(armature, joints)


def _with_neck_and_nose(armature: bpy.types.Armature, joints: JointMap) -> JointMap:
    """Neck: the middle of the shoulders, as OpenPose's COCO-18 and DWPose have it.

    Nose: a bone of that name; else, from the head bone alone, the point 0.4 of its length up and 0.4 in front, where
    "in front" is right-to-left across the shoulders crossed with the spine. Eyes and ears without bones stay absent.
    """
    complete = dict(joints)
    head = complete.pop("head", None)
    if not all(joint in joints for joint in TORSO):
        return complete
    complete[NECK] = joints["r_shoulder"] + joints["l_shoulder"]
    if head is None and "nose" not in joints:
        return complete
    across = rest_point(armature, joints["l_shoulder"]) - rest_point(armature, joints["r_shoulder"])
    spine = spine_of(armature, joints)
    forward, spine = np.cross(across, spine) / np.linalg.norm(np.cross(across, spine)), spine / np.linalg.norm(spine)
    bone = armature.bones[(head or joints["nose"])[0].bone]
    base = np.array(bone.head_local)
    complete[FACING] = (end_of(bone), carried(bone, base + bone.length * forward))
    if "nose" not in complete:
        complete["nose"] = (carried(bone, base + bone.length * (_NOSE_UP * spine + _NOSE_FORWARD * forward)),)
    return complete
