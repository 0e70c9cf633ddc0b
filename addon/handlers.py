# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes and findings belong to a file, so another file means others; undo and redo may bring another shot."""

from __future__ import annotations

import bpy

from .timeline import source_scene


@bpy.app.handlers.persistent
def read_takes_after_load(_path: str) -> None:
    runtime = bpy.context.window_manager.lucid
    runtime.read_takes(source_scene(bpy.context.scene).lucid.shot)
    runtime.show_findings("", ())


@bpy.app.handlers.persistent
def read_takes_after_undo(_scene: bpy.types.Scene) -> None:
    runtime, shot = bpy.context.window_manager.lucid, source_scene(bpy.context.scene).lucid.shot
    if runtime.takes_of != shot:
        runtime.read_takes(shot)


def register() -> None:
    bpy.app.handlers.load_post.append(read_takes_after_load)
    for handlers in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        handlers.append(read_takes_after_undo)


def unregister() -> None:
    for handlers in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        handlers.remove(read_takes_after_undo)
    bpy.app.handlers.load_post.remove(read_takes_after_load)
