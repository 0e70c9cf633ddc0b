# SPDX-License-Identifier: GPL-3.0-or-later
"""What several operators ask before they start, and how they wait where nothing can be mirrored."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import bpy
from bpy.props import IntProperty

from ..addon import session
from ..addon.beside import beside
from ..addon.capture import Progress
from ..addon.shots import active_shot
from ..addon.timeline import source_scene
from ..addon.translation import iface_, n_, rpt_
from ..addon.verified import VerifiedTake, verified_take
from ..inference.errors import LucidError
from ..inference.shot.takes import State
from .stepping import SteppedOperator, Steps


class Waiting(Protocol):
    """Something in another process."""

    def wait(self, seconds: float) -> None:
        """Sleep until it ends, at most so long."""


def is_own(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the scene may be changed; a poll's message where it is another file's."""
    if source_scene(context.scene).is_editable:
        return True
    cls.poll_message_set(rpt_("The scene is linked from another file: open that one, or use a scene of this file"))
    return False


def has_shot(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the scene has a shot; a poll's message where it has none."""
    if not source_scene(context.scene).lucid.shot:
        cls.poll_message_set(rpt_("Capture the shot first"))
        return False
    return True


def idle(cls: type[bpy.types.Operator]) -> bool:
    """Whether no take is being generated; a poll's message where one is."""
    if session.running():
        cls.poll_message_set(rpt_("A take is being generated: wait for it, or cancel it"))
        return False
    return True


def lists_takes(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the list shows takes of this scene's shot; a poll's message where not."""
    if not _lists_shot(cls, context):
        return False
    if not context.window_manager.lucid.takes:
        cls.poll_message_set(rpt_("The shot has no take yet: generate one"))
        return False
    return True


def chooses_take(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the list shows takes of this scene's shot and one is done; a poll's message where not."""
    if not _lists_shot(cls, context):
        return False
    if not any(row.state == State.DONE.name for row in context.window_manager.lucid.takes):
        cls.poll_message_set(rpt_("No take is done yet"))
        return False
    return True


def _lists_shot(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    if not has_shot(cls, context):
        return False
    if context.window_manager.lucid.takes_of != source_scene(context.scene).lucid.shot:
        cls.poll_message_set(rpt_("The list shows another scene's takes: refresh it"))
        return False
    return True


def take_number(operator: bpy.types.Operator, context: bpy.types.Context) -> int:
    """The take that is asked for, else the one chosen in the list."""
    return operator.number or context.window_manager.lucid.chosen.number


class OfTake:
    """What operators of one take share; each says only its deed, in :meth:`act`."""

    number: IntProperty(name="Take", default=0, min=0, description="Which take; 0: the one chosen in the list",
                        options={"SKIP_SAVE", "HIDDEN"})    # another one is chosen in the list, not in the redo panel

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chooses_take(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            done = self.act(context, active_shot(source_scene(context.scene)), take_number(self, context))
        except LucidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if done is None:
            return {"CANCELLED"}
        self.report({"INFO"}, done)
        return {"FINISHED"}

    def act(self, context: bpy.types.Context, folder: Path, number: int) -> str | None:
        """Do it with a take of the shot in ``folder`` and say what was done; None where nothing was and that has been reported.
        Raises LucidError."""
        raise NotImplementedError


class OfVerifiedTake(SteppedOperator, OfTake):
    """Of a take whose files are all read first, in steps; the deed itself is :meth:`act_on`."""

    doing, stopped = n_("Checking the take"), n_("Stopped; nothing was changed")

    def _steps(self, context: bpy.types.Context) -> Steps:
        folder, number = active_shot(source_scene(context.scene)), take_number(self, context)
        found = yield from self._verified(context, folder, number)      # bpy's handles may be gone by now: act_on asks anew
        done = self.act_on(context, found)
        if done is None:
            return {"CANCELLED"}
        self.report({"INFO"}, done)
        return {"FINISHED"}

    def _verified(self, context: bpy.types.Context, folder: Path, number: int) -> Generator[Progress, None, VerifiedTake]:
        wanted = self.wanted(context, folder)
        with closing(beside(lambda stop: verified_take(folder, number, **wanted, stop=stop))) as steps:
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    return end.value
                yield Progress(0, 1, iface_("take {number}").format(number=number))

    def wanted(self, _context: bpy.types.Context, _folder: Path) -> dict[str, bool]:
        """What :func:`verified_take` is asked for beside the take itself. Raises LucidError."""
        return {}

    def act_on(self, context: bpy.types.Context, found: VerifiedTake) -> str | None:
        """As :meth:`OfTake.act`."""
        raise NotImplementedError


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
