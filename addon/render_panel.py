# SPDX-License-Identifier: GPL-3.0-or-later
"""The shot and its generation once more in Properties > Render, where renders are set up."""

from __future__ import annotations

import bpy

from .generate_panel import GenerateBlock, ModelBlock
from .shot_panel import PassesBlock, ShotBlock


class _RenderPanel:
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"


class LUCID_PT_render(_RenderPanel, bpy.types.Panel):
    bl_label = "Lucid"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, _context: bpy.types.Context) -> None:
        return      # its children say all


class LUCID_PT_render_shot(_RenderPanel, ShotBlock, bpy.types.Panel):
    bl_parent_id = "LUCID_PT_render"


class LUCID_PT_render_passes(_RenderPanel, PassesBlock, bpy.types.Panel):
    bl_parent_id = "LUCID_PT_render_shot"


class LUCID_PT_render_generate(_RenderPanel, GenerateBlock, bpy.types.Panel):
    bl_parent_id = "LUCID_PT_render"


class LUCID_PT_render_model(_RenderPanel, ModelBlock, bpy.types.Panel):
    bl_parent_id = "LUCID_PT_render_generate"


register, unregister = bpy.utils.register_classes_factory((
    LUCID_PT_render, LUCID_PT_render_shot, LUCID_PT_render_passes, LUCID_PT_render_generate, LUCID_PT_render_model))
