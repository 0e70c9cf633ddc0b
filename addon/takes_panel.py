# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of the shot, in the "Lucid" tab of the 3D viewport's sidebar; what it draws, the Sequencer's sidebar shows too."""

from __future__ import annotations

import textwrap

import bpy

from ..inference.shot.takes import State
from ..inference.shot.verdicts import Outcome
from . import thumbnails
from .panels import LucidPanel, lines_of, wrapped
from .runtime import LucidRuntime, LucidTakeRow
from .timeline import source_scene
from .translation import iface_

_STATE_ICONS = {State.QUEUED: "TIME", State.RUNNING: "RENDER_ANIMATION", State.DONE: "CHECKMARK", State.CANCELLED: "X",
                State.FAILED: "ERROR", State.INTERRUPTED: "UNLINKED"}
_PICTURE = 7.0          # the large picture's height, in rows
_WIDE = 350             # a sidebar with room for a take's seed and prompt in its row, in pixels
_LINE = 42              # characters that a line of the sidebar has room for


class LUCID_UL_takes(bpy.types.UIList):
    def draw_item(self, context: bpy.types.Context, layout: bpy.types.UILayout, data: object, item: object,
                  _icon: int, _active_data: object, _active_property: str) -> None:
        picture, said = thumbnails.icon(item.picture), item.verdict or (iface_(State[item.state].value) if item.read else "")
        row = layout.row(align=True)
        number = row.row(align=True)
        number.ui_units_x = 2.5
        number.label(text=str(item.number), **({"icon_value": picture} if picture else {"icon": "IMAGE_DATA"}))
        row.label(text=said, icon=_icon_of(item))
        if context.region.width > _WIDE * context.preferences.system.ui_scale:
            row.label(text=item.text)
        if item.number in (data.compare_a, data.compare_b):
            letter = row.row(align=True)
            letter.ui_units_x = 0.8
            letter.label(text="A" if item.number == data.compare_a else "B")
        row.operator("lucid.take_favourite", text="", icon="SOLO_ON" if item.favourite else "SOLO_OFF",
                     emboss=False).number = item.number


class LUCID_PT_takes(LucidPanel, bpy.types.Panel):
    bl_label = "Takes"
    bl_order = 7

    def draw(self, context: bpy.types.Context) -> None:
        settings, runtime = source_scene(context.scene).lucid, context.window_manager.lucid
        layout = self.layout
        layout.prop(settings, "shot", text="", placeholder=iface_("No shot is captured yet"))
        draw_list(layout, context, "")
        if runtime.takes_of != settings.shot or runtime.chosen is None:
            return
        draw_chosen(layout, runtime.chosen)
        row = layout.row(align=True)
        draw_to_timeline(row, runtime.chosen)
        row.operator("lucid.take_compare", icon="UV_SYNC_SELECT")
        row.operator("lucid.take_restore", text="", icon="LOOP_BACK")
        row.operator("lucid.take_delete", text="", icon="TRASH")
        if runtime.chosen.resumable:
            layout.operator("lucid.resume", icon="PLAY")
        _draw_verdict(layout, runtime)


def draw_list(layout: bpy.types.UILayout, context: bpy.types.Context, name: str) -> None:
    """The list of takes and what is beside it; ``name`` tells two lists from each other."""
    settings, runtime = source_scene(context.scene).lucid, context.window_manager.lucid
    row = layout.row()
    if settings.shot and runtime.takes_of == settings.shot:
        row.template_list("LUCID_UL_takes", name, runtime, "takes", runtime, "take_index", rows=3)
    else:
        row.label(text="Another scene's takes: refresh" if settings.shot else "No shot is captured yet")
    column = row.column(align=True)
    column.operator("lucid.takes_refresh", text="", icon="FILE_REFRESH")
    column.operator("lucid.open_folder", text="", icon="FILE_FOLDER")
    if settings.shot and runtime.takes_of == settings.shot and not runtime.takes:
        layout.label(text="No take yet: press Generate", icon="INFO")


def draw_to_timeline(layout: bpy.types.UILayout, chosen: LucidTakeRow) -> None:
    """The button, pale for a take that is not done."""
    place = layout.row(align=True)
    place.active = chosen.done
    place.operator("lucid.import_take", icon="SEQUENCE")


def draw_chosen(layout: bpy.types.UILayout, row: LucidTakeRow) -> None:
    """The take's picture, and under it what it was to show, how it was made and what became of it."""
    box = layout.box().column(align=True)
    if picture := thumbnails.icon(row.picture):
        box.template_icon(picture, scale=_PICTURE)
    for line in textwrap.wrap(row.prompt, _LINE, max_lines=3, placeholder=" ..."):
        box.label(text=line)
    small = box.column(align=True)
    small.active = False
    for line in lines_of(row.details, row.origin, width=_LINE):
        small.label(text=line)
    if row.verdict:
        box.label(text=row.verdict, icon=_icon_of(row))
    if row.error:
        wrapped(box, row.error)


def _draw_verdict(layout: bpy.types.UILayout, runtime: LucidRuntime) -> None:
    row = layout.row(align=True)
    if runtime.measuring:
        row.progress(factor=runtime.measured, text=iface_("measured {part:.0%}").format(part=runtime.measured))
        row.operator("lucid.measure_cancel", text="", icon="X")
        return
    button = row.row(align=True)
    button.active = runtime.chosen.done
    button.operator("lucid.measure", icon="DRIVER_DISTANCE")
    row.operator("lucid.report_open", text="Report", icon="URL")
    if runtime.chosen.heat:
        row.operator("lucid.import_take", text="", icon="SHADING_RENDERED").heat = True


def _icon_of(item: LucidTakeRow) -> str:
    """Of what the verdict says, else of the take's state."""
    if item.verdict.startswith(Outcome.FAIL.value):
        return "ERROR"
    if item.verdict.startswith(Outcome.PASS.value):
        return "CHECKMARK"
    return _STATE_ICONS[State[item.state]] if item.read else "BLANK1"


register, unregister = bpy.utils.register_classes_factory((LUCID_UL_takes, LUCID_PT_takes))
