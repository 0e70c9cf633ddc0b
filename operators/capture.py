# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene -> shot, in small steps so that Esc is heard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import bpy

from ..addon.capture import CaptureSpec, Progress, capture_sequence
from ..addon.shots import blend_name, capture_spec, free_shot_folder, has_camera, output_folder
from ..addon.timeline import blend_path, source_scene
from ..inference.errors import LucidError

_BUDGET = 0.08      # seconds of capturing between two looks at the events


class CaptureOperator:
    """Drives a capture in small steps; whoever inherits says which shots (`_shots`)."""

    bl_options = {"REGISTER", "UNDO"}   # the shot's path is kept in the scene

    _steps: Iterator[Progress] | None = None
    _timer: bpy.types.Timer | None = None
    _targets: list[Path]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scene = source_scene(context.scene)
        if scene.lucid.output.startswith("//") and not bpy.data.filepath:
            cls.poll_message_set("Save the .blend first, or choose a folder for the shots")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Capture in one go, for scripts."""
        try:
            for step in self._start(context):
                self._tell(step)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return self._finish(context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        try:
            self._steps = self._start(context)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        manager = context.window_manager
        manager.progress_begin(0, 1000)
        self._timer = manager.event_timer_add(0.01, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC" and event.value == "PRESS":
            self.cancel(context)
            self.report({"INFO"}, "Capture stopped; nothing was kept")
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}
        deadline = time.monotonic() + _BUDGET
        try:
            while time.monotonic() < deadline:
                step = next(self._steps)
                self._tell(step)
                context.window_manager.progress_update(int(1000 * step.done / max(1, step.total)))
                context.workspace.status_text_set(f"Capturing: {step.text}   (Esc stops)")
        except StopIteration:
            self._clear(context)
            return self._finish(context)
        except LucidError as error:
            self._clear(context)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except BaseException:       # Blender shows the traceback; the window must not keep the timer
            self._clear(context)
            raise
        return {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Also called when the window closes. Closing the generator restores the scene and leaves no files."""
        self._steps.close()
        self._clear(context)

    def _start(self, context: bpy.types.Context) -> Iterator[Progress]:
        scene = source_scene(context.scene)
        shots = self._shots(scene)
        self._targets = [target for _spec, target in shots]
        return capture_sequence(scene, shots)

    def _shots(self, scene: bpy.types.Scene) -> list[tuple[CaptureSpec, Path]]:
        raise NotImplementedError

    def _finish(self, context: bpy.types.Context) -> set[str]:
        """The first shot becomes the active one."""
        source_scene(context.scene).lucid.shot = blend_path(self._targets[0]) + "/"
        self.report({"INFO"}, f"Captured {', '.join(target.name for target in self._targets)}")
        return {"FINISHED"}

    def _tell(self, step: Progress) -> None:
        if step.note:
            self.report({"WARNING"}, step.text)

    def _clear(self, context: bpy.types.Context) -> None:
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()
        context.workspace.status_text_set(None)


class LUCID_OT_capture(CaptureOperator, bpy.types.Operator):
    """Write what the camera sees, exactly, frame by frame: depth, normals, ids, mattes, poses. Esc stops it"""

    bl_idname = "lucid.capture"
    bl_label = "Capture"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not has_camera(source_scene(context.scene)):
            cls.poll_message_set("The scene has no camera: add one, or choose one in the Lucid panel")
            return False
        return super().poll(context)

    def _shots(self, scene: bpy.types.Scene) -> list[tuple[CaptureSpec, Path]]:
        return [(capture_spec(scene), free_shot_folder(output_folder(scene), blend_name()))]


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_capture,))
