# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera, range, size, words, folder and passes of the shot, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from . import estimate
from .capture import default_size
from .capture.sequence import has_shots
from .capture.show import PASS_TEXTS
from .panels import LucidPanel, said
from .shot_presets import LUCID_PT_shot_presets
from .timeline import source_scene
from .translation import iface_


class ShotBlock:
    """Drawn in the sidebar and in the render properties."""

    bl_label = "Shot"

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        LUCID_PT_shot_presets.draw_panel_header(self.layout)

    def draw(self, context: bpy.types.Context) -> None:
        scene = source_scene(context.scene)
        settings, layout = scene.lucid, self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        if scene != context.scene:
            layout.label(text=iface_("Timeline of '{scene}'").format(scene=scene.name), icon="SEQUENCE")
        _draw_words(layout, scene)
        layout.prop(settings, "camera", text=iface_("Camera"), translate=False,     # nor is a name that somebody gave
                    placeholder=scene.camera.name if scene.camera else iface_("No camera"))
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
            row.label(text=iface_("automatic: {size}").format(size=default_size(scene)))
        layout.prop(settings, "output")
        if has_shots(scene):
            layout.operator("lucid.capture_all_shots", icon="MARKER_HLT")


class PassesBlock:
    """What is captured beside the layers."""

    bl_label = "Passes"
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


class LUCID_PT_shot(LucidPanel, ShotBlock, bpy.types.Panel):
    bl_order = 0


class LUCID_PT_passes(LucidPanel, PassesBlock, bpy.types.Panel):
    bl_parent_id = "LUCID_PT_shot"


def _draw_words(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """The prompt, and what the captured shot says of its camera."""
    column = layout.column()
    column.use_property_split = False
    column.prop(scene.lucid, "prompt", text="", placeholder=iface_("What the shot shows"))
    known = estimate.facts(scene)
    if not scene.lucid.shot:
        said(column, iface_("The camera in words: known after Capture"))
    elif known is not None and known.shot is not None and known.shot.camera_words:
        said(column, iface_("Camera: {words}").format(words=known.shot.camera_words))


register, unregister = bpy.utils.register_classes_factory((LUCID_PT_shot, LUCID_PT_passes))
