# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of the shot, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from .panels import LucidPanel
from .timeline import source_scene


class LUCID_UL_actors(bpy.types.UIList):
    def draw_item(self, _context: bpy.types.Context, layout: bpy.types.UILayout, _data: object, item: object,
                  _icon: int, _active_data: object, _active_property: str) -> None:
        target = item.target
        split = layout.split(factor=0.4)
        if target is None:
            split.label(text=item.name, icon="ERROR")
        else:
            split.label(text=target.name, icon="OBJECT_DATA" if item.object else "OUTLINER_COLLECTION")
        split.prop(item, "prompt", text="", emboss=False, placeholder="the shot's prompt")


class LUCID_PT_actors(LucidPanel, bpy.types.Panel):
    bl_label = "Actors"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        settings = source_scene(context.scene).lucid
        row = self.layout.row()
        row.template_list("LUCID_UL_actors", "", settings, "actors", settings, "actor_index", rows=3)
        column = row.column(align=True)
        column.operator("lucid.actor_add", text="", icon="ADD").kind = "OBJECT"
        column.operator("lucid.actor_add", text="", icon="COLLECTION_NEW").kind = "COLLECTION"
        column.operator("lucid.actor_remove", text="", icon="REMOVE")


register, unregister = bpy.utils.register_classes_factory((LUCID_UL_actors, LUCID_PT_actors))
