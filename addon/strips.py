# SPDX-License-Identifier: GPL-3.0-or-later
"""Strips that show takes: which take and part one shows, where it lies, and how its path is written in a .blend."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import bpy

from ..inference.shot.model import Frames
from ..inference.shot.takes import Take

_TAKE_FOLDER = re.compile(r"\.lucid/takes/\d+/")


def lucid_strips(timeline: bpy.types.Scene) -> Iterator[bpy.types.ImageStrip]:
    """Every image strip that shows a take, of any shot, also in meta strips."""
    editor = timeline.sequence_editor
    for strip in editor.strips_all if editor is not None else ():
        if strip.type == "IMAGE" and _TAKE_FOLDER.search(directory(strip).as_posix() + "/"):
            yield strip


def shot_strips(timeline: bpy.types.Scene, shot_folder: Path) -> list[bpy.types.ImageStrip]:
    """Those of the takes of one shot."""
    takes = shot_folder.resolve() / "takes"
    return [strip for strip in lucid_strips(timeline) if directory(strip).is_relative_to(takes)]


def mentions(timeline: bpy.types.Scene, shot_folder: str) -> bool:
    """Whether some strip's path, as it is written, names a take of a shot folder of that name; the disk is not asked."""
    editor = timeline.sequence_editor
    below = f"/{last_name(shot_folder)}/takes/"
    return any(strip.type == "IMAGE" and below in strip.directory.replace(os.sep, "/")
               for strip in (editor.strips_all if editor is not None else ()))


def last_name(folder: str) -> str:
    """The last part of a folder's path, as it is written. pathlib does not know "//": Windows reads it as a network share."""
    return folder.replace(os.sep, "/").rstrip("/").rpartition("/")[2]


def strips_showing(take: Take) -> list[tuple[bpy.types.Scene, bpy.types.ImageStrip]]:
    """Every strip that shows a take, or a heat map of it, on any timeline of this file that can be changed."""
    folder = take.folder.resolve()
    return [(scene, strip) for scene in bpy.data.scenes if scene.library is None
            for strip in lucid_strips(scene) if directory(strip).is_relative_to(folder)]


def remove_strips(take: Take) -> int:
    """Remove :func:`strips_showing` it, and the effects on them; returns how many of them there were."""
    count = 0
    while found := strips_showing(take):        # asked again each time: an effect and its inputs go together
        scene, strip = found[0]
        meta = strip.parent_meta()
        (scene.sequence_editor if meta is None else meta).strips.remove(strip)
        count += 1
    return count


def take_of(strip: bpy.types.ImageStrip) -> tuple[Take, str]:
    """The take that a strip shows, and which part of it: the folder below the take's, "final" or "layers/Ball"."""
    folder = directory(strip)
    take = next(parent for parent in (folder, *folder.parents) if parent.parent.name == "takes")
    return Take(take), folder.relative_to(take).as_posix()


def directory(strip: bpy.types.ImageStrip) -> Path:
    return Path(bpy.path.abspath(strip.directory)).resolve()


def overlaps(strip: bpy.types.Strip, frames: Frames) -> bool:
    return strip.left_handle <= frames.end and strip.right_handle > frames.start


def blend_path(path: Path) -> str:
    """``path`` relative to the .blend where there is one and it is on the same drive."""
    if not bpy.data.filepath or path.drive != Path(bpy.data.filepath).drive:
        return str(path)
    return bpy.path.relpath(str(path)).replace(os.sep, "/")
