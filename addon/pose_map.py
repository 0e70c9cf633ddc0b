# SPDX-License-Identifier: GPL-3.0-or-later
"""``Armature.lucid_pose``: which bone stands for which point of the skeleton, saved with the armature."""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..inference.conditioning.pose import FACE, HANDS, JOINTS, POINTS
from .capture.rigs import NECK, recognised

_CLOSE = 1e-6


class LucidPoseJoint(bpy.types.PropertyGroup):
    """One point of the skeleton; its name is the point's."""

    bone: StringProperty(name="Bone", description="The bone that this point of the skeleton moves with; empty: it is missing")
    end: EnumProperty(name="End", description="Which end of the bone the point is at",
                      items=(("HEAD", "Head", "The point is at the bone's head"),
                             ("TAIL", "Tail", "The point is at the bone's tail")))
    offset: FloatVectorProperty(name="Offset", subtype="TRANSLATION", size=3,
                                description="From that end, along the bone's own axes (Y runs along the bone)")
    enabled: BoolProperty(name="Use", default=True, description="Draw this point where the camera sees it")


class LucidPoseMap(bpy.types.PropertyGroup):
    """The points in the order of POINTS, without the neck, which is always the middle of the shoulders."""

    joints: CollectionProperty(type=LucidPoseJoint, name="Joints")
    joint_index: IntProperty(name="Active Joint", default=0)
    part: EnumProperty(name="Part", description="Which points the list shows",
                       items=(("BODY", "Body", "The 18 joints of the body"),
                              ("HANDS", "Hands", "The 21 points of each hand"),
                              ("FACE", "Face", "The 68 points of the face")))


def part_of(joint: str) -> str:
    return "BODY" if joint in JOINTS else "HANDS" if joint in HANDS else "FACE"


def recognise(armature: bpy.types.Armature) -> tuple[str, int]:
    """Fill the map from the rig's names or its shape; the source and how many points were found."""
    source, joints = recognised(armature)
    rows = armature.lucid_pose.joints
    rows.clear()
    for name in POINTS:
        if name == NECK:
            continue
        row = rows.add()
        row.name = name
        if name in joints:
            point = joints[name][0]
            row.bone, (x, y, z) = point.bone, point.offset
            at_tail = abs(y - armature.bones[point.bone].length) < _CLOSE and max(abs(x), abs(z)) < _CLOSE
            row.end, row.offset = ("TAIL", (0.0, 0.0, 0.0)) if at_tail else ("HEAD", point.offset)
    return source, sum(name in joints for name in {*JOINTS, *HANDS, *FACE} - {NECK})


def register() -> None:
    bpy.utils.register_class(LucidPoseJoint)
    bpy.utils.register_class(LucidPoseMap)
    bpy.types.Armature.lucid_pose = PointerProperty(type=LucidPoseMap)


def unregister() -> None:
    del bpy.types.Armature.lucid_pose
    bpy.utils.unregister_class(LucidPoseMap)
    bpy.utils.unregister_class(LucidPoseJoint)
