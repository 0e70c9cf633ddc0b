# SPDX-License-Identifier: GPL-3.0-or-later
"""The one handler: the takes list mirrors the disk, so another file means another list."""

from __future__ import annotations

import bpy

from .timeline import source_scene


@bpy.app.handlers.persistent
def read_takes_after_load(_path: str) -> None:
    bpy.context.window_manager.lucid.read_takes(source_scene(bpy.context.scene).lucid.shot)


def register() -> None:
    bpy.app.handlers.load_post.append(read_takes_after_load)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(read_takes_after_load)
