# SPDX-License-Identifier: GPL-3.0-or-later
"""``WindowManager.lucid_worker``: the worker's Python, which worker runs, and what of its takes has to be told. A thread asks the
worker, once for each time that somebody looks at the preferences or stops it; drawing only reads what is mirrored here."""

from __future__ import annotations

import time

import bpy
from bpy.props import BoolProperty, PointerProperty, StringProperty

from ..inference.errors import LucidError
from ..inference.worker.about import Seen, ask, end
from .dispatch import Asked
from .redraw import tick
from .worker import worker_python

_FRESH = 2.0            # seconds for which an answer is shown without asking again


class LucidWorkerState(bpy.types.PropertyGroup):
    """The worker that runs, as it last answered; never saved."""

    there: BoolProperty(name="There", description="Whether a worker runs, of this Lucid or another")
    text: StringProperty(name="Text", description="Which worker it is: its version, process, device and takes")
    error: StringProperty(name="Error", description="Why this Lucid cannot use it")
    python: StringProperty(name="Python", description="The Python that the worker runs with; empty where there is none")
    missing: StringProperty(name="Missing", description="Why there is none")
    hint: StringProperty(name="Hint", description="What to do about that")
    stopping: BoolProperty(name="Stopping", description="Whether it was asked to end")
    notice: StringProperty(name="Notice", description="What became of a take while nobody watched")


_asked: Asked[Seen] | None = None
_seen_at = float("-inf")


def look_soon() -> None:
    """For drawing: have the worker asked as soon as drawing is over, unless that was done just now."""
    if _asked is None and time.monotonic() - _seen_at > _FRESH and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=0.0, persistent=True)


def look() -> None:
    """Find the worker's Python, and ask which worker runs; :func:`mirror` brings the answer to that."""
    global _asked
    state = bpy.context.window_manager.lucid_worker
    try:
        state.python, state.missing, state.hint = str(worker_python()), "", ""
    except LucidError as error:
        state.python, state.missing, state.hint = "", error.text, error.hint
    if _asked is None:
        _asked = Asked(ask)


def end_worker() -> None:
    """Stop the worker, whichever Lucid it is of; :func:`mirror` brings the answer. Takes that wait or run can be resumed."""
    global _asked
    if _asked is not None:
        _asked.close(0.0)
    _asked = Asked(end)
    bpy.context.window_manager.lucid_worker.stopping = True
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):      # without a window no timer fires
        bpy.app.timers.register(_tick, persistent=True)


def mirror() -> bool:
    """True while the worker is asked; when it has answered ``WindowManager.lucid_worker`` says what."""
    global _asked, _seen_at
    if _asked is None:
        return False
    try:
        seen = _asked.poll()
    except LucidError as error:
        seen = Seen(True, "", error)
    if seen is None:
        return True
    _asked, _seen_at = None, time.monotonic()
    state = bpy.context.window_manager.lucid_worker
    state.there, state.text, state.stopping = seen.there, seen.text, False
    state.error = str(seen.error) if seen.error else ""
    return False


def register() -> None:
    bpy.utils.register_class(LucidWorkerState)
    bpy.types.WindowManager.lucid_worker = PointerProperty(type=LucidWorkerState, name="Lucid Worker", options={"SKIP_SAVE"})


def unregister() -> None:
    """No thread stays, and no timer."""
    global _asked, _seen_at
    if _asked is not None:
        _asked.close()
    _asked, _seen_at = None, float("-inf")
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    del bpy.types.WindowManager.lucid_worker
    bpy.utils.unregister_class(LucidWorkerState)


def _tick() -> float | None:
    if _asked is None:
        look()
    return tick(mirror)
