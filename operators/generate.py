# SPDX-License-Identifier: GPL-3.0-or-later
"""Shot -> take, in the worker's process; Blender stays usable."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..addon import session
from ..addon.jobs import Job, References
from ..addon.shots import active_shot
from ..addon.timeline import source_scene
from ..addon.translation import rpt_
from ..addon.wishes import take_request
from ..inference.errors import LucidError
from ..inference.shot.model import TakeRequest
from ..inference.shot.store import open_shot
from ..inference.shot.takes import get_take
from .common import has_shot, idle, lists_takes, went_well


def begin(operator: bpy.types.Operator, context: bpy.types.Context, folder: Path, request: TakeRequest,
          references: References) -> Job | None:
    """Start a take of the shot in ``folder`` as the interface's job and list it; where there is no window, wait for its end.
    None, and a report, where it failed then. Raises what starting a job does."""
    job = session.start(folder, request, references)
    scene = source_scene(context.scene)
    if active_shot(scene) == folder.resolve():
        context.window_manager.lucid.read_takes(scene.lucid.shot)
    return job if went_well(operator, context, session.mirror, job) else None


class LUCID_OT_generate(bpy.types.Operator):
    """Generate a new take of the captured shot; locked layers stay as the chosen take has them. The worker paints it
    while Blender stays usable; no other take is replaced"""

    bl_idname = "lucid.generate"
    bl_label = "Generate"
    bl_options = {"REGISTER"}   # no UNDO: it only writes files

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return idle(cls) and has_shot(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = source_scene(context.scene)
        folder = active_shot(scene)
        try:
            request, references = take_request(scene, open_shot(folder, verify=False))
            job = begin(self, context, folder, request, references)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if job is None:
            return {"CANCELLED"}
        self.report({"INFO"}, rpt_("Take {number} of {shot}").format(number=job.take.number, shot=folder.name))
        return {"FINISHED"}


class LUCID_OT_resume(bpy.types.Operator):
    """Go on with the chosen take, which was interrupted or cancelled: what is finished stays"""

    bl_idname = "lucid.resume"
    bl_label = "Resume"
    bl_options = {"REGISTER"}   # no UNDO: it only writes files

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not idle(cls) or not lists_takes(cls, context):
            return False
        if not context.window_manager.lucid.chosen.resumable:
            cls.poll_message_set(rpt_("Choose a take that was interrupted or cancelled, or that waits for a worker that is gone"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder, chosen = active_shot(source_scene(context.scene)), context.window_manager.lucid.chosen
        try:
            job = session.resume(folder, get_take(folder, chosen.number))
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not went_well(self, context, session.mirror, job):
            return {"CANCELLED"}
        self.report({"INFO"}, rpt_("Take {number} goes on").format(number=job.take.number))
        return {"FINISHED"}


class LUCID_OT_cancel(bpy.types.Operator):
    """Stop generating at the next step; the unfinished take is kept as cancelled"""

    bl_idname = "lucid.cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}   # no UNDO: it only writes a file

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if not session.running():
            cls.poll_message_set(rpt_("Nothing is being generated"))
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
