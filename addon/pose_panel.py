# SPDX-License-Identifier: GPL-3.0-or-later
"""The pose map of the active armature, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from .capture.rigs import is_mapped, missing_joints
from .panels import LucidPanel
from .pose_map import part_of
from .translation import iface_


class LUCID_UL_pose_joints(bpy.types.UIList):
    def draw_item(self, _context: bpy.types.Context, layout: bpy.types.UILayout, data: object, item: object, _icon: int,
                  _active_data: object, _active_property: str) -> None:
        armature = data.id_data
        missing = item.bone not in armature.bones
        split = layout.split(factor=0.45)
        split.label(text=item.name.replace("_", " "), icon="ERROR" if missing else "DOT",
                    translate=False)
        row = split.row(align=True)
        row.active = item.enabled
        row.alert = missing and bool(item.bone)
        row.label(text=item.bone or iface_("none"), translate=False)
        row.prop(item, "enabled", text="")

    def filter_items(self, _context: bpy.types.Context, data: object, _property: str) -> tuple[list[int], list[int]]:
        """Only the part of the skeleton that is chosen above the list."""
        wanted = self.filter_name.casefold()
        return [self.bitflag_filter_item if part_of(row.name) == data.part and wanted in row.name.casefold() else 0
                for row in data.joints], []


class LUCID_PT_pose(LucidPanel, bpy.types.Panel):
    bl_label = "Pose"
    bl_order = 3
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.object is not None and context.object.type == "ARMATURE"

    def draw(self, context: bpy.types.Context) -> None:
        armature, layout = context.object.data, self.layout
        pose = armature.lucid_pose
        row = layout.row(align=True)
        row.operator("lucid.pose_guess", icon="VIEWZOOM")
        row.operator("lucid.pose_clear", text="", icon="X")
        if not pose.joints:
            layout.label(text="Recognised when captured", icon="INFO")
            return
        if not is_mapped(armature):
            layout.label(text="The map is empty: bones are recognised", icon="INFO")
        gone = missing_joints(armature)
        if gone:
            names = ", ".join((*gone[:3], "...") if len(gone) > 3 else gone)
            layout.label(text=iface_("Bones are gone: {names}").format(names=names), icon="ERROR")
        layout.row().prop(pose, "part", expand=True)
        layout.template_list("LUCID_UL_pose_joints", "", pose, "joints", pose, "joint_index", rows=8)
        layout.operator("lucid.pose_set", icon="BONE_DATA")
        if 0 <= pose.joint_index < len(pose.joints):
            joint = pose.joints[pose.joint_index]
            column = layout.column()
            column.use_property_split = True
            column.use_property_decorate = False
            column.prop_search(joint, "bone", armature, "bones")
            column.prop(joint, "end")
            column.prop(joint, "offset")


register, unregister = bpy.utils.register_classes_factory((LUCID_UL_pose_joints, LUCID_PT_pose))
