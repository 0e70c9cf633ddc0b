# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels of the 3D viewport's sidebar share. Drawing reads mirrored properties only, never the disk."""

from __future__ import annotations

import textwrap

import bpy


class LucidPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Lucid"


def wrapped(layout: bpy.types.UILayout, text: str, width: int = 38) -> None:
    """Labels do not wrap by themselves."""
    column = layout.column(align=True)
    column.alert = True
    for number, line in enumerate(textwrap.wrap(text, width)):
        column.label(text=line, icon="ERROR" if number == 0 else "BLANK1")


def said(layout: bpy.types.UILayout, *texts: str, width: int = 40) -> None:
    """What there is to know, greyed: nothing to click."""
    column = layout.column(align=True)
    column.active = False
    for line in (line for text in texts for line in textwrap.wrap(text, width)):
        column.label(text=line)
