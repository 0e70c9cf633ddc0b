# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes and findings belong to a file, so another file means others, and maybe a job that another Blender left behind; undo and
redo may bring another shot."""

from __future__ import annotations

import bpy

from . import session
from .timeline import source_scene


@bpy.app.handlers.persistent
def read_takes_after_load(_path: str) -> None:
    runtime = bpy.context.window_manager.lucid
    runtime.read_takes(source_scene(bpy.context.scene).lucid.shot)
    runtime.show_findings("", ())
    session.look_around()


@bpy.app.handlers.persistent
def read_takes_after_undo(_scene: bpy.types.Scene) -> None:
    runtime, shot = bpy.context.window_manager.lucid, source_scene(bpy.context.scene).lucid.shot
    if runtime.takes_of != shot:
        runtime.read_takes(shot)


def _look_at_the_open_file() -> None:
    """Switched on while a file is open: while it is being registered, an add-on sees no scene."""
    read_takes_after_load("")


def register() -> None:
    if not bpy.app.background:
        bpy.app.timers.register(_look_at_the_open_file, first_interval=0.0)
    bpy.app.handlers.load_post.append(read_takes_after_load)
    for handlers in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        handlers.append(read_takes_after_undo)


def unregister() -> None:
    if bpy.app.timers.is_registered(_look_at_the_open_file):
        bpy.app.timers.unregister(_look_at_the_open_file)
    for handlers in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        handlers.remove(read_takes_after_undo)
    bpy.app.handlers.load_post.remove(read_takes_after_load)
