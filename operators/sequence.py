# SPDX-License-Identifier: GPL-3.0-or-later
"""Every shot of the timeline in one capture."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..addon.capture import CaptureSpec
from ..addon.capture.sequence import free_folder, has_shots, planned
from ..addon.shots import blend_name, capture_spec, output_folder
from ..addon.timeline import source_scene
from ..addon.translation import rpt_
from .capture import CaptureOperator


class LUCID_OT_capture_all_shots(CaptureOperator, bpy.types.Operator):
    """Write a shot for each marker that binds a camera; objects keep their ids from shot to shot. Esc stops it"""

    bl_idname = "lucid.capture_all_shots"
    bl_label = "Capture All Shots"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not has_shots(source_scene(context.scene)):
            cls.poll_message_set(rpt_("No marker binds a camera: use Marker > Bind Camera to Markers in the timeline"))
            return False
        return super().poll(context)

    def _shots(self, scene: bpy.types.Scene) -> list[tuple[CaptureSpec, Path]]:
        return planned(scene, capture_spec(scene), free_folder(output_folder(scene), blend_name()))


register, unregister = bpy.utils.register_classes_factory((LUCID_OT_capture_all_shots,))
