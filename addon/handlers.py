# SPDX-License-Identifier: GPL-3.0-or-later
"""The one handler: takes and findings belong to a file, so another file means others."""

from __future__ import annotations

import bpy

from .timeline import source_scene


@bpy.app.handlers.persistent
def read_takes_after_load(_path: str) -> None:
    runtime = bpy.context.window_manager.lucid
    runtime.read_takes(source_scene(bpy.context.scene).lucid.shot)
    runtime.show_findings("", ())


def register() -> None:
    bpy.app.handlers.load_post.append(read_takes_after_load)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(read_takes_after_load)
