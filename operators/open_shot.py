# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot on the disk becomes the one that the scene works on."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from ..addon.drop import shot_folder
from ..addon.timeline import blend_path, source_scene
from ..addon.translation import rpt_
from ..inference.errors import LucidError
from ..inference.shot.store import MANIFEST, open_shot
from .common import is_own


class LUCID_OT_open_shot(bpy.types.Operator):
    """Work on a shot that was captured before and list its takes: choose its shot.json, or drop that on a viewport"""

    bl_idname = "lucid.open_shot"
    bl_label = "Open Shot"
    bl_options = {"REGISTER", "UNDO"}   # the shot's path is kept in the scene

    filepath: StringProperty(name="Shot", subtype="FILE_PATH", options={"SKIP_SAVE", "PATH_SUPPORTS_BLEND_RELATIVE"},
                             description="The shot.json of a captured shot, or the shot's folder")
    filter_glob: StringProperty(name="Filter", default=MANIFEST, options={"HIDDEN", "SKIP_SAVE"},
                                description="Which files the browser lists")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return is_own(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if self.filepath or bpy.app.background:     # dropped; a file browser needs a window
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            if not self.filepath:
                raise LucidError("SHOT_MISSING", "no shot was chosen", f"choose its {MANIFEST}")
            folder = shot_folder(self.filepath)
            shot = open_shot(folder, verify=False)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        source_scene(context.scene).lucid.shot = blend_path(folder) + "/"
        takes = len(context.window_manager.lucid.takes)
        told = rpt_("{shot}: frames {first} to {last}, {takes} take") if takes == 1 else \
            rpt_("{shot}: frames {first} to {last}, {takes} takes")
        self.report({"INFO"}, told.format(shot=folder.name, first=shot.frames.start, last=shot.frames.end, takes=takes))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_open_shot,))
