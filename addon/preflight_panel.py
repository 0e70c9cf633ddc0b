# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last preflight found, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from .panels import LucidPanel, lines_of
from .timeline import source_scene

_ICONS = {"error": "CANCEL", "warning": "ERROR", "info": "INFO"}      # Blender's ERROR is the warning sign
_BUTTON = 32                # characters that a finding's button has room for


class LUCID_PT_preflight(LucidPanel, bpy.types.Panel):
    bl_label = "Preflight"
    bl_order = 5
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        runtime, layout = context.window_manager.lucid, self.layout
        layout.operator("lucid.preflight", icon="VIEWZOOM")
        if runtime.checked != source_scene(context.scene).name:
            return
        if not runtime.findings:
            layout.label(text="No problems found", icon="CHECKMARK")
        column = layout.column(align=True)
        for number, row in enumerate(runtime.findings):
            chosen = number == runtime.finding_index
            line = column.row()
            line.alignment = "LEFT"
            line.operator("lucid.preflight_show", text=row.text, icon=_ICONS[row.severity], emboss=False,
                          depress=chosen).number = number
            if chosen:
                # a line that is too long for the button is told again
                told = (row.text, row.hint) if len(row.text) > _BUTTON else (row.hint,)
                for part in lines_of(*told):
                    column.label(text=part, icon="BLANK1")


register, unregister = bpy.utils.register_classes_factory((LUCID_PT_preflight,))
