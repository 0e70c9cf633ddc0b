# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the shot before capturing it, and go to what was found."""

from __future__ import annotations

import bpy
from bpy.props import IntProperty

from ..addon.capture.preflight import Finding, check_shot
from ..addon.shots import capture_spec
from ..addon.timeline import source_scene
from ..addon.translation import rpt_, tip_
from ..inference.errors import LucidError


class LUCID_OT_preflight(bpy.types.Operator):
    """Look at a few frames of the shot and say what would go wrong in it"""

    bl_idname = "lucid.preflight"
    bl_label = "Check the Shot"
    bl_options = {"REGISTER"}   # no UNDO: the scene stays as it is

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, runtime = source_scene(context.scene), context.window_manager.lucid
        try:
            findings = check_shot(scene, capture_spec(scene))
        except LucidError as error:     # the settings themselves describe no shot
            findings = [Finding.of(error)]
        runtime.show_findings(scene.name, findings)
        count = len(findings)
        told = rpt_("{count} finding") if count == 1 else rpt_("{count} findings") if count else rpt_("No problems found")
        self.report({"INFO"}, told.format(count=count))
        return {"FINISHED"}


class LUCID_OT_preflight_show(bpy.types.Operator):
    """Show what to do, select the object and go to the frame"""

    bl_idname = "lucid.preflight_show"
    bl_label = "Show Finding"
    bl_options = {"REGISTER", "UNDO"}   # the selection changes

    number: IntProperty(name="Finding", default=0, min=0, options={"SKIP_SAVE"},
                        description="Which finding, counted from 0")

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        findings = context.window_manager.lucid.findings
        if properties.number >= len(findings):
            return tip_("Show what to do, select the object and go to the frame")
        row = findings[properties.number]
        return f"{row.text}.\n{row.hint}"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not context.window_manager.lucid.findings:
            cls.poll_message_set(rpt_("Check the shot first"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        runtime = context.window_manager.lucid
        runtime.finding_index = min(self.number, len(runtime.findings) - 1)
        row = runtime.findings[runtime.finding_index]
        found = context.view_layer.objects.get(row.object)
        if found is not None and found.visible_get():
            for item in context.selected_objects:
                item.select_set(False)
            found.select_set(True)
            context.view_layer.objects.active = found
        if row.has_frame and context.scene.name == runtime.checked:
            context.scene.frame_set(row.frame)
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_preflight, LUCID_OT_preflight_show))
