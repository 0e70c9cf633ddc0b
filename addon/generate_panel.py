# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture, generate, how long that takes and how far it is, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from . import estimate
from .panels import LucidPanel, said, wrapped
from .runtime import LucidRuntime
from .timeline import source_scene
from .translation import iface_


class GenerateBlock:
    """Drawn in the sidebar and in the render properties."""

    bl_label = "Capture and Generate"

    def draw(self, context: bpy.types.Context) -> None:
        scene, runtime = source_scene(context.scene), context.window_manager.lucid
        chosen = runtime.chosen if runtime.takes_of == scene.lucid.shot else None
        layout = self.layout
        column = layout.column(align=True)
        column.scale_y = 1.4
        column.operator("lucid.capture", icon="OUTLINER_DATA_CAMERA")
        if not runtime.running:
            column.operator("lucid.generate", icon="RENDER_ANIMATION")
        else:
            draw_progress(column, runtime)
        if runtime.error:
            wrapped(layout, runtime.error)
            if chosen is not None and chosen.resumable:
                layout.operator("lucid.resume", icon="PLAY")
        if notice := context.window_manager.lucid_worker.notice:
            said(layout, notice)
            if chosen is not None and chosen.done:
                layout.operator("lucid.import_take", icon="SEQUENCE")
        known = estimate.facts(scene)
        if known is not None and not known.worker:
            said(layout, iface_("The worker, which paints, is not set up on this machine"))
            layout.operator("lucid.preferences_open", icon="PREFERENCES")
        lines, warning = estimate.lines(scene)
        said(layout, *lines)
        if warning:
            wrapped(layout, warning)
        layout.prop(scene.lucid, "show_windows")


class ModelBlock:
    """What takes are painted with, below the buttons."""

    bl_label = "Model"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = source_scene(context.scene).lucid, self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "weights")
        column = layout.column(align=True)
        column.prop(settings, "seed")
        column.prop(settings, "steps")
        layout.prop(settings, "noise")
        column = layout.column(align=True)
        column.prop(settings, "stickiness")
        column.prop(settings, "pull")


class LUCID_PT_generate(LucidPanel, GenerateBlock, bpy.types.Panel):
    bl_order = 6


class LUCID_PT_model(LucidPanel, ModelBlock, bpy.types.Panel):
    bl_parent_id = "LUCID_PT_generate"


def draw_progress(layout: bpy.types.UILayout, runtime: LucidRuntime) -> None:
    """How far the take is that is being made, and the button that stops it; nothing where there is none."""
    if not runtime.running:
        return
    column = layout.column(align=True)
    row = column.row(align=True)
    row.progress(factor=runtime.progress, text=f"{runtime.progress:.0%}{_left(runtime.seconds_left)}")
    row.operator("lucid.cancel", text="", icon="X")
    column.label(text=runtime.text)


def _left(seconds: float) -> str:
    if seconds < 0.0:
        return ""
    if seconds >= 90.0:
        return iface_(", {minutes:.0f} min left").format(minutes=seconds / 60.0)
    return iface_(", {seconds:.0f} s left").format(seconds=seconds)


register, unregister = bpy.utils.register_classes_factory((LUCID_PT_generate, LUCID_PT_model))
