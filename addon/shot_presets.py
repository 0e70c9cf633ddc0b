# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets of the shot: size, passes, samples, steps and weights, by Blender's own presets. "Draft" and "Final" come with Lucid,
from ``presets/``; the user's are kept where Blender keeps them."""

from __future__ import annotations

from pathlib import Path

import bpy
from bl_ui.utils import PresetPanel

SUBDIR = "lucid/shot"
FOLDER = Path(__file__).resolve().parent / "presets"


class LUCID_PT_shot_presets(PresetPanel, bpy.types.Panel):
    """Settings of the shot that are kept under a name"""

    bl_label = "Shot Presets"
    preset_subdir = SUBDIR
    preset_operator = "script.execute_preset"
    preset_add_operator = "lucid.shot_preset_add"


_register_class, _unregister_class = bpy.utils.register_classes_factory((LUCID_PT_shot_presets,))


def register() -> None:
    bpy.utils.register_preset_path(str(FOLDER.parent))
    _register_class()


def unregister() -> None:
    _unregister_class()
    bpy.utils.unregister_preset_path(str(FOLDER.parent))
