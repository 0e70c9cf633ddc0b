# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the shot's settings under a name, or forget them."""

from __future__ import annotations

from pathlib import Path

import bpy
from bl_operators.presets import AddPresetBase

from ..addon.shot_presets import FOLDER, SUBDIR

VALUES = ("use_size", "width", "height", "passes", "samples", "steps", "weights")


class LUCID_OT_shot_preset_add(AddPresetBase, bpy.types.Operator):
    """Keep size, passes, samples, steps and weights under a name, or forget such a name"""

    bl_idname = "lucid.shot_preset_add"
    bl_label = "Add Shot Preset"
    bl_options = {"REGISTER", "INTERNAL"}   # no UNDO: it only writes a file
    preset_menu = "LUCID_PT_shot_presets"
    preset_subdir = SUBDIR
    preset_defines = ("settings = (bpy.context.scene.lucid.source or bpy.context.scene).lucid",)
    preset_values = tuple(f"settings.{name}" for name in VALUES)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if (self.remove_name or self.remove_active) and self._is_lucids():
            self.report({"WARNING"}, "This preset comes with Lucid and stays")
            return {"CANCELLED"}
        if not (self.remove_name or self.remove_active) and not self.as_filename(self.name):
            self.report({"WARNING"}, "A preset needs a name")
            return {"CANCELLED"}
        return super().execute(context)

    def _is_lucids(self) -> bool:
        """Whether the preset to forget lies beside Lucid's own files."""
        name = getattr(bpy.types, self.preset_menu).bl_label if self.remove_active else self.name
        found = (bpy.utils.preset_find(name, SUBDIR, ext=".py")
                 or bpy.utils.preset_find(name, SUBDIR, display_name=True, ext=".py"))
        return bool(found) and Path(found).resolve().is_relative_to(FOLDER)


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_shot_preset_add,))
