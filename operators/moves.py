# SPDX-License-Identifier: GPL-3.0-or-later
"""Add a camera move as keys that can be edited."""

from __future__ import annotations

import bpy
from bpy.props import IntProperty, StringProperty

from ..addon.capture.camera import camera_at
from ..addon.move_settings import AIMED, AMOUNTS, KINDS, STEADY, MoveProperties
from ..addon.moves import MoveSpec, add_move, next_start
from ..addon.translation import rpt_, tip_
from ..inference.errors import LucidError


class LUCID_OT_camera_move(MoveProperties, bpy.types.Operator):
    """Key a move of the shot's camera after its last key; keys outside the move stay as they are"""

    bl_idname = "lucid.camera_move"
    bl_label = "Add Camera Move"
    bl_options = {"REGISTER", "UNDO", "PRESET"}     # one step takes back every key

    frame_start: IntProperty(name="Start", options={"SKIP_SAVE"},
                             description="The frame in which the move starts; not set: the camera's last key, or else the "
                                         "scene's first frame")
    target: StringProperty(name="Target", search_options={"SORT"}, options={"SKIP_SAVE"},
                           search=lambda _self, context, _text: [item.name for item in context.scene.objects],
                           description="Name of the object that the move is about; empty: the first actor, or else what is "
                                       "in the middle of the picture")

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        told = next(text for name, _label, text in KINDS if name == properties.kind)
        return f"{tip_(told)}.\n{tip_(cls.__doc__)}"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scene = context.scene
        if scene.lucid.source is not None:
            cls.poll_message_set(rpt_("This is a timeline: go to '{scene}', where the camera is").format(
                scene=scene.lucid.source.name))
        elif (camera := camera_at(scene, scene.frame_current, scene.lucid.camera)) is None:
            cls.poll_message_set(rpt_("The scene has no camera: add one, or choose one in the Lucid panel"))
        elif camera.type != "CAMERA":
            cls.poll_message_set(rpt_("The scene looks through '{name}', which is no camera").format(name=camera.name))
        elif not (camera.is_editable and camera.data.is_editable):
            cls.poll_message_set(rpt_("The camera is linked: make it local, or a library override"))
        else:
            return True
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        camera = camera_at(scene, scene.frame_current, scene.lucid.camera)
        if not self.properties.is_property_set("frame_start"):
            self.frame_start = next_start(scene, camera)    # seen, and kept, when the move is adjusted afterwards
        try:
            target = self._target(scene)
            told = add_move(context, camera, MoveSpec(self.kind, self.frame_start, self.duration, self.easing, self.angle,
                                                      self.distance, self.factor, self.shake, target))
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        late = self.frame_start + self.duration > scene.frame_end
        if late:
            told = rpt_("{move}; the scene ends at {frame}").format(move=told, frame=scene.frame_end)
        self.report({"WARNING" if late else "INFO"}, told)
        return {"FINISHED"}

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        names = ("kind", AMOUNTS.get(self.kind), "frame_start", "duration", "easing" if self.kind not in STEADY else None,
                 "target" if self.kind in AIMED else None)
        for name in filter(None, names):
            layout.prop(self, name)

    def _target(self, scene: bpy.types.Scene) -> bpy.types.Object | None:
        """The object that is named; None for the automatic one. Raises MOVE_TARGET."""
        if not self.target:
            return None
        found = scene.objects.get(self.target)
        if found is None:
            raise LucidError("MOVE_TARGET", f"the scene has no object '{self.target}'", "choose the target again")
        return found


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_camera_move,))
