# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands and eyes inside Blender's real interface, and the notes of what they found; the sessions import it.

``blender --python SESSION -- NOTES.json FRAMEBUFFER FOLDER``. A timer drives a session, so Blender's own event loop runs between
any two steps, as it does under a user's hands.
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
from stalls import Stalls

NOTES, SCREEN, FOLDER = map(Path, sys.argv[sys.argv.index("--") + 1:])
SHOT = FOLDER / "lucid" / "street.lucid"
notes: dict[str, Any] = {}
stalls = Stalls(Path(sys.modules["bl_ext.user_default.lucid"].__file__).parent, excepted=frozenset({"render_some"}))


def where(kind: str = "VIEW_3D", part: str = "WINDOW") -> dict[str, Any]:
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == kind)
    region = next(region for region in area.regions if region.type == part)
    return {"window": window, "screen": window.screen, "area": area, "region": region}


def call(operator: Any, context: str = "EXEC_DEFAULT", **values: Any) -> str:
    """Call an operator as a button of the viewport does, with an undo step; what it returns, or says."""
    with bpy.context.temp_override(**where()):
        try:
            return next(iter(operator(context, True, **values)))
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


def press(kind: str, x: int, y: int, **more: Any) -> None:
    """A key or a button goes down and up at (x, y), pixels of the window from the lower left."""
    window = where()["window"]
    window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    for value in ("PRESS", "RELEASE"):
        window.event_simulate(type=kind, value=value, x=x, y=y, **(more if value == "PRESS" else {}))


def write(text: str, x: int, y: int) -> Iterator[float]:
    """Type over what a text field has."""
    window = where()["window"]
    for value in ("PRESS", "RELEASE"):
        window.event_simulate(type="A", value=value, x=x, y=y, ctrl=True)
    yield 0.1
    for letter in text:
        kind = "SPACE" if letter == " " else letter.upper()
        window.event_simulate(type=kind, value="PRESS", x=x, y=y, unicode=letter)
        window.event_simulate(type=kind, value="RELEASE", x=x, y=y)
    yield 0.2
    press("RET", x, y)
    yield 0.2


def waiting() -> list[str]:
    """The operators that wait for events."""
    return [operator.bl_idname for operator in where()["window"].modal_operators]


def stopped(idname: str) -> bool:
    """Whether no operator of that name is modal in the window."""
    room, _, name = idname.partition(".")
    return f"{room.upper()}_OT_{name}" not in waiting()


def show_sequencer() -> Iterator[float]:
    """Split the viewport: strips below it on the left, their picture on the right."""
    screen = bpy.context.window_manager.windows[0].screen
    with bpy.context.temp_override(**where()):
        bpy.ops.screen.area_split(direction="HORIZONTAL", factor=0.4)
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


def picture_region() -> bpy.types.Region:
    """Where the Sequencer shows its picture."""
    area = next(area for area in where()["screen"].areas
                if area.type == "SEQUENCE_EDITOR" and area.spaces[0].view_type == "PREVIEW")
    return next(region for region in area.regions if region.type == "PREVIEW")


def shown() -> list[str]:
    """The strips that are seen on the timeline."""
    timeline = bpy.context.workspace.sequencer_scene
    strips = timeline.sequence_editor.strips if timeline is not None else ()
    return [strip.name for strip in strips if not strip.mute and strip.type == "IMAGE"]


def write_notes() -> None:
    NOTES.write_text(json.dumps(notes | {"calls": stalls.told()}), encoding="utf-8")


def run(steps: Iterator[float]) -> None:
    """Drive a session; at its end the notes are written and Blender ends."""

    def drive() -> float | None:
        try:
            return next(steps)
        except StopIteration:
            notes["whole"] = True
        except Exception:  # noqa: BLE001  whatever it was, the test outside has to see it
            notes["traceback"] = traceback.format_exc()
        write_notes()
        os._exit(0)

    faulthandler.enable((FOLDER / "crash.txt").open("w"))
    bpy.app.timers.register(drive, first_interval=2.0)
