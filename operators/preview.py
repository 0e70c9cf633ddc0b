# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls over the camera view, on and off."""

from __future__ import annotations

import bpy

from ..addon import preview
from ..addon.translation import rpt_


class LUCID_OT_preview(bpy.types.Operator):
    """Show the chosen control live over the camera view of every 3D viewport, as the capture draws it"""

    bl_idname = "lucid.preview"
    bl_label = "Preview Controls"
    bl_options = {"REGISTER"}   # no UNDO: nothing in the file changes

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if preview.running():       # it can always be switched off
            return True
        if context.scene is None or context.scene.camera is None:
            cls.poll_message_set(rpt_("The scene has no camera to look through: add one and make it active"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        if preview.running():
            preview.stop()
            return {"FINISHED"}
        preview.start()
        if not preview.looks_through_camera(context):
            self.report({"INFO"}, "Look through the camera to see the preview")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_preview,))
