# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels of the 3D viewport's sidebar share. Drawing reads mirrored properties only, never the disk."""

from __future__ import annotations

import textwrap

import bpy


class LucidPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Lucid"


_WIDTH = 38                 # characters that a line of the sidebar has room for beside an icon


def lines_of(*texts: str, width: int = _WIDTH) -> list[str]:
    """Labels do not wrap by themselves."""
    return [line for text in texts for line in textwrap.wrap(text, width)]


def wrapped(layout: bpy.types.UILayout, text: str, width: int = _WIDTH, *, icon: str = "ERROR", alert: bool = True) -> None:
    """A text in lines, with an icon before the first; in red where it is an alert."""
    column = layout.column(align=True)
    column.alert = alert
    for number, line in enumerate(lines_of(text, width=width)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1")


def said(layout: bpy.types.UILayout, *texts: str, width: int = 40) -> None:
    """What there is to know, greyed: nothing to click."""
    column = layout.column(align=True)
    column.active = False
    for line in lines_of(*(text[:1].upper() + text[1:] for text in texts), width=width):
        column.label(text=line)
