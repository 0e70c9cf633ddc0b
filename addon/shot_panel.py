# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera, range, size, folder and passes of the shot, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from .capture import default_size
from .capture.sequence import has_shots
from .capture.show import PASS_TEXTS
from .panels import LucidPanel
from .timeline import source_scene


class LUCID_PT_shot(LucidPanel, bpy.types.Panel):
    bl_label = "Shot"
    bl_order = 0

    def draw(self, context: bpy.types.Context) -> None:
        scene = source_scene(context.scene)
        settings, layout = scene.lucid, self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        if scene != context.scene:
            layout.label(text=f"Timeline of '{scene.name}'", icon="SEQUENCE")
        layout.prop(settings, "camera", placeholder=scene.camera.name if scene.camera else "No camera")
        layout.prop(settings, "use_scene_range")
        column = layout.column(align=True)
        if settings.use_scene_range:
            column.active = False
            column.prop(scene, "frame_start", text="Frame Start")
            column.prop(scene, "frame_end", text="End")
            column.prop(scene, "frame_step", text="Step")
        else:
            column.prop(settings, "frame_start", text="Frame Start")
            column.prop(settings, "frame_end")
            column.prop(settings, "frame_step")
        layout.prop(settings, "use_size")
        if settings.use_size:
            column = layout.column(align=True)
            column.prop(settings, "width")
            column.prop(settings, "height")
        else:
            row = layout.row()
            row.active = False
            row.alignment = "RIGHT"
            row.label(text=f"automatic: {default_size(scene)}")
        layout.prop(settings, "output")
        if has_shots(scene):
            layout.operator("lucid.capture_all_shots", icon="MARKER_HLT")


class LUCID_PT_passes(LucidPanel, bpy.types.Panel):
    bl_label = "Passes"
    bl_parent_id = "LUCID_PT_shot"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = source_scene(context.scene).lucid, self.layout
        column = layout.column(align=True)
        for name in PASS_TEXTS:         # expanded as one property, a click would switch all the others off
            column.prop_enum(settings, "passes", name)
        row = layout.row()
        row.use_property_split = True
        row.use_property_decorate = False
        row.active = bool({"beauty", "shadow"} & settings.passes)
        row.prop(settings, "samples")


register, unregister = bpy.utils.register_classes_factory((LUCID_PT_shot, LUCID_PT_passes))
