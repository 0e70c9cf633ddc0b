# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which bone of an armature stands for which joint of the skeleton."""

from __future__ import annotations

import bpy

from ..addon.pose_map import recognise
from ..addon.translation import rpt_


class _PoseOperator:
    """For the active object's armature."""

    bl_options = {"REGISTER", "UNDO"}
    needs_rows = True

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item = getattr(context, "object", None)      # without a window there is none
        if item is None or item.type != "ARMATURE":
            cls.poll_message_set(rpt_("The active object is no armature"))
        elif not item.data.is_editable:
            cls.poll_message_set(rpt_("The armature is linked: make it local, or a library override"))
        elif cls.needs_rows and not item.data.lucid_pose.joints:
            cls.poll_message_set(rpt_("The armature has no pose map yet: guess one first"))
        else:
            return True
        return False


class LUCID_OT_pose_guess(_PoseOperator, bpy.types.Operator):
    """Fill the pose map of the active armature from the names of its bones, or else from their shape"""

    bl_idname = "lucid.pose_guess"
    bl_label = "Guess Pose Map"
    needs_rows = False

    def execute(self, context: bpy.types.Context) -> set[str]:
        source, found = recognise(context.object.data)
        if found:
            self.report({"INFO"}, rpt_("{count} joints found ({source})").format(count=found, source=source))
        else:
            self.report({"WARNING"}, "No human figure was recognised: set the joints by hand")
        return {"FINISHED"}


class LUCID_OT_pose_set(_PoseOperator, bpy.types.Operator):
    """Let the active bone stand for the joint chosen in the list"""

    bl_idname = "lucid.pose_set"
    bl_label = "Set Joint from Active Bone"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        if _active_bone(context) is None:
            cls.poll_message_set(rpt_("No bone is active"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        pose = context.object.data.lucid_pose
        if not 0 <= pose.joint_index < len(pose.joints):
            self.report({"ERROR"}, "No joint is chosen in the list")
            return {"CANCELLED"}
        joint = pose.joints[pose.joint_index]
        joint.bone, joint.end, joint.offset = _active_bone(context), "HEAD", (0.0, 0.0, 0.0)
        joint.enabled = True
        return {"FINISHED"}


class LUCID_OT_pose_clear(_PoseOperator, bpy.types.Operator):
    """Forget the pose map of the active armature: its bones are recognised when it is captured"""

    bl_idname = "lucid.pose_clear"
    bl_label = "Clear Pose Map"

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.object.data.lucid_pose.joints.clear()
        context.object.data.lucid_pose.joint_index = 0
        return {"FINISHED"}


def _active_bone(context: bpy.types.Context) -> str | None:
    armature = context.object.data
    bone = armature.edit_bones.active if context.object.mode == "EDIT" else armature.bones.active
    return bone.name if bone is not None else None


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_pose_guess, LUCID_OT_pose_set, LUCID_OT_pose_clear))
