# SPDX-License-Identifier: GPL-3.0-or-later
"""Point at something in a take, and paint that alone again."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from ..addon.edit_panel import draw_wish
from ..addon.pointing import Spot, chosen_take, picture_at, show_target, spot_at, target_at
from ..addon.shots import active_shot
from ..addon.timeline import source_scene
from ..addon.translation import iface_, n_, rpt_, tip_
from ..inference.errors import LucidError
from ..inference.shot.store import open_shot
from ..inference.shot.takes import get_take
from .common import has_shot, idle
from .generate import begin

_KEEP = {"SKIP_SAVE"}
_PROMPT = n_("Click what is to change in a picture of a take (Sequencer preview, Image Editor, camera view); Esc: cancel")


class LUCID_OT_point(bpy.types.Operator):
    """Click something in a take to change it: in the Sequencer's preview, an Image Editor or the camera view"""

    bl_idname = "lucid.point"
    bl_label = "Point at a Take"
    bl_options = {"REGISTER", "UNDO"}   # UNDO: it selects

    x: IntProperty(name="X", default=-1, options=_KEEP, description="Pixel of the take's frame, from the left")
    y: IntProperty(name="Y", default=-1, options=_KEEP, description="Pixel of the take's frame, from the top")
    frame: IntProperty(name="Frame", options=_KEEP, description="The scene frame pointed at")
    number: IntProperty(name="Take", default=0, min=0, options=_KEEP,
                        description="Which take is changed; 0: the one chosen in the list, or the newest that is done")
    layer: StringProperty(name="Layer", options=_KEEP, description="A layer as a whole, instead of a pixel")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        active = context.view_layer.objects.active
        if active is not None and active.mode != "OBJECT":
            cls.poll_message_set(rpt_("Leave the active object's mode first: pointing selects another one"))
            return False
        return has_shot(cls, context)

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return tip_("Change the {layer} as a whole").format(layer=properties.layer) if properties.layer else ""

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = active_shot(source_scene(context.scene))
        return self._aim(context, Spot(folder, self.number or None, self.x, self.y, self.frame))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.layer:
            return self.execute(context)
        if context.region is not None and context.region.type in {"WINDOW", "PREVIEW"} and event.type == "LEFTMOUSE":
            return self._click(context, event)      # as a shortcut: the click itself
        context.window.cursor_modal_set("EYEDROPPER")
        context.workspace.status_text_set(rpt_(_PROMPT))
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            self._end(context)
            return self._click(context, event)
        if event.type in {"ESC", "RIGHTMOUSE"}:
            self._end(context)
            return {"CANCELLED"}
        return {"PASS_THROUGH"}     # so that frames can be changed and pictures moved meanwhile

    def cancel(self, context: bpy.types.Context) -> None:
        self._end(context)

    @staticmethod
    def _end(context: bpy.types.Context) -> None:
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)

    def _click(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        found = picture_at(context.window.screen, event.mouse_x, event.mouse_y)
        if found is None:
            self.report({"ERROR"}, "That is no picture of a take")
            return {"CANCELLED"}
        area, region = found
        try:
            spot = spot_at(context, area, region, event.mouse_x - region.x, event.mouse_y - region.y)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.x, self.y, self.frame, self.number = spot.x, spot.y, spot.frame, spot.take or 0
        done = self._aim(context, spot)
        if done == {"FINISHED"} and bpy.ops.lucid.edit.poll():
            bpy.ops.lucid.edit("INVOKE_DEFAULT")
        elif done == {"FINISHED"}:
            self.report({"INFO"}, rpt_("A take is being generated: write the change in the Edit panel, regenerate when it is "
                                       "done"))
        return done

    def _aim(self, context: bpy.types.Context, spot: Spot) -> set[str]:
        try:
            shot = open_shot(spot.shot, verify=False)
            target = target_at(shot, spot, self.layer)
            take = get_take(spot.shot, spot.take) if spot.take else chosen_take(context, spot.shot)
            context.window_manager.lucid_edit.aim(spot.shot, shot, take, target, spot.frame)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if show_target(context, target) is None and not self.layer:
            self.report({"WARNING"}, rpt_("'{name}' cannot be selected: it is not in this scene's view layer").format(
                name=target.seen))
        self.report({"INFO"}, rpt_("'{target}' of take {number}").format(target=target.label, number=take.number))
        return {"FINISHED"}


class LUCID_OT_edit(bpy.types.Operator):
    """Paint the target again as a new take; all the rest of the take it changes stays as it is, to the pixel"""

    bl_idname = "lucid.edit"
    bl_label = "Regenerate"
    bl_options = {"REGISTER"}   # no UNDO: it only writes files

    another_seed: BoolProperty(name="Another Seed", default=False, options=_KEEP,
                               description="Paint the target with a seed that no take has used for its layer")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not idle(cls):
            return False
        if not context.window_manager.lucid_edit.label:
            cls.poll_message_set(rpt_("Point at something in a take first"))
            return False
        return True

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        if not properties.another_seed:
            return ""
        return tip_("Paint the target once more, with a seed that no take has used for its layer")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        edit = context.window_manager.lucid_edit
        title = iface_("Change '{target}' of take {number}").format(target=edit.label, number=edit.take)
        return context.window_manager.invoke_props_dialog(self, width=360, title=title, confirm_text=iface_("Regenerate"))

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.activate_init = True        # typing goes to the prompt
        draw_wish(self.layout, context.window_manager.lucid_edit)
        self.layout.prop(self, "another_seed")

    def execute(self, context: bpy.types.Context) -> set[str]:
        edit = context.window_manager.lucid_edit
        try:
            job = begin(self, context, Path(edit.shot), *edit.wish(another_seed=self.another_seed))
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if job is None:
            return {"CANCELLED"}
        self.report({"INFO"}, rpt_("Take {number} changes '{target}' of take {old}").format(
            number=job.take.number, target=edit.label, old=edit.take))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_point, LUCID_OT_edit))
