# SPDX-License-Identifier: GPL-3.0-or-later
"""Shot -> take, in the worker's process; Blender stays usable."""

from __future__ import annotations

import bpy

from ..addon import session
from ..addon.shots import active_shot, take_request
from ..addon.timeline import source_scene
from ..inference.errors import LucidError
from ..inference.shot.store import open_shot
from ..inference.shot.takes import State, get_take
from .common import went_well


class LUCID_OT_generate(bpy.types.Operator):
    """Generate a new take of the captured shot. It runs in a process of its own and never replaces another take"""

    bl_idname = "lucid.generate"
    bl_label = "Generate"
    bl_options = {"REGISTER"}   # no UNDO: it only writes files

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scene = source_scene(context.scene)
        if session.running():
            cls.poll_message_set("A take is being generated: wait for it, or cancel it")
            return False
        if not scene.lucid.shot:
            cls.poll_message_set("Capture the shot first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = source_scene(context.scene)
        folder = active_shot(scene)
        try:
            job = session.start(folder, take_request(scene, open_shot(folder, verify=False)))
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        context.window_manager.lucid.read_takes(scene.lucid.shot)
        if not went_well(self, context, session.mirror, job):
            return {"CANCELLED"}
        self.report({"INFO"}, f"Take {job.take.number} of {folder.name}")
        return {"FINISHED"}


class LUCID_OT_resume(bpy.types.Operator):
    """Go on with the chosen take, which was interrupted or cancelled: what is finished stays"""

    bl_idname = "lucid.resume"
    bl_label = "Resume"
    bl_options = {"REGISTER"}   # no UNDO: it only writes files

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        runtime = context.window_manager.lucid
        if session.running():
            cls.poll_message_set("A take is being generated: wait for it, or cancel it")
            return False
        rows = runtime.takes[runtime.take_index:runtime.take_index + 1]
        if not any(row.state in (State.INTERRUPTED.name, State.CANCELLED.name) for row in rows):
            cls.poll_message_set("Choose a take that was interrupted or cancelled")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        runtime, folder = context.window_manager.lucid, active_shot(source_scene(context.scene))
        try:
            job = session.resume(folder, get_take(folder, runtime.takes[runtime.take_index].number))
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not went_well(self, context, session.mirror, job):
            return {"CANCELLED"}
        self.report({"INFO"}, f"Take {job.take.number} goes on")
        return {"FINISHED"}


class LUCID_OT_cancel(bpy.types.Operator):
    """Stop generating at the next step; the unfinished take is kept as cancelled"""

    bl_idname = "lucid.cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}   # no UNDO: it only writes a file

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if not session.running():
            cls.poll_message_set("Nothing is being generated")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            session.cancel()
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_generate, LUCID_OT_resume, LUCID_OT_cancel))
