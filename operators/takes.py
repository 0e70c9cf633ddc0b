# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes: read the list again, put one on the timeline, show it there or put it in another's place, look at the files."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, IntProperty

from ..addon.cut import cut_of, is_cut, replace_take, replaceable, show_take
from ..addon.shots import active_shot
from ..addon.timeline import import_take, source_scene
from ..inference.errors import LucidError
from .common import chooses_take, has_shot, take_number


def _is_cut(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    if not chooses_take(cls, context):
        return False
    if not is_cut(context, source_scene(context.scene).lucid.shot):
        cls.poll_message_set("No take of this shot is on a timeline: import one first")
        return False
    return True


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


class LUCID_OT_import_take(bpy.types.Operator):
    """Put the take on the timeline of this scene, at the shot's own frames: the final, each layer muted below it, and the
    shot's sound"""

    bl_idname = "lucid.import_take"
    bl_label = "Import"
    bl_options = {"REGISTER", "UNDO"}

    number: IntProperty(name="Take", default=0, min=0, description="Which take; 0: the one chosen in the list",
                        options={"SKIP_SAVE"})
    heat: BoolProperty(name="Heat Maps", default=False, options={"SKIP_SAVE"},
                       description="Also the heat maps of its verdict, muted above it: unmute one to see where the take "
                                   "departs from the scene")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chooses_take(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, number = source_scene(context.scene), take_number(self, context)
        try:
            timeline = import_take(scene, active_shot(scene), number, heat=self.heat)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Take {number} is on '{timeline.name}': open a Sequencer to see it")
        return {"FINISHED"}


class LUCID_OT_take_show(bpy.types.Operator):
    """See the take on the timeline in place of the shot's other takes there, to compare them"""

    bl_idname = "lucid.take_show"
    bl_label = "Show"
    bl_options = {"REGISTER", "UNDO"}

    number: IntProperty(name="Take", default=0, min=0, description="Which take; 0: the one chosen in the list",
                        options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _is_cut(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder, number = active_shot(source_scene(context.scene)), take_number(self, context)
        try:
            cut = cut_of(context, folder)
            show_take(cut, folder, number)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"'{cut.name}' shows take {number}")
        return {"FINISHED"}


class LUCID_OT_take_replace(bpy.types.Operator):
    """Let the selected strips of this shot, or else those that are seen, show the take. Their trims, transforms, modifiers and
    keyframes stay"""

    bl_idname = "lucid.take_replace"
    bl_label = "Replace"
    bl_options = {"REGISTER", "UNDO"}

    number: IntProperty(name="Take", default=0, min=0, description="Which take; 0: the one chosen in the list",
                        options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _is_cut(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder, number = active_shot(source_scene(context.scene)), take_number(self, context)
        try:
            strips = replaceable(cut_of(context, folder), folder)
            changed = replace_take(folder, number, strips)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not changed:
            self.report({"WARNING"}, f"They show take {number} already" if strips else
                        "Select the strips to replace: none of this shot is seen")
            return {"CANCELLED"}
        self.report({"INFO"}, f"{changed} strip{'s show' if changed > 1 else ' shows'} take {number} now")
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
        bpy.ops.wm.path_open(filepath=str(active_shot(source_scene(context.scene))))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (LUCID_OT_takes_refresh, LUCID_OT_import_take, LUCID_OT_take_show, LUCID_OT_take_replace, LUCID_OT_open_folder))
