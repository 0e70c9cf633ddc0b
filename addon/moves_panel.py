# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera moves, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from .capture.camera import camera_at
from .move_settings import AIMED, AMOUNTS, STEADY, MoveProperties
from .panels import LucidPanel
from .translation import iface_


class LUCID_PT_moves(LucidPanel, bpy.types.Panel):
    bl_label = "Camera Moves"
    bl_order = 4
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.lucid.source is None       # a timeline has no camera of its own

    def draw(self, context: bpy.types.Context) -> None:
        scene, layout = context.scene, self.layout
        settings = scene.lucid_moves
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "kind")
        column = layout.column(align=True)
        if settings.kind in AMOUNTS:
            column.prop(settings, AMOUNTS[settings.kind])
        column.prop(settings, "duration")
        if settings.kind not in STEADY:
            layout.prop(settings, "easing")
        if settings.kind in AIMED:
            first = next((actor.target.name for actor in scene.lucid.actors if actor.target is not None), None)
            layout.prop(settings, "target", text=iface_("Target"), translate=False,
                        placeholder=first or iface_("the picture's middle"))
        layout.prop(settings, "after_last")
        if not settings.after_last:
            layout.prop(settings, "frame_start")
        camera = camera_at(scene, scene.frame_current, scene.lucid.camera)
        button = layout.operator("lucid.camera_move", icon="CAMERA_DATA",
                                 text="Add Camera Move" if camera is None else iface_("Move '{name}'").format(name=camera.name))
        for name in MoveProperties.__annotations__:
            setattr(button, name, getattr(settings, name))
        button.target = settings.target.name if settings.target is not None else ""
        if not settings.after_last:
            button.frame_start = settings.frame_start


register, unregister = bpy.utils.register_classes_factory((LUCID_PT_moves,))
