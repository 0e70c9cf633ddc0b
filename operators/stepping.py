# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators whose work is done in small steps: between two of them Blender draws and Esc is heard. Everything else that is
pressed in that window is swallowed meanwhile; other windows are not, so what the steps hold of Blender may be gone after one."""

from __future__ import annotations

import time
from collections.abc import Generator

import bpy

from ..addon.capture import Progress
from ..addon.translation import rpt_
from ..inference.errors import LucidError

_BUDGET = 0.03      # seconds of work between two looks at the events

Steps = Generator[Progress, None, set[str]]


class SteppedOperator:
    """Drives what `_steps` returns: steps, and at their end what the operator returns. Closed early, they undo what they did."""

    doing = ""          # told with each step
    stopped = ""        # told after Esc

    _running: Steps | None = None
    _timer: bpy.types.Timer | None = None

    def _steps(self, context: bpy.types.Context) -> Steps:
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        """In one go, for scripts."""
        steps = self._steps(context)
        try:
            while True:
                self._tell(next(steps))
        except StopIteration as end:
            return end.value
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self._running = self._steps(context)
        manager = context.window_manager
        manager.progress_begin(0, 1000)
        self._timer = manager.event_timer_add(0.01, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC" and event.value == "PRESS":
            return self._stop(context)
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}
        deadline = time.monotonic() + _BUDGET
        try:
            while time.monotonic() < deadline:
                step = self._next()
                self._tell(step)
                context.window_manager.progress_update(int(1000 * step.done / max(1, step.total)))
                told = rpt_("{deed}: {step}   (Esc stops)").format(deed=rpt_(self.doing), step=step.text)
                context.workspace.status_text_set(told)
        except StopIteration as end:
            self._clear(context)
            return end.value
        except LucidError as error:
            self._clear(context)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except BaseException:       # Blender shows the traceback; the window must not keep the timer
            self._clear(context)
            raise
        return {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Also called when the window closes. Whatever the steps raise as they undo what they did, the window keeps nothing."""
        try:
            self._running.close()
        finally:
            self._clear(context)

    def _stop(self, context: bpy.types.Context) -> set[str]:
        try:
            self.cancel(context)
        except LucidError as error:
            self.report({"ERROR"}, str(error))
        else:
            self.report({"INFO"}, rpt_(self.stopped))
        return {"CANCELLED"}

    def _next(self) -> Progress:
        """Raises what the step does, SCENE_GONE where it needs something that was deleted, or undone, in another window."""
        try:
            return next(self._running)
        except ReferenceError as error:
            raise LucidError("SCENE_GONE", "something of the scene was deleted, or taken back by undo, meanwhile",
                             "start again") from error

    def _tell(self, step: Progress) -> None:
        if step.note:
            self.report({"WARNING"}, step.text)

    def _clear(self, context: bpy.types.Context) -> None:
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()
        context.workspace.status_text_set(None)
