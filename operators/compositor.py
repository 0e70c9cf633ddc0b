# SPDX-License-Identifier: GPL-3.0-or-later
"""Take -> a node group in the compositor that rebuilds its final from its layers."""

from __future__ import annotations

import bpy
from bpy.props import IntProperty

from ..addon.compositor import compositor_group
from ..addon.shots import active_shot
from ..addon.timeline import source_scene
from ..inference.errors import LucidError
from ..inference.shot.takes import State


class LUCID_OT_compositor_group(bpy.types.Operator):
    """Rebuild the take's final from its layers in the compositor of a scene of its own, with a factor for each layer"""

    bl_idname = "lucid.compositor_group"
    bl_label = "To Compositor"
    bl_options = {"REGISTER", "UNDO"}

    number: IntProperty(name="Take", default=0, min=0, description="Which take; 0: the one chosen in the list",
                        options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        runtime, shot = context.window_manager.lucid, source_scene(context.scene).lucid.shot
        if not shot:
            cls.poll_message_set("Capture the shot first")
            return False
        if runtime.takes_of != shot:
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
            place, group = compositor_group(scene, active_shot(scene), number)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"'{group.name}' is in the compositor of the scene '{place.name}', and under Add > Group")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_compositor_group,))
