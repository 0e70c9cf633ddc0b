# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests inside Blender: the strips of a timeline, and their pictures beside those on the disk."""

from __future__ import annotations

from pathlib import Path

import bpy
import cv2
import numpy as np
from lucid.inference.shot.paths import frame_path
from lucid.inference.shot.takes import get_take


def strips_of(timeline: bpy.types.Scene) -> list[bpy.types.ImageStrip]:
    return sorted(timeline.sequence_editor.strips, key=lambda strip: strip.channel)


def rendered_frame(timeline: bpy.types.Scene, frame: int, path: Path) -> np.ndarray:
    timeline.frame_set(frame)
    timeline.render.image_settings.file_format = "PNG"
    timeline.render.image_settings.color_mode = "RGB"
    timeline.render.filepath = str(path)
    bpy.context.window.scene = timeline
    bpy.ops.render.render(write_still=True)
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(int)


def final_frame(folder: Path, number: int, frame: int) -> np.ndarray:
    """In steps of 8 bits."""
    take = get_take(folder, number)
    return cv2.imread(str(take.folder / frame_path(take.final_pattern, frame)), cv2.IMREAD_UNCHANGED) / 257.0
