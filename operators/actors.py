# SPDX-License-Identifier: GPL-3.0-or-later
"""Mark what is generated as a layer of its own."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty

from ..addon.timeline import source_scene
from ..addon.translation import rpt_
from .common import is_own


class LUCID_OT_actor_add(bpy.types.Operator):
    """Make the active object, or the active collection, an actor: it is generated as a layer of its own"""

    bl_idname = "lucid.actor_add"
    bl_label = "Add Actor"
    bl_options = {"REGISTER", "UNDO"}

    kind: EnumProperty(name="Kind", description="What becomes the actor", items=(
        ("OBJECT", "Active Object", "The active object and everything parented to it"),
        ("COLLECTION", "Active Collection", "Everything in the active collection"),
    ))

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return is_own(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = source_scene(context.scene)
        # without a window there is neither
        target = getattr(context, "object" if self.kind == "OBJECT" else "collection", None)
        if target is None:
            self.report({"ERROR"}, "No object is active: select the actor first")
            return {"CANCELLED"}
        if target == scene.collection:
            self.report({"ERROR"}, "The scene's own collection holds everything: choose one inside it")
            return {"CANCELLED"}
        settings = scene.lucid
        if any(actor.target == target for actor in settings.actors):
            self.report({"WARNING"}, rpt_("'{name}' is an actor already").format(name=target.name))
            return {"CANCELLED"}
        actor = settings.actors.add()
        actor.name = target.name
        setattr(actor, self.kind.lower(), target)
        settings.actor_index = len(settings.actors) - 1
        told = rpt_("'{name}' is an actor: capture again to give it a layer") if settings.shot else rpt_("'{name}' is an actor")
        self.report({"INFO"}, told.format(name=target.name))
        return {"FINISHED"}


class LUCID_OT_actor_remove(bpy.types.Operator):
    """Make the actor chosen in the list part of the environment again"""

    bl_idname = "lucid.actor_remove"
    bl_label = "Remove Actor"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not is_own(cls, context):
            return False
        if not source_scene(context.scene).lucid.actors:
            cls.poll_message_set(rpt_("There are no actors in the list"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = source_scene(context.scene).lucid
        settings.actors.remove(settings.actor_index)
        settings.actor_index = max(0, min(settings.actor_index, len(settings.actors) - 1))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_actor_add, LUCID_OT_actor_remove))
