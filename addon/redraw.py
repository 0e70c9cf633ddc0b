# SPDX-License-Identifier: GPL-3.0-or-later
"""A timer that mirrors something into the window manager and has the panels drawn again while it goes on."""

from __future__ import annotations

from collections.abc import Callable

import bpy

POLL = 0.25             # seconds between two looks
# where Lucid's panels are; the viewport's and the pictures' own regions are left alone, for they may cost much
_PANELS = {"VIEW_3D": "UI", "SEQUENCE_EDITOR": "UI", "IMAGE_EDITOR": "UI", "PROPERTIES": "WINDOW", "PREFERENCES": "WINDOW"}
_TIMELINES = ("DOPESHEET_EDITOR", "SEQUENCE_EDITOR")


def tick(mirror: Callable[[], bool]) -> float | None:
    """What a timer's function returns: the seconds to the next look, or None once ``mirror`` says that it is over."""
    goes_on = mirror()
    redraw()
    return POLL if goes_on else None


def redraw() -> None:
    """Have the regions with Lucid's panels drawn again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions:
                if region.type == _PANELS.get(area.type):
                    region.tag_redraw()


def redraw_timelines() -> None:
    """Have the editors drawn again that the window plan lies on."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in _TIMELINES:
                area.tag_redraw()
