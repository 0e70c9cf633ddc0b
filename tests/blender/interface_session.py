# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside Blender's real interface and walks the artist's path, from marking an actor to an edit that is undone."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from hands import (
    FOLDER,
    call,
    notes,
    photograph,
    picture_region,
    press,
    run,
    show_sequencer,
    shown,
    stalls,
    stopped,
    until,
    where,
    write,
    write_notes,
)
from pointing import ball_in_preview, point


def mark_and_prompt() -> Iterator[float]:
    bpy.context.view_layer.objects.active = bpy.data.objects["Ball"]
    notes["actor_object"] = call(bpy.ops.lucid.actor_add, kind="OBJECT")
    layers = bpy.context.view_layer.layer_collection.children
    bpy.context.view_layer.active_layer_collection = layers["Walker"]
    notes["actor_collection"] = call(bpy.ops.lucid.actor_add, kind="COLLECTION")
    settings = bpy.context.scene.lucid
    settings.actors[0].prompt, settings.actors[1].prompt = "a yellow ball", "a red man walking"
    settings.prompt = "a grey street with brick houses, bright daylight"
    yield 0.1


def preview() -> Iterator[float]:
    notes["preview"] = call(bpy.ops.lucid.preview)
    bpy.context.scene.lucid_preview.control = "depth"
    yield 1.0
    yield from photograph("preview_depth")
    bpy.context.scene.lucid_preview.control = "composed"
    yield 1.0
    yield from photograph("preview_composed")
    notes["preview_off"] = call(bpy.ops.lucid.preview)
    yield 0.3
    yield from photograph("preview_off")


def capture() -> Iterator[float]:
    settings = bpy.context.scene.lucid
    stalls.phase = "capture"
    notes["capture_stopped"] = call(bpy.ops.lucid.capture, "INVOKE_DEFAULT")
    yield 0.05
    pressed = time.monotonic()
    press("ESC", 400, 400)
    yield 0.02
    yield from until(lambda: stopped("lucid.capture"), 20.0, step=0.01)
    notes["escape_seconds"] = time.monotonic() - pressed
    notes["after_escape"] = [settings.shot, sorted(path.name for path in (FOLDER / "lucid").glob("*"))]

    notes["capture"] = call(bpy.ops.lucid.capture, "INVOKE_DEFAULT")
    yield from until(lambda: settings.shot, 300.0)
    notes["shot"] = settings.shot


def generate() -> Iterator[float]:
    settings, runtime = bpy.context.scene.lucid, bpy.context.window_manager.lucid
    yield 2.5           # the estimate is looked up beside
    yield from photograph("planned")
    stalls.phase = "generate"
    settings.steps = 400
    notes["generate_cancelled"] = call(bpy.ops.lucid.generate)
    yield from until(lambda: runtime.progress > 0.0, 300.0)
    notes["second_job"] = call(bpy.ops.lucid.generate)
    notes["cancel"] = call(bpy.ops.lucid.cancel)
    pressed = time.monotonic()
    yield from until(lambda: not runtime.running, 60.0)
    notes["cancel_seconds"] = time.monotonic() - pressed
    notes["cancelled"] = [row.state for row in runtime.takes]

    settings.steps = 0
    notes["turns"] = 0
    notes["generate"] = call(bpy.ops.lucid.generate)
    yield from until(lambda: runtime.progress > 0.3 or not runtime.running, 400.0)
    yield from photograph("generating")
    yield from until(lambda: not runtime.running, 400.0)
    notes["error"], notes["takes"] = runtime.error, [row.state for row in runtime.takes]


def bring_back() -> Iterator[float]:
    stalls.phase = "import"
    yield from import_take("import")
    timeline = bpy.context.workspace.sequencer_scene
    notes["timeline"] = [timeline.name, [strip.name for strip in timeline.sequence_editor.strips], bpy.context.scene.name]
    timeline.frame_set(timeline.frame_end // 2)
    stalls.phase = ""
    yield from show_sequencer()
    yield from photograph("imported")


def import_take(note: str) -> Iterator[float]:
    notes[note] = call(bpy.ops.lucid.import_take, "INVOKE_DEFAULT")
    yield from until(lambda: stopped("lucid.import_take"), 20.0)
    yield 0.2


def edit() -> Iterator[float]:
    """Click the ball in the Sequencer's picture, type another wish, and have it painted again."""
    runtime, wish = bpy.context.window_manager.lucid, bpy.context.window_manager.lucid_edit
    x, y = ball_in_preview()
    wish.label = ""
    stalls.phase = "point"
    notes["point"] = call(bpy.ops.lucid.point, "INVOKE_DEFAULT")
    yield 0.2
    clicked = time.monotonic()
    press("LEFTMOUSE", x, y)
    yield from until(lambda: wish.label, 20.0, step=0.02)
    notes["click_seconds"] = time.monotonic() - clicked
    yield from photograph("edit_box")
    notes["aimed"] = [wish.label, wish.layer, wish.take, [item.name for item in bpy.context.selected_objects]]
    count = len(runtime.takes)
    yield from write("a blue ball", x, y)
    notes["edit_prompt"] = wish.prompt
    yield from photograph("edit_written")
    clicked = time.monotonic()
    press("RET", x, y)
    yield from until(lambda: len(runtime.takes) > count, 20.0, step=0.02)
    notes["edit_seconds"] = time.monotonic() - clicked
    stalls.phase = "generate"
    yield from until(lambda: not runtime.running, 400.0)
    notes["edited"] = [row.state for row in runtime.takes]
    stalls.phase = "import"
    yield from import_take("import_edit")
    yield from photograph("edited")


def compare_and_undo() -> Iterator[float]:
    region = picture_region()
    notes["picture"] = [region.x, region.y, region.width, region.height]
    notes["shown"] = [shown()]
    stalls.phase = "cut"
    for name in ("compared_2", "compared_3"):
        notes[name] = call(bpy.ops.lucid.take_compare)
        yield from photograph(name)
        notes["shown"].append(shown())
    yield from show_takes()
    yield from photograph("takes")
    ball = bpy.context.scene.lucid.actors["Ball"]
    ball.visible = False
    yield from photograph("ball_hidden")
    notes["hidden"] = shown()
    ball.visible = True
    yield 0.2
    with bpy.context.temp_override(**where()):
        for _ in range(3):
            bpy.ops.ed.undo()
            yield 0.2
            notes["shown"].append(shown())


def show_takes() -> Iterator[float]:
    """The list of takes, beside the strips."""
    strips = next(area for area in where()["screen"].areas
                  if area.type == "SEQUENCE_EDITOR" and area.spaces[0].view_type != "PREVIEW")
    strips.spaces[0].show_region_ui = True
    yield 0.5
    next(region for region in strips.regions if region.type == "UI").active_panel_category = "Lucid"
    yield 1.0           # Blender reads the thumbnails by itself


def delete() -> Iterator[float]:
    """The cancelled one."""
    runtime = bpy.context.window_manager.lucid
    stalls.phase = "delete"
    notes["deleted"] = call(bpy.ops.lucid.take_delete, number=1)
    yield 1.0
    notes["after_delete"] = [row.number for row in runtime.takes]


class EVERY_PT_panel(bpy.types.Panel):
    """Whatever Lucid draws, open, wherever it is drawn: closed panels draw nothing."""

    bl_space_type, bl_region_type, bl_category, bl_label = "VIEW_3D", "UI", "Every", "Every Panel"

    def draw(self, context: bpy.types.Context) -> None:
        notes["drawn"] = []
        for name in sorted(name for name in dir(bpy.types) if name.startswith("LUCID_PT_") and name != "LUCID_PT_shot_presets"):
            panel = getattr(bpy.types, name)
            if not hasattr(panel, "poll") or panel.poll(context):
                box = self.layout.box()
                box.label(text=panel.bl_label)
                panel.draw(SimpleNamespace(layout=box, bl_space_type=panel.bl_space_type), context)
                notes["drawn"].append(name)


def every_panel() -> Iterator[float]:
    sidebar = next(region for region in where()["area"].regions if region.type == "UI")
    bpy.utils.register_class(EVERY_PT_panel)
    yield 0.3
    sidebar.active_panel_category = "Every"
    yield from photograph("every_panel")
    bpy.utils.unregister_class(EVERY_PT_panel)
    sidebar.active_panel_category = "Lucid"
    notes["preferences"] = call(bpy.ops.lucid.preferences_open)
    yield 1.0
    yield from photograph("preferences")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    yield 0.3


def leave_a_job() -> Iterator[float]:
    """Blender is killed while a take of its is made; see next_session.py."""
    settings, runtime = bpy.context.scene.lucid, bpy.context.window_manager.lucid
    stalls.phase = ""
    settings.steps, settings.seed = 3, 7
    bpy.ops.wm.save_mainfile()
    notes["left"] = call(bpy.ops.lucid.generate)
    yield from until(lambda: runtime.progress > 0.0, 300.0)
    write_notes()
    os.kill(os.getpid(), signal.SIGKILL)


def session() -> Iterator[float]:
    place = where()
    place["area"].spaces[0].region_3d.view_perspective = "CAMERA"
    place["area"].spaces[0].shading.type = "SOLID"
    place["area"].spaces[0].show_region_ui = True
    yield from photograph("sidebar")
    sidebar = next(region for region in place["area"].regions if region.type == "UI")
    sidebar.active_panel_category = "Lucid"
    notes["sidebar"] = [sidebar.x, sidebar.y, sidebar.width, sidebar.height]
    region = place["region"]
    notes["viewport"] = [region.x, region.y, region.width // 2, region.height]
    notes["scale"] = bpy.context.preferences.system.ui_scale
    yield from photograph("empty_panel")
    for part in (mark_and_prompt, preview, capture, generate, bring_back, every_panel, point, edit, compare_and_undo, delete,
                 leave_a_job):
        notes["part"] = part.__name__
        yield from part()
        stalls.phase = ""


run(session())
