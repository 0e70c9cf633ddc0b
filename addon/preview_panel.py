# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview's switches, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from . import preview
from .panels import LucidPanel, wrapped
from .preview_picture import WITH_DEPTH
from .translation import iface_

_NAMED = 3                  # so many names are told, the others counted


class LUCID_PT_preview(LucidPanel, bpy.types.Panel):
    bl_label = "Preview"
    bl_order = 2
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout, on = context.scene.lucid_preview, self.layout, preview.running()
        layout.operator("lucid.preview", icon="HIDE_OFF" if on else "HIDE_ON", depress=on)
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column()
        column.prop(settings, "control")
        column.prop(settings, "skeletons")
        row = column.row()
        row.active = settings.control in WITH_DEPTH
        row.prop(settings, "use_shot_range")
        column.prop(settings, "opacity", slider=True)
        column.prop(settings, "side")
        if on:
            for text, icon in _notices(context):
                wrapped(layout, text, icon=icon, alert=False)


def _notices(context: bpy.types.Context) -> list[tuple[str, str]]:
    """What keeps the preview from being the whole truth: text and icon."""
    settings, found = context.scene.lucid_preview, []
    if not preview.looks_through_camera(context):
        found.append((iface_("Look through the camera to see it"), "CAMERA_DATA"))
    if text := preview.error():
        found.append((text, "ERROR"))
    if (settings.skeletons or settings.control in {"pose", "composed"}) and not context.scene.lucid.actors:
        found.append((iface_("Skeletons are those of actors: the list has none"), "INFO"))
    if names := preview.missed():
        text = iface_("Rendered, but hidden in the viewport and so not shown: {names} and {count} more") \
            if len(names) > _NAMED else iface_("Rendered, but hidden in the viewport and so not shown: {names}")
        found.append((text.format(names=", ".join(names[:_NAMED]), count=len(names) - _NAMED), "INFO"))
    if count := len(preview.inexact()):
        text = iface_("1 object is not shown as it is captured: hair, points, strokes or displacement") if count == 1 else \
            iface_("{count} objects are not shown as they are captured: hair, points, strokes or displacement")
        found.append((text.format(count=count), "INFO"))
    return found


register, unregister = bpy.utils.register_classes_factory((LUCID_PT_preview,))
