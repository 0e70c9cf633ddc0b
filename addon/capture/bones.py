# SPDX-License-Identifier: GPL-3.0-or-later
"""Points that move with bones, and where they are at rest."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray


@dataclass(frozen=True)
class BonePoint:
    """A point that moves with a bone: ``offset`` (3,) is in the bone's own space (y runs from head to tail)."""

    bone: str
    offset: tuple[float, float, float]


# joint -> the points whose mean it is
JointMap = dict[str, tuple[BonePoint, ...]]

# without these an armature is no figure; the four that a torso lies between come first
TORSO = ("r_hip", "l_hip", "r_shoulder", "l_shoulder")
NEEDED = (*TORSO, *(f"{side}_{part}" for side in "rl" for part in ("elbow", "wrist", "knee", "ankle")))
# of what is mapped, where the torso's ends are not: a person's torso in the diagonal of a person
_TORSO_IN_FIGURE = 0.3
# two legs: the way from hips to shoulders and the way from hips to ankles differ by more than this at rest. A person
# has about 180 degrees whichever way the armature is turned, a fox about 90.
_UPRIGHT_DEGREES = 135.0


def end_of(bone: bpy.types.Bone, tail: bool = False) -> BonePoint:
    return BonePoint(bone.name, (0.0, bone.length if tail else 0.0, 0.0))


def carried(bone: bpy.types.Bone, spot: NDArray[np.float64]) -> BonePoint:
    """A point given in the rest pose, armature space, as one that moves with ``bone``."""
    x, y, z = bone.matrix_local.inverted() @ Vector(spot.tolist())
    return BonePoint(bone.name, (x, y, z))


def rest_point(armature: bpy.types.Armature, points: tuple[BonePoint, ...]) -> NDArray[np.float64]:
    """The mean of ``points`` in the rest pose, armature space (3,)."""
    return np.mean([np.array(armature.bones[p.bone].matrix_local @ Vector(p.offset)) for p in points], axis=0)


def spine_of(armature: bpy.types.Armature, joints: JointMap) -> NDArray[np.float64]:
    """From the middle of the hips to the middle of the shoulders at rest, armature space (3,)."""
    return (rest_point(armature, joints["l_shoulder"] + joints["r_shoulder"])
            - rest_point(armature, joints["l_hip"] + joints["r_hip"]))


def torso_length(armature: bpy.types.Armature, joints: JointMap) -> float:
    """From hips to shoulders at rest, in armature units; estimated from what there is of a figure without them."""
    if all(joint in joints for joint in TORSO):
        return float(np.linalg.norm(spine_of(armature, joints)))
    spots = np.array([rest_point(armature, points) for points in joints.values()])
    return _TORSO_IN_FIGURE * float(np.linalg.norm(np.ptp(spots, axis=0)))


def upright(armature: bpy.types.Armature, joints: JointMap) -> bool:
    """Whether the legs point away from the torso in the rest pose, on both sides."""
    spine = spine_of(armature, joints)
    for side in "lr":
        leg = rest_point(armature, joints[f"{side}_ankle"]) - rest_point(armature, joints[f"{side}_hip"])
        size = float(np.linalg.norm(spine) * np.linalg.norm(leg))
        if size == 0.0 or float(spine @ leg) / size > np.cos(np.radians(_UPRIGHT_DEGREES)):
            return False
    return True
