# SPDX-License-Identifier: GPL-3.0-or-later
"""The "Lucid" tab of the 3D viewport's sidebar. Drawing reads mirrored properties only, never the disk."""

from __future__ import annotations

import bpy

from ..inference.shot.takes import State
from ..inference.shot.verdicts import Outcome
from .capture import default_size
from .capture.sequence import has_shots
from .capture.show import PASS_TEXTS
from .settings import LucidRuntime, LucidTakeRow
from .timeline import source_scene

_STATE_ICONS = {State.QUEUED: "TIME", State.RUNNING: "RENDER_ANIMATION", State.DONE: "CHECKMARK", State.CANCELLED: "X",
                State.FAILED: "ERROR", State.INTERRUPTED: "UNLINKED"}


class LucidPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Lucid"


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
            _wrapped(layout, runtime.error)


class LUCID_UL_takes(bpy.types.UIList):
    def draw_item(self, _context: bpy.types.Context, layout: bpy.types.UILayout, _data: object, item: object,
                  _icon: int, _active_data: object, _active_property: str) -> None:
        split = layout.split(factor=0.5)
        split.label(text=f"{item.number}  {item.verdict or State[item.state].value}", icon=_icon_of(item))
        split.label(text=item.text)


class LUCID_PT_takes(LucidPanel, bpy.types.Panel):
    bl_label = "Takes"
    bl_order = 5

    def draw(self, context: bpy.types.Context) -> None:
        settings, runtime = source_scene(context.scene).lucid, context.window_manager.lucid
        layout = self.layout
        layout.prop(settings, "shot", text="")
        row = layout.row()
        if runtime.takes_of == settings.shot:
            row.template_list("LUCID_UL_takes", "", runtime, "takes", runtime, "take_index", rows=3)
        else:
            row.label(text="Another scene's takes: refresh" if settings.shot else "No shot is captured yet")
        column = row.column(align=True)
        column.operator("lucid.takes_refresh", text="", icon="FILE_REFRESH")
        column.operator("lucid.open_folder", text="", icon="FILE_FOLDER")
        layout.operator("lucid.import_take", text="Import to Timeline", icon="SEQUENCE")
        chosen = runtime.takes[runtime.take_index:runtime.take_index + 1] if runtime.takes_of == settings.shot else []
        if any(row.state in (State.INTERRUPTED.name, State.CANCELLED.name) for row in chosen):
            layout.operator("lucid.resume", icon="PLAY")
        self._draw_verdict(layout, runtime)
        if any(row.heat for row in chosen):
            layout.operator("lucid.import_take", text="Import with Heat Maps", icon="SHADING_RENDERED").heat = True


    @staticmethod
    def _draw_verdict(layout: bpy.types.UILayout, runtime: LucidRuntime) -> None:
        row = layout.row(align=True)
        if runtime.measuring:
            row.progress(factor=runtime.measured, text=f"measured {runtime.measured:.0%}")
            row.operator("lucid.measure_cancel", text="", icon="X")
            return
        row.operator("lucid.measure", icon="DRIVER_DISTANCE")
        row.operator("lucid.report_open", text="Report", icon="URL")


def _icon_of(item: LucidTakeRow) -> str:
    """Of what the verdict says, else of the take's state."""
    if item.verdict.startswith(Outcome.FAIL.value):
        return "ERROR"
    return "CHECKMARK" if item.verdict.startswith(Outcome.PASS.value) else _STATE_ICONS[State[item.state]]


def _left(seconds: float) -> str:
    if seconds < 0.0:
        return ""
    return f", {seconds / 60.0:.0f} min left" if seconds >= 90.0 else f", {seconds:.0f} s left"


def _wrapped(layout: bpy.types.UILayout, text: str, width: int = 38) -> None:
    """Labels do not wrap by themselves."""
    import textwrap

    column = layout.column(align=True)
    column.alert = True
    for number, line in enumerate(textwrap.wrap(text, width)):
        column.label(text=line, icon="ERROR" if number == 0 else "BLANK1")


register, unregister = bpy.utils.register_classes_factory(
    (LUCID_UL_actors, LUCID_UL_takes, LUCID_PT_shot, LUCID_PT_passes, LUCID_PT_actors, LUCID_PT_generate, LUCID_PT_takes))
