# SPDX-License-Identifier: GPL-3.0-or-later
"""Pointing at the same thing in each place where a take is seen: a part of the session."""

from __future__ import annotations

import time
from collections.abc import Iterator

import bpy
import numpy as np
from bl_ext.user_default.lucid.inference.shot.exr import read_image
from bl_ext.user_default.lucid.inference.shot.store import open_shot
from bpy_extras.view3d_utils import location_3d_to_region_2d
from hands import SHOT, notes, photograph, picture_region, press, waiting, where


def ball_pixel(frame: int, size: tuple[int, int]) -> tuple[float, float]:
    """The middle of the ball in a frame of the shot, from the left and the bottom, in widths and heights."""
    shot = open_shot(SHOT, verify=False)
    ids = read_image(SHOT / shot.sequence("id").path(frame)).channels["id"]
    assert ids.shape == (size[1], size[0])
    rows, columns = np.nonzero(np.isin(ids, shot.layer("Ball").ids))
    middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return (columns[middle] + 0.5) / size[0], 1.0 - (rows[middle] + 0.5) / size[1]


def ball_in_preview() -> tuple[int, int]:
    """Where the Sequencer shows it, in pixels of the window."""
    timeline, region = bpy.context.workspace.sequencer_scene, picture_region()
    size = timeline.render.resolution_x, timeline.render.resolution_y
    u, v = ball_pixel(timeline.frame_current, size)
    x, y = region.view2d.view_to_region((u - 0.5) * size[0], (v - 0.5) * size[1], clip=False)
    return region.x + round(x), region.y + round(y)


def pointed(name: str, area: bpy.types.Area, part: str, x: float, y: float, *, key: str = "LEFTMOUSE") -> Iterator[float]:
    """Press the panel's button, then ``key`` at (x, y) of the area's region ``part``; note what is aimed at."""
    edit = bpy.context.window_manager.lucid_edit
    edit.label = ""
    sidebar = next(region for region in area.regions if region.type == "UI")
    region = next(region for region in area.regions if region.type == part)
    assert 0 <= x < region.width and 0 <= y < region.height, f"({x}, {y}) is outside the {name}"
    with bpy.context.temp_override(**where() | {"area": area, "region": sidebar}):
        begun = next(iter(bpy.ops.lucid.point("INVOKE_DEFAULT")))
    yield 0.3
    waited = waiting()
    began = time.time()
    for each in where()["screen"].areas:
        each.tag_redraw()
    yield 0.02
    turn = time.time() - began          # what drawing all costs here
    clicked = time.time()
    press(key, region.x + round(x), region.y + round(y))
    end = time.monotonic() + (20.0 if key == "LEFTMOUSE" else 1.0)
    while not edit.label and time.monotonic() < end:
        yield 0.02
    selected = [item.name for item in bpy.context.scene.objects if item.select_get()] if part == "WINDOW" else []
    notes.setdefault("pointed", {})[name] = {
        "begun": begun, "waiting": waited, "label": edit.label, "take": edit.take, "frame": edit.frame, "selected": selected,
        "turn": turn, "seconds": time.time() - clicked,
        "still": waiting()}
    yield 0.5


def close_box() -> Iterator[float]:
    """Of the wish, without making it: leave its text field, then the box."""
    for _ in range(2):
        press("ESC", 5, 5)
        yield 0.3


def point() -> Iterator[float]:
    timeline = bpy.context.workspace.sequencer_scene
    size = timeline.render.resolution_x, timeline.render.resolution_y
    frame = timeline.frame_current
    u, v = ball_pixel(frame, size)
    preview = next(area for area in where()["screen"].areas
                   if area.type == "SEQUENCE_EDITOR" and area.spaces[0].view_type == "PREVIEW")
    region, (x, y) = picture_region(), ball_in_preview()
    yield from pointed("preview", preview, "PREVIEW", x - region.x, y - region.y)
    yield from close_box()

    viewport, camera = where(), bpy.context.scene.camera
    bpy.context.scene.frame_set(frame)
    yield 0.5
    corners = [location_3d_to_region_2d(viewport["region"], viewport["area"].spaces[0].region_3d, camera.matrix_world @ corner)
               for corner in camera.data.view_frame(scene=bpy.context.scene)]
    left, right = min(corner.x for corner in corners), max(corner.x for corner in corners)
    low, high = min(corner.y for corner in corners), max(corner.y for corner in corners)
    inside = left + u * (right - left), low + v * (high - low)
    with bpy.context.temp_override(**viewport):
        bpy.ops.object.select_all(action="DESELECT")
        bpy.ops.ed.undo_push(message="nothing is selected")
    yield from pointed("escape", viewport["area"], "WINDOW", *inside, key="ESC")
    yield from pointed("camera", viewport["area"], "WINDOW", *inside)
    yield from photograph("pointed")
    yield from close_box()
    with bpy.context.temp_override(**where()):
        bpy.ops.ed.undo()
    notes["after_undo"] = [item.name for item in bpy.context.scene.objects if item.select_get()]
    yield from point_in_image_editor(frame, u, v)


def point_in_image_editor(frame: int, u: float, v: float) -> Iterator[float]:
    strips = next(area for area in where()["screen"].areas
                  if area.type == "SEQUENCE_EDITOR" and area.spaces[0].view_type != "PREVIEW")
    strips.ui_type = "IMAGE_EDITOR"
    space = strips.spaces[0]
    space.image = bpy.data.images.load(str(SHOT / f"takes/0002/final/frame.{frame:04d}.png"))
    space.show_region_ui = True
    yield 0.5
    next(region for region in strips.regions if region.type == "UI").active_panel_category = "Lucid"
    with bpy.context.temp_override(**where("IMAGE_EDITOR")):
        bpy.ops.image.view_all(fit_view=True)
    yield 0.5
    view = where("IMAGE_EDITOR")["region"].view2d
    yield from pointed("image", strips, "WINDOW", *view.view_to_region(u, v, clip=False))
    yield from photograph("pointed_image")
    yield from close_box()
    strips.ui_type = "SEQUENCE_EDITOR"
    yield 0.3
