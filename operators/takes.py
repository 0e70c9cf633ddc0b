# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes: read the list again, put one on the timeline, look at the files."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, IntProperty

from ..addon.shots import active_shot
from ..addon.timeline import import_take, source_scene
from ..inference.errors import LucidError
from ..inference.shot.takes import State


def _has_shot(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    if not source_scene(context.scene).lucid.shot:
        cls.poll_message_set("Capture the shot first")
        return False
    return True


class LUCID_OT_takes_refresh(bpy.types.Operator):
    """Read the takes of the shot from the disk again"""

    bl_idname = "lucid.takes_refresh"
    bl_label = "Refresh Takes"
    bl_options = {"REGISTER"}   # no UNDO: it only reads files

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_shot(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.lucid.read_takes(source_scene(context.scene).lucid.shot)
        return {"FINISHED"}


class LUCID_OT_import_take(bpy.types.Operator):
    """Put the take on the timeline of this scene, at the shot's own frames: the final, and each layer muted below it"""

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
        if not _has_shot(cls, context):
            return False
        runtime = context.window_manager.lucid
        if runtime.takes_of != source_scene(context.scene).lucid.shot:
            cls.poll_message_set("The list shows another scene's takes: refresh it")
            return False
        if not any(row.state == State.DONE.name for row in runtime.takes):
            cls.poll_message_set("No take is done yet")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, runtime = source_scene(context.scene), context.window_manager.lucid
        number = self.number or runtime.takes[runtime.take_index].number
        try:
            timeline = import_take(scene, active_shot(scene), number, heat=self.heat)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Take {number} is on '{timeline.name}': open a Sequencer to see it")
        return {"FINISHED"}


class LUCID_OT_open_folder(bpy.types.Operator):
    """Show the shot's folder in the file browser of the system"""

    bl_idname = "lucid.open_folder"
    bl_label = "Open Folder"
    bl_options = {"REGISTER"}   # no UNDO: nothing changes

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_shot(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        bpy.ops.wm.path_open(filepath=str(active_shot(source_scene(context.scene))))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (LUCID_OT_takes_refresh, LUCID_OT_import_take, LUCID_OT_open_folder))
