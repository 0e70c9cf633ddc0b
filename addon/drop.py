# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to a shot that lies on the disk: File > Import, and a shot.json dropped on a viewport, a Sequencer or an Image Editor.

Blender offers a dropped file by its suffix; whether it is a shot is known only when it is read.
"""

from __future__ import annotations

from pathlib import Path

import bpy

from ..inference.errors import LucidError
from ..inference.shot.store import MANIFEST, SUFFIX
from .translation import iface_

_AREAS = frozenset({"VIEW_3D", "SEQUENCE_EDITOR", "IMAGE_EDITOR"})
_REGIONS = frozenset({"WINDOW", "PREVIEW"})


def shot_folder(path: str) -> Path:
    """The shot's folder, of the path of its manifest or its own. Raises SHOT_MISSING for any other."""
    chosen = Path(bpy.path.abspath(path))
    if chosen.is_dir():
        return chosen.resolve()
    if chosen.name != MANIFEST:
        raise LucidError("SHOT_MISSING", f"{chosen.name} is not a shot", f"choose the {MANIFEST} in a NAME{SUFFIX} folder")
    return chosen.parent.resolve()


class LUCID_FH_shot(bpy.types.FileHandler):
    """What a dropped shot.json does."""

    bl_idname = "LUCID_FH_shot"
    bl_label = "Lucid Shot"
    bl_import_operator = "lucid.open_shot"
    bl_file_extensions = Path(MANIFEST).suffix

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        area, region = context.area, context.region
        return area is not None and area.type in _AREAS and region is not None and region.type in _REGIONS


def _draw_import(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    menu.layout.operator("lucid.open_shot", text=iface_("Lucid Shot ({file})").format(file=MANIFEST))


def register() -> None:
    bpy.utils.register_class(LUCID_FH_shot)
    bpy.types.TOPBAR_MT_file_import.append(_draw_import)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(_draw_import)
    bpy.utils.unregister_class(LUCID_FH_shot)
