# SPDX-License-Identifier: GPL-3.0-or-later
"""Take -> a node group in the compositor that rebuilds its final from its layers."""

from __future__ import annotations

import bpy
from bpy.props import IntProperty

from ..addon.compositor import compositor_group
from ..addon.shots import active_shot
from ..addon.timeline import source_scene
from ..inference.errors import LucidError
from .common import chooses_take, take_number


class LUCID_OT_compositor_group(bpy.types.Operator):
    """Rebuild the take's final from its layers in the compositor of a scene of its own, with a factor for each layer"""

    bl_idname = "lucid.compositor_group"
    bl_label = "To Compositor"
    bl_options = {"REGISTER", "UNDO"}

    number: IntProperty(name="Take", default=0, min=0, description="Which take; 0: the one chosen in the list",
                        options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chooses_take(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, number = source_scene(context.scene), take_number(self, context)
        try:
            place, group = compositor_group(scene, active_shot(scene), number)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"'{group.name}' is in the compositor of the scene '{place.name}', and under Add > Group")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_compositor_group,))
