# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's preferences: where the worker's Python is, when the launcher's answer is not wanted."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from .. import __package__ as base_package
from ..inference.errors import LucidError


class LucidPreferences(bpy.types.AddonPreferences):
    bl_idname = base_package

    worker_python: StringProperty(
        name="Worker Python", subtype="FILE_PATH",
        description="Python with torch and diffusers; empty: the one that the launcher set up")

    def draw(self, _context: bpy.types.Context) -> None:
        from .worker import worker_python

        self.layout.prop(self, "worker_python")
        try:
            self.layout.label(text=f"In use: {worker_python()}", icon="CHECKMARK")
        except LucidError as error:
            self.layout.label(text=error.text, icon="ERROR")
            self.layout.label(text=error.hint)


def preferences() -> LucidPreferences | None:
    """The preferences; None where Lucid is loaded by path and not as an installed extension."""
    addon = bpy.context.preferences.addons.get(base_package)
    return addon.preferences if addon is not None else None


register, unregister = bpy.utils.register_classes_factory((LucidPreferences,))
