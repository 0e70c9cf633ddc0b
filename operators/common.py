# SPDX-License-Identifier: GPL-3.0-or-later
"""What several operators ask before they start, and how they wait where nothing can be mirrored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import bpy

from ..addon.timeline import source_scene
from ..inference.shot.takes import State


class Waiting(Protocol):
    """Something in another process."""

    def wait(self, seconds: float) -> None:
        """Sleep until it ends, at most so long."""


def has_shot(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the scene has a shot; a poll's message where it has none."""
    if not source_scene(context.scene).lucid.shot:
        cls.poll_message_set("Capture the shot first")
        return False
    return True


def chooses_take(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the list shows takes of this scene's shot and one is done; a poll's message where not."""
    if not has_shot(cls, context):
        return False
    runtime = context.window_manager.lucid
    if runtime.takes_of != source_scene(context.scene).lucid.shot:
        cls.poll_message_set("The list shows another scene's takes: refresh it")
        return False
    if not any(row.state == State.DONE.name for row in runtime.takes):
        cls.poll_message_set("No take is done yet")
        return False
    return True


def take_number(operator: bpy.types.Operator, context: bpy.types.Context) -> int:
    """The take that is asked for, else the one chosen in the list."""
    runtime = context.window_manager.lucid
    return operator.number or runtime.takes[runtime.take_index].number


def went_well(operator: bpy.types.Operator, context: bpy.types.Context, mirror: Callable[[], bool], job: Waiting) -> bool:
    """Where there is no window no timer fires: wait here until ``mirror`` says that ``job`` is over. False, and a report, where
    it failed."""
    if not bpy.app.background:
        return True
    while mirror():
        job.wait(0.25)
    if error := context.window_manager.lucid.error:
        operator.report({"ERROR"}, error)
        return False
    return True
