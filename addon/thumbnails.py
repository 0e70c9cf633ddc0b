# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of takes for the panels. Blender reads each file when it is first drawn, in a job of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bpy
import bpy.utils.previews

_previews: bpy.utils.previews.ImagePreviewCollection | None = None
_stamps: dict[str, int] = {}        # when the file of each picture was written: another one there is another picture


def show(paths: Iterable[str]) -> None:
    """Have pictures of these files, and of no others; one that is missing is left out."""
    if _previews is None:
        return
    wanted = {path: stamp for path in paths if (stamp := _stamp(path)) is not None}
    for path in [path for path, stamp in _stamps.items() if wanted.get(path) != stamp]:
        del _previews[path], _stamps[path]
    for path, stamp in wanted.items():
        if path not in _stamps:
            _previews.load(path, path, "IMAGE", True)
            _stamps[path] = stamp


def icon(path: str) -> int:
    """The icon of a picture that :func:`show` was asked for; 0 where there is none."""
    return _previews[path].icon_id if path in _stamps and _previews is not None else 0


def preview(path: str) -> bpy.types.ImagePreview | None:
    """The picture itself, for who reads its pixels; None where there is none."""
    return _previews[path] if path in _stamps and _previews is not None else None


def _stamp(path: str) -> int | None:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return None


def register() -> None:
    global _previews
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    global _previews
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
    _previews = None
    _stamps.clear()
