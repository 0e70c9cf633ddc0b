# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on the disk: read the list again, mark favourites, delete, look at the files."""

from __future__ import annotations

import threading
from pathlib import Path

import bpy

from ..addon import measuring
from ..addon.compositor import remove_groups
from ..addon.redraw import tick
from ..addon.shots import active_shot
from ..addon.strips import remove_strips, strips_showing
from ..addon.timeline import source_scene
from ..addon.translation import iface_, rpt_
from ..inference.errors import LucidError
from ..inference.shot.discard import check_deletable, set_aside, sweep
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
    """Delete the take's files for good, and the strips and nodes that show it"""

    bl_idname = "lucid.take_delete"
    bl_label = "Delete Take"
    # UNDO: strips are removed; the files do not come back. No REGISTER: another number in the redo panel would delete another
    # take, and nobody would be asked
    bl_options = {"UNDO", "INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return lists_takes(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.number = take_number(self, context)
        try:
            take = check_deletable(active_shot(source_scene(context.scene)), self.number)
            _check_not_in_hand(context, take)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        title = iface_("Delete take {number}?").format(number=self.number)
        return context.window_manager.invoke_confirm(self, event, title=title, message=_what_goes(context, take),
                                                     confirm_text=iface_("Delete"), icon="WARNING")

    def act(self, context: bpy.types.Context, folder: Path, number: int) -> str:
        take, runtime = get_take(folder, number), context.window_manager.lucid
        _check_not_in_hand(context, take)
        shown = [row.number for row in runtime.takes]
        after = next((other for other in shown if other > number), max((n for n in shown if n < number), default=None))
        sweeping = Sweeping(number, set_aside(folder, number))
        strips = remove_strips(take)
        remove_groups(take)
        runtime.read_takes(runtime.takes_of, choose=after)
        if bpy.app.background:      # without a window no timer would look after it
            sweeping.wait()
            if told := sweeping.warning():
                self.report({"WARNING"}, told)
        else:
            _sweepings.append(sweeping)
            if not bpy.app.timers.is_registered(_tick):
                bpy.app.timers.register(_tick, persistent=True)
        told = (rpt_("Take {number} is deleted") if not strips else
                rpt_("Take {number} is deleted, and {count} strip") if strips == 1 else
                rpt_("Take {number} is deleted, and {count} strips"))
        return told.format(number=number, count=strips)


class Sweeping:
    """A thread that removes what a deletion has set aside. Where Blender ends before, the next deletion goes on with it."""

    def __init__(self, number: int, aside: Path) -> None:
        self._number, self._aside = number, aside
        self._stayed: tuple[Path, ...] = ()
        self._thread = threading.Thread(target=self._work, name="lucid-sweep", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def wait(self) -> None:
        self._thread.join()

    def warning(self) -> str:
        """Once it is over: what could not be removed; "" where nothing stayed."""
        if not self._stayed:
            return ""
        return rpt_("Take {number} is deleted, but some of its files could not be removed: {path}").format(
            number=self._number, path=self._stayed[0])

    def _work(self) -> None:
        self._stayed = sweep(self._aside).stayed


_sweepings: list[Sweeping] = []


def _look_after_sweepings() -> bool:
    for sweeping in [sweeping for sweeping in _sweepings if sweeping.over]:
        _sweepings.remove(sweeping)
        if told := sweeping.warning():          # the operator's own report was given long ago
            bpy.context.window_manager.lucid_worker.notice = told
    return bool(_sweepings)


def _tick() -> float | None:
    return tick(_look_after_sweepings)


def _check_not_in_hand(context: bpy.types.Context, take: Take) -> None:
    """Not a take that this Blender has in hand. Raises TAKE_RUNNING, TAKE_INVALID."""
    measured = measuring.running()
    if measured is not None and measured.take.folder == take.folder:
        raise LucidError("TAKE_RUNNING", f"take {take.number} is being measured", "wait for it, or cancel it")
    if context.window_manager.lucid.running and take.state() is State.QUEUED:
        raise LucidError("TAKE_RUNNING", f"take {take.number} waits for the worker", "wait for it, or cancel it")


def _what_goes(context: bpy.types.Context, take: Take) -> str:
    """As far as the list knows: a look at each of its files would keep the dialog waiting."""
    row, strips = context.window_manager.lucid.row(take), len(strips_showing(take))
    frames = row.frames if row is not None else 0
    told = (iface_("Its {count} frame and all its other files are removed from the disk, which cannot be undone.") if frames == 1
            else iface_("Its {count} frames and all its other files are removed from the disk, which cannot be undone.") if frames
            else iface_("All its files are removed from the disk, which cannot be undone.")).format(count=frames)
    if not strips:
        return told
    also = iface_("{count} strip that shows it goes too.") if strips == 1 else iface_("{count} strips that show it go too.")
    return f"{told} {also.format(count=strips)}"


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (LUCID_OT_takes_refresh, LUCID_OT_open_folder, LUCID_OT_take_favourite, LUCID_OT_take_delete))


def register() -> None:
    _register_classes()


def unregister() -> None:
    """The threads go on by themselves."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _sweepings.clear()
    _unregister_classes()
