# SPDX-License-Identifier: GPL-3.0-or-later
"""Take -> verdict, in the worker's process; Blender stays usable."""

from __future__ import annotations

import bpy
from bpy.props import IntProperty

from ..addon import measuring
from ..addon.shots import active_shot
from ..addon.timeline import source_scene
from ..addon.translation import rpt_
from ..inference.errors import LucidError
from ..inference.shot.takes import State, get_take
from .common import went_well


def _chosen(context: bpy.types.Context) -> bpy.types.PropertyGroup | None:
    """The row that is chosen in the list of takes, when that shows this scene's shot."""
    runtime = context.window_manager.lucid
    if not runtime.takes_of or runtime.takes_of != source_scene(context.scene).lucid.shot:
        return None
    return next(iter(runtime.takes[runtime.take_index:runtime.take_index + 1]), None)


class LUCID_OT_measure(bpy.types.Operator):
    """Hold the take against the scene: motion, camera, outlines, colours, physics. It runs in a process of its own"""

    bl_idname = "lucid.measure"
    bl_label = "Measure"
    bl_options = {"REGISTER"}   # no UNDO: it only writes files

    number: IntProperty(name="Take", default=0, min=0, description="Which take; 0: the one chosen in the list",
                        options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        row = _chosen(context)
        if measuring.running() is not None:
            cls.poll_message_set(rpt_("A take is being measured: wait for it, or cancel it"))
            return False
        if row is None or row.state != State.DONE.name:
            cls.poll_message_set(rpt_("Choose a take that is done"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = active_shot(source_scene(context.scene))
        try:
            item = measuring.start(folder, get_take(folder, self.number or _chosen(context).number))
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not went_well(self, context, measuring.mirror, item):
            return {"CANCELLED"}
        self.report({"INFO"}, rpt_("Measuring take {number} of {shot}").format(number=item.take.number, shot=folder.name))
        return {"FINISHED"}


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
        row = _chosen(context)
        if row is None or not row.verdict:
            cls.poll_message_set(rpt_("Choose a take that was measured"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = active_shot(source_scene(context.scene))
        try:
            report = get_take(folder, _chosen(context).number).folder / measuring.REPORT
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not report.is_file():
            self.report({"ERROR"}, rpt_("{path} is not there: measure the take again").format(path=report))
            return {"CANCELLED"}
        bpy.ops.wm.url_open(url=report.resolve().as_uri())
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_measure, LUCID_OT_measure_cancel, LUCID_OT_report_open))
