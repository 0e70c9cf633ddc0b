# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of the shot, in the "Lucid" tab of the 3D viewport's sidebar."""

from __future__ import annotations

import bpy

from ..inference.shot.takes import State
from ..inference.shot.verdicts import Outcome
from .panels import LucidPanel
from .runtime import LucidRuntime, LucidTakeRow
from .timeline import source_scene

_STATE_ICONS = {State.QUEUED: "TIME", State.RUNNING: "RENDER_ANIMATION", State.DONE: "CHECKMARK", State.CANCELLED: "X",
                State.FAILED: "ERROR", State.INTERRUPTED: "UNLINKED"}


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


register, unregister = bpy.utils.register_classes_factory((LUCID_UL_takes, LUCID_PT_takes))
