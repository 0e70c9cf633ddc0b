# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene -> shot, in small steps so that Esc is heard."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..addon.capture import CaptureSpec, capture_sequence, scene_now
from ..addon.shots import blend_name, capture_spec, free_shot_folder, has_camera, output_folder
from ..addon.timeline import blend_path, source_scene
from ..addon.translation import n_, rpt_
from .common import is_own
from .stepping import SteppedOperator, Steps


class CaptureOperator(SteppedOperator):
    """Whoever inherits says which shots (`_shots`). The first one becomes the active one."""

    bl_options = {"REGISTER", "UNDO"}   # the shot's path is kept in the scene
    doing, stopped = n_("Capturing"), n_("Capture stopped; nothing was kept")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not is_own(cls, context):
            return False
        scene = source_scene(context.scene)
        if scene.lucid.output.startswith("//") and not bpy.data.filepath:
            cls.poll_message_set(rpt_("Save the .blend first, or choose a folder for the shots"))
            return False
        return True

    def _steps(self, context: bpy.types.Context) -> Steps:
        scene = source_scene(context.scene)
        number, shots = scene.session_uid, self._shots(scene)
        yield from capture_sequence(scene, shots)
        scene_now(number).lucid.shot = blend_path(shots[0][1]) + "/"
        self.report({"INFO"}, rpt_("Captured {names}").format(names=", ".join(target.name for _spec, target in shots)))
        return {"FINISHED"}

    def _shots(self, scene: bpy.types.Scene) -> list[tuple[CaptureSpec, Path]]:
        raise NotImplementedError


class LUCID_OT_capture(CaptureOperator, bpy.types.Operator):
    """Write what the camera sees, exactly, frame by frame: depth, normals, ids, mattes, poses. Esc stops it"""

    bl_idname = "lucid.capture"
    bl_label = "Capture"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not has_camera(source_scene(context.scene)):
            cls.poll_message_set(rpt_("The scene has no camera: add one, or choose one in the Lucid panel"))
            return False
        return super().poll(context)

    def _shots(self, scene: bpy.types.Scene) -> list[tuple[CaptureSpec, Path]]:
        return [(capture_spec(scene), free_shot_folder(output_folder(scene), blend_name()))]


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_capture,))
