# SPDX-License-Identifier: GPL-3.0-or-later
"""The joints of a rig whose names say no more than left and right, from the shape of its hierarchy."""

from __future__ import annotations

import re

import bpy
import numpy as np
from mathutils import Vector

from .bones import BonePoint, JointMap, end_of, rest_point, spine_of, torso_length, upright

# a guess must also be built like a person or a toy of one; measured: people 1.9 and 1.1 torsos, RobotExpressive 1.7, 2.1
_LEG_IN_TORSOS = (0.8, 4.0)
_ARM_IN_TORSOS = (0.5, 3.0)
_HALVES = 3.0               # neither half of a limb is longer than this many times the other
_LEG_IN_EXTENT = 0.12       # of the armature's largest dimension, or ears and jaws pass for limbs
_BELOW_ANKLES = 0.4         # legs; nothing of a figure hangs lower than its feet

_WORDS = {"left": "l", "right": "r", "l": "l", "r": "r"}
_SIDES = (re.compile(r"(?<![A-Za-z])([Ll]eft|[Rr]ight|LEFT|RIGHT)(?![a-z])"),   # LeftArm, arm_left, arm.Left
          re.compile(r"(?<=[a-z0-9])(Left|Right)(?![a-z])"),                    # armLeft
          re.compile(r"(?<![A-Za-z0-9])([LlRr])(?![A-Za-z0-9])"))               # arm.L, arm_l, L_arm)


def guessed(armature: bpy.types.Armature) -> JointMap:
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
            if reach > length and upright(armature, candidate) and _built_like_a_person(armature, candidate):
                best, length = candidate, reach
    head = _head_bone(armature, best) if best else None
    return best | ({"head": (end_of(head),)} if head else {})


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
    points = [end_of(bone) for bone in chain] + [end_of(chain[-1], tail=True)]
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
    return end_of(bone, tail=point.offset[1] > 0.0)


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
    up = spine_of(armature, joints) / torso
    ankles = rest_point(armature, joints["l_ankle"] + joints["r_ankle"])
    return (_LEG_IN_TORSOS[0] <= (thigh + shin) / torso <= _LEG_IN_TORSOS[1]
            and _ARM_IN_TORSOS[0] <= (upper + fore) / torso <= _ARM_IN_TORSOS[1]
            and max(thigh, shin) <= _HALVES * min(thigh, shin) and max(upper, fore) <= _HALVES * min(upper, fore)
            and thigh + shin >= _LEG_IN_EXTENT * float(np.ptp(ends, axis=0).max())
            and float(((ends - ankles) @ up).min()) >= -_BELOW_ANKLES * (thigh + shin))


def _head_bone(armature: bpy.types.Armature, joints: JointMap) -> bpy.types.Bone | None:
    """The bone named a head; else the last one, from the shoulders up, of the bones without a side."""
    shoulders, spine = rest_point(armature, joints["l_shoulder"] + joints["r_shoulder"]), spine_of(armature, joints)
    above = [bone for bone in armature.bones if _side(bone.name) is None
             and float((np.array(bone.head_local) - shoulders) @ spine) > 0.0]
    named = [bone for bone in above if re.search(r"(?<![a-z])head", bone.name, re.IGNORECASE)]
    return next(iter(named), None) or max(above, key=lambda b: float(np.array(b.head_local) @ spine), default=None)
