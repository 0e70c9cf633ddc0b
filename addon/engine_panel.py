# SPDX-License-Identifier: GPL-3.0-or-later
"""What a render with the engine Lucid Passes shows, in the render properties."""

from __future__ import annotations

import bpy

from .capture.gbuffer import ENGINE


class LUCID_PT_engine(bpy.types.Panel):
    bl_label = "Lucid Passes"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    COMPAT_ENGINES = {ENGINE}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(context.scene.lucid, "shown_pass")


register, unregister = bpy.utils.register_classes_factory((LUCID_PT_engine,))
