# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on the disk: read the list again, mark favourites, delete, look at the files."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..addon import measuring
from ..addon.shots import active_shot
from ..addon.strips import remove_strips, strips_showing
from ..addon.timeline import source_scene
from ..addon.translation import iface_, rpt_
from ..inference.errors import LucidError
from ..inference.shot.discard import check_deletable, delete_take, weigh
from ..inference.shot.takes import State, Take, get_take
from .common import OfTake, has_shot, lists_takes, take_number


class LUCID_OT_takes_refresh(bpy.types.Operator):
    """Read the takes of the shot from the disk again"""

    bl_idname = "lucid.takes_refresh"
    bl_label = "Refresh Takes"
    bl_options = {"REGISTER"}   # no UNDO: it only reads files

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_shot(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.lucid.read_takes(source_scene(context.scene).lucid.shot)
        return {"FINISHED"}


class LUCID_OT_open_folder(bpy.types.Operator):
    """Show the shot's folder in the file browser of the system"""

    bl_idname = "lucid.open_folder"
    bl_label = "Open Folder"
    bl_options = {"REGISTER"}   # no UNDO: nothing changes

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_shot(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = active_shot(source_scene(context.scene))
        try:
            bpy.ops.wm.path_open(filepath=str(folder))
        except RuntimeError:
            self.report({"ERROR"}, rpt_("{folder} cannot be shown: it is gone, or the system has no file browser").format(
                folder=folder))
            return {"CANCELLED"}
        return {"FINISHED"}


class LUCID_OT_take_favourite(OfTake, bpy.types.Operator):
    """Mark the take as one to keep, or take the mark away. A favourite cannot be deleted"""

    bl_idname = "lucid.take_favourite"
    bl_label = "Favourite"
    bl_options = {"REGISTER"}   # no UNDO: the mark is a file beside the take

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return lists_takes(cls, context)

    def act(self, context: bpy.types.Context, folder: Path, number: int) -> str:
        take, runtime = get_take(folder, number), context.window_manager.lucid
        favourite = not take.favourite
        take.mark(favourite=favourite)
        if (row := runtime.row(take)) is not None:
            row.favourite = favourite
        told = rpt_("Take {number} is a favourite") if favourite else rpt_("Take {number} is no favourite any more")
        return told.format(number=number)


class LUCID_OT_take_delete(OfTake, bpy.types.Operator):
    """Delete the take's files for good, and the strips that show it"""

    bl_idname = "lucid.take_delete"
    bl_label = "Delete Take"
    bl_options = {"REGISTER", "UNDO"}   # UNDO: strips are removed; the files do not come back

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return lists_takes(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.number = take_number(self, context)
        try:
            take = _deletable(context, active_shot(source_scene(context.scene)), self.number)
            what = _what_goes(take)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        title = iface_("Delete take {number}?").format(number=self.number)
        return context.window_manager.invoke_confirm(self, event, title=title, message=what, confirm_text=iface_("Delete"),
                                                     icon="WARNING")

    def act(self, context: bpy.types.Context, folder: Path, number: int) -> str:
        take, runtime = _deletable(context, folder, number), context.window_manager.lucid
        shown = [row.number for row in runtime.takes]
        after = next((other for other in shown if other > number), max((n for n in shown if n < number), default=None))
        went = delete_take(folder, number)
        strips = remove_strips(take)
        runtime.read_takes(runtime.takes_of, choose=after)
        told = (rpt_("Take {number} is deleted: {files}") if not strips else
                rpt_("Take {number} is deleted: {files}, {count} strip") if strips == 1 else
                rpt_("Take {number} is deleted: {files}, {count} strips"))
        return told.format(number=number, files=went, count=strips)


def _deletable(context: bpy.types.Context, folder: Path, number: int) -> Take:
    """Also not one that this Blender has in hand. Raises what :func:`check_deletable` does."""
    take, runtime = check_deletable(folder, number), context.window_manager.lucid
    measured = measuring.running()
    if measured is not None and measured.take.folder == take.folder:
        raise LucidError("TAKE_RUNNING", f"take {number} is being measured", "wait for it, or cancel it")
    if runtime.running and take.state() is State.QUEUED:
        raise LucidError("TAKE_RUNNING", f"take {number} waits for the worker", "wait for it, or cancel it")
    return take


def _what_goes(take: Take) -> str:
    strips = len(strips_showing(take))
    told = iface_("{files} are removed from the disk, which cannot be undone.").format(files=weigh(take))
    if not strips:
        return told
    also = iface_("{count} strip that shows it goes too.") if strips == 1 else iface_("{count} strips that show it go too.")
    return f"{told} {also.format(count=strips)}"


register, unregister = bpy.utils.register_classes_factory(
    (LUCID_OT_takes_refresh, LUCID_OT_open_folder, LUCID_OT_take_favourite, LUCID_OT_take_delete))
