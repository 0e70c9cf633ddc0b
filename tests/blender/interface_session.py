# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside Blender's real interface: does what a user does, notes what happened, copies the screen.

``--python interface_session.py -- NOTES.json FRAMEBUFFER FOLDER``. A timer drives it, so Blender's own event loop runs
between any two steps, as it does under a user's hands.
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

NOTES, SCREEN, FOLDER = map(Path, sys.argv[sys.argv.index("--") + 1:])
notes: dict[str, Any] = {}
faulthandler.enable((FOLDER / "crash.txt").open("w"))


def where(kind: str = "VIEW_3D") -> dict[str, Any]:
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == kind)
    region = next(region for region in area.regions if region.type == "WINDOW")
    return {"window": window, "screen": window.screen, "area": area, "region": region}


def call(operator: Any, *arguments: Any, **values: Any) -> str:
    with bpy.context.temp_override(**where()):
        try:
            return next(iter(operator(*arguments, **values)))
        except RuntimeError as error:
            return str(error)


def photograph(name: str) -> Iterator[float]:
    """Let everything be drawn, then keep the X server's frame buffer."""
    for area in bpy.context.window_manager.windows[0].screen.areas:
        area.tag_redraw()
    yield 0.6
    shutil.copy(SCREEN, FOLDER / f"{name}.xwd")


def until(condition: Any, seconds: float, step: float = 0.05) -> Iterator[float]:
    """Wait for ``condition``; counts how often the interface came round meanwhile."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        notes["turns"] = notes.get("turns", 0) + 1
        yield step


def show_sequencer() -> Iterator[float]:
    """Split the viewport: strips below it on the left, their picture on the right."""
    screen = bpy.context.window_manager.windows[0].screen
    with bpy.context.temp_override(**where()):
        bpy.ops.screen.area_split(direction="HORIZONTAL", factor=0.28)
    below = min((area for area in screen.areas if area.type == "VIEW_3D"), key=lambda area: area.y)
    below.ui_type = "SEQUENCE_EDITOR"
    yield 0.3
    with bpy.context.temp_override(**where("SEQUENCE_EDITOR")):
        bpy.ops.screen.area_split(direction="VERTICAL", factor=0.6)
    yield 0.3
    right = max((area for area in screen.areas if area.type == "SEQUENCE_EDITOR"), key=lambda area: area.x)
    right.spaces[0].view_type = "PREVIEW"
    right.spaces[0].preview_overlay.show_metadata = False
    for area in screen.areas:
        if area.type == "SEQUENCE_EDITOR":
            area.spaces[0].show_region_toolbar = False
            region = next(region for region in area.regions
                          if region.type == ("PREVIEW" if area == right else "WINDOW"))
            yield 0.3
            with bpy.context.temp_override(window=where()["window"], screen=screen, area=area, region=region):
                (bpy.ops.sequencer.view_all_preview if area == right else bpy.ops.sequencer.view_all)()


def session() -> Iterator[float]:
    scene, runtime = bpy.context.scene, bpy.context.window_manager.lucid
    place = where()
    place["area"].spaces[0].region_3d.view_perspective = "CAMERA"
    place["area"].spaces[0].shading.type = "SOLID"
    place["area"].spaces[0].show_region_ui = True
    yield from photograph("sidebar")
    sidebar = next(region for region in place["area"].regions if region.type == "UI")
    sidebar.active_panel_category = "Lucid"
    notes["sidebar"] = [sidebar.x, sidebar.y, sidebar.width, sidebar.height]
    notes["scale"] = bpy.context.preferences.system.ui_scale
    yield from photograph("empty_panel")

    bpy.context.view_layer.objects.active = bpy.data.objects["Ball"]
    notes["actor_object"] = call(bpy.ops.lucid.actor_add, kind="OBJECT")
    layers = bpy.context.view_layer.layer_collection.children
    bpy.context.view_layer.active_layer_collection = layers["Walker"]
    notes["actor_collection"] = call(bpy.ops.lucid.actor_add, kind="COLLECTION")
    settings = scene.lucid
    settings.actors[0].prompt, settings.actors[1].prompt = "a yellow ball", "a red man walking"
    settings.prompt = "a grey street with brick houses, bright daylight"

    notes["capture_stopped"] = call(bpy.ops.lucid.capture, "INVOKE_DEFAULT")
    yield 0.05
    where()["window"].event_simulate(type="ESC", value="PRESS", x=400, y=400)
    where()["window"].event_simulate(type="ESC", value="RELEASE", x=400, y=400)
    yield 1.5
    notes["after_escape"] = [settings.shot, sorted(path.name for path in (FOLDER / "lucid").glob("*"))]

    notes["capture"] = call(bpy.ops.lucid.capture, "INVOKE_DEFAULT")
    yield from until(lambda: settings.shot, 120.0)
    notes["shot"] = settings.shot

    settings.steps = 400
    notes["generate_cancelled"] = call(bpy.ops.lucid.generate)
    yield from until(lambda: runtime.progress > 0.0, 120.0)
    notes["second_job"] = call(bpy.ops.lucid.generate)
    notes["cancel"] = call(bpy.ops.lucid.cancel)
    yield from until(lambda: not runtime.running, 60.0)
    notes["cancelled"] = [row.state for row in runtime.takes]

    settings.steps = 0
    notes["turns"] = 0
    notes["generate"] = call(bpy.ops.lucid.generate)
    yield from until(lambda: runtime.progress > 0.3 or not runtime.running, 200.0)
    yield from photograph("generating")
    yield from until(lambda: not runtime.running, 200.0)
    notes["error"], notes["takes"] = runtime.error, [row.state for row in runtime.takes]
    notes["import"] = call(bpy.ops.lucid.import_take)
    timeline = bpy.context.workspace.sequencer_scene
    notes["timeline"] = [timeline.name, [strip.name for strip in timeline.sequence_editor.strips], scene.name]

    timeline.frame_set(timeline.frame_end // 2)
    yield from show_sequencer()
    yield from photograph("imported")


steps = session()


def drive() -> float | None:
    try:
        return next(steps)
    except StopIteration:
        notes["whole"] = True
    except Exception:  # noqa: BLE001  whatever it was, the test outside has to see it
        notes["traceback"] = traceback.format_exc()
    NOTES.write_text(json.dumps(notes), encoding="utf-8")
    os._exit(0)


bpy.app.timers.register(drive, first_interval=2.0)
