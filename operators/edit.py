# SPDX-License-Identifier: GPL-3.0-or-later
"""Point at something in a take, and paint that alone again."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from ..addon import session
from ..addon.edit_panel import draw_wish
from ..addon.pointing import check_wish, newest_take, pick, picture_at, show_target, spot_at, whole
from ..addon.shots import active_shot
from ..addon.timeline import source_scene
from ..inference.errors import LucidError
from ..inference.shot.store import open_shot
from ..inference.shot.takes import get_take
from .common import went_well

_KEEP = {"SKIP_SAVE"}
_PROMPT = "Click what is to change in a picture of a take (Sequencer preview, Image Editor, camera view); Esc: cancel"


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
            cls.poll_message_set("Leave the active object's mode first: pointing selects another one")
        elif not source_scene(context.scene).lucid.shot:
            cls.poll_message_set("Capture the shot first")
        else:
            return True
        return False

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return f"Change the {properties.layer} as a whole" if properties.layer else ""

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self._aim(context, active_shot(source_scene(context.scene)))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.layer:
            return self.execute(context)
        if context.region is not None and context.region.type in {"WINDOW", "PREVIEW"} and event.type == "LEFTMOUSE":
            return self._click(context, event)      # as a shortcut: the click itself
        context.window.cursor_modal_set("EYEDROPPER")
        context.workspace.status_text_set(_PROMPT)
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
        done = self._aim(context, spot.shot)
        if done == {"FINISHED"} and bpy.ops.lucid.edit.poll():
            bpy.ops.lucid.edit("INVOKE_DEFAULT")
        return done

    def _aim(self, context: bpy.types.Context, folder: Path) -> set[str]:
        try:
            shot = open_shot(folder, verify=False)
            target = whole(shot, self.layer) if self.layer else pick(folder, shot, self.x, self.y, self.frame)
            take = get_take(folder, self.number) if self.number else newest_take(context, folder)
            context.window_manager.lucid_edit.aim(folder, shot, take, target, self.frame)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if show_target(context, target) is None and not self.layer:
            self.report({"WARNING"}, f"'{target.seen}' cannot be selected: it is not in this scene's view layer")
        self.report({"INFO"}, f"'{target.label}' of take {take.number}")
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
        if session.running():
            cls.poll_message_set("A take is being generated: wait for it, or cancel it")
        elif not context.window_manager.lucid_edit.label:
            cls.poll_message_set("Point at something in a take first")
        else:
            return True
        return False

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return "Paint the target once more, with a seed that no take has used for its layer" if properties.another_seed else ""

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        edit = context.window_manager.lucid_edit
        return context.window_manager.invoke_props_dialog(self, width=360, title=f"Change '{edit.label}' of take {edit.take}",
                                                          confirm_text="Regenerate")

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.activate_init = True        # typing goes to the prompt
        draw_wish(self.layout, context.window_manager.lucid_edit)
        self.layout.prop(self, "another_seed")

    def execute(self, context: bpy.types.Context) -> set[str]:
        edit, scene = context.window_manager.lucid_edit, source_scene(context.scene)
        folder = Path(edit.shot)
        try:
            request = edit.request(another_seed=self.another_seed)
            check_wish(request, folder)
            references = get_take(folder, request.parent).reference_files() if request.parent else {}
            job = session.start(folder, request, references)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if active_shot(scene) == folder:
            context.window_manager.lucid.read_takes(scene.lucid.shot)
        if not went_well(self, context, session.mirror, job):
            return {"CANCELLED"}
        self.report({"INFO"}, f"Take {job.take.number} changes '{edit.label}' of take {edit.take}")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_point, LUCID_OT_edit))
