# SPDX-License-Identifier: GPL-3.0-or-later
"""A timer that mirrors something into the window manager and has the panels drawn again while it goes on."""

from __future__ import annotations

from collections.abc import Callable

import bpy

POLL = 0.25             # seconds between two looks


def tick(mirror: Callable[[], bool]) -> float | None:
    """What a timer's function returns: the seconds to the next look, or None once ``mirror`` says that it is over."""
    goes_on = mirror()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
    return POLL if goes_on else None
