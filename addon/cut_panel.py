# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with the chosen take on the timeline and in the compositor: beside the list of takes, and in the
Sequencer's sidebar with a list of its own."""

from __future__ import annotations

import bpy

from .panels import LucidPanel
from .runtime import LucidTakeRow
from .takes_panel import draw_chosen, draw_list, draw_to_timeline
from .timeline import source_scene


class LUCID_PT_take_cut(LucidPanel, bpy.types.Panel):
    bl_label = "In the Cut"
    bl_parent_id = "LUCID_PT_takes"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        _draw_verbs(self.layout, context.window_manager.lucid.chosen)


class LUCID_PT_sequencer(bpy.types.Panel):
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Lucid"
    bl_label = "Takes"

    def draw(self, context: bpy.types.Context) -> None:
        settings, runtime = source_scene(context.scene).lucid, context.window_manager.lucid
        draw_list(self.layout, context, "sequencer")
        if runtime.takes_of != settings.shot or runtime.chosen is None:
            return
        draw_chosen(self.layout, runtime.chosen)
        row = self.layout.row(align=True)
        draw_to_timeline(row, runtime.chosen)
        row.operator("lucid.take_compare", icon="UV_SYNC_SELECT")
        row.operator("lucid.take_restore", text="", icon="LOOP_BACK")
        _draw_verbs(self.layout, runtime.chosen)


def _draw_verbs(layout: bpy.types.UILayout, chosen: LucidTakeRow | None) -> None:
    """Pale for a take that is not done."""
    column = layout.column(align=True)
    column.active = chosen is not None and chosen.done
    row = column.row(align=True)
    row.operator("lucid.take_show", icon="HIDE_OFF")
    row.operator("lucid.take_replace", icon="FILE_REFRESH")
    column.operator("lucid.compositor_group", icon="NODE_COMPOSITING")


register, unregister = bpy.utils.register_classes_factory((LUCID_PT_take_cut, LUCID_PT_sequencer))
