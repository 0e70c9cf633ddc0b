# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture, generate, and how far that is, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from .panels import LucidPanel, wrapped
from .timeline import source_scene


class LUCID_PT_generate(LucidPanel, bpy.types.Panel):
    bl_label = "Capture and Generate"
    bl_order = 4

    def draw(self, context: bpy.types.Context) -> None:
        settings, runtime = source_scene(context.scene).lucid, context.window_manager.lucid
        layout = self.layout
        column = layout.column()
        column.prop(settings, "prompt", text="", placeholder="What the shot shows")
        column.prop(settings, "environment_prompt", text="", placeholder="Environment: the shot's prompt")
        split = layout.column()
        split.use_property_split = True
        split.use_property_decorate = False
        split.prop(settings, "weights")
        column = split.column(align=True)
        column.prop(settings, "seed")
        column.prop(settings, "steps")
        column = layout.column(align=True)
        column.scale_y = 1.4
        column.operator("lucid.capture", icon="OUTLINER_DATA_CAMERA")
        if not runtime.running:
            column.operator("lucid.generate", icon="RENDER_ANIMATION")
        else:
            row = column.row(align=True)
            row.progress(factor=runtime.progress, text=f"{runtime.progress:.0%}{_left(runtime.seconds_left)}")
            row.operator("lucid.cancel", text="", icon="X")
            layout.label(text=runtime.text)
        if runtime.error:
            wrapped(layout, runtime.error)


def _left(seconds: float) -> str:
    if seconds < 0.0:
        return ""
    return f", {seconds / 60.0:.0f} min left" if seconds >= 90.0 else f", {seconds:.0f} s left"


register, unregister = bpy.utils.register_classes_factory((LUCID_PT_generate,))
