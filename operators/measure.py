# SPDX-License-Identifier: GPL-3.0-or-later
"""Take -> verdict, in the worker's process; Blender stays usable."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..addon import measuring
from ..addon.shots import active_shot
from ..addon.timeline import source_scene
from ..addon.translation import rpt_
from ..inference.errors import LucidError
from ..inference.shot.takes import get_take
from .common import OfTake, chooses_take, lists_takes, went_well


class LUCID_OT_measure(OfTake, bpy.types.Operator):
    """Hold the take against the scene: motion, camera, outlines, colours, physics. It runs in a process of its own"""

    bl_idname = "lucid.measure"
    bl_label = "Measure"
    bl_options = {"REGISTER"}   # no UNDO: it only writes files

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if measuring.running() is not None:
            cls.poll_message_set(rpt_("A take is being measured: wait for it, or cancel it"))
            return False
        return chooses_take(cls, context)       # which of them, a poll cannot know

    def act(self, context: bpy.types.Context, folder: Path, number: int) -> str | None:
        item = measuring.start(folder, get_take(folder, number))
        if not went_well(self, context, measuring.mirror, item):
            return None
        return rpt_("Measuring take {number} of {shot}").format(number=number, shot=folder.name)


class LUCID_OT_measure_cancel(bpy.types.Operator):
    """Stop measuring; an earlier verdict of the take stays"""

    bl_idname = "lucid.measure_cancel"
    bl_label = "Cancel Measuring"
    bl_options = {"REGISTER"}   # no UNDO: it only stops a process

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if measuring.running() is None:
            cls.poll_message_set(rpt_("Nothing is being measured"))
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        measuring.cancel()
        return {"FINISHED"}


class LUCID_OT_report_open(bpy.types.Operator):
    """Open the take's report in the browser: what fails, where, and what may mend it"""

    bl_idname = "lucid.report_open"
    bl_label = "Open Report"
    bl_options = {"REGISTER"}   # no UNDO: nothing changes

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not lists_takes(cls, context):
            return False
        if not context.window_manager.lucid.chosen.verdict:
            cls.poll_message_set(rpt_("Choose a take that was measured"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = active_shot(source_scene(context.scene))
        try:
            report = get_take(folder, context.window_manager.lucid.chosen.number).folder / measuring.REPORT
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not report.is_file():
            self.report({"ERROR"}, rpt_("{path} is not there: measure the take again").format(path=report))
            return {"CANCELLED"}
        bpy.ops.wm.url_open(url=report.resolve().as_uri())
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_measure, LUCID_OT_measure_cancel, LUCID_OT_report_open))
