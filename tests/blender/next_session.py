# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender after the one that was killed: it opens the same file, sees the take go on, and imports it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from hands import call, notes, photograph, run, shown, stopped, until, where


def session() -> Iterator[float]:
    runtime = bpy.context.window_manager.lucid
    place = where()
    place["area"].spaces[0].show_region_ui = True
    yield 0.3
    next(region for region in place["area"].regions if region.type == "UI").active_panel_category = "Lucid"
    notes["takes"] = [[row.number, row.state] for row in runtime.takes]
    notes["running"] = runtime.running
    yield from photograph("taken_up")
    yield from until(lambda: not runtime.running, 300.0)
    notes["after"] = [[row.number, row.state] for row in runtime.takes]
    notes["notice"] = bpy.context.window_manager.lucid_worker.notice
    notes["import"] = call(bpy.ops.lucid.import_take, "INVOKE_DEFAULT", number=4)
    yield from until(lambda: stopped("lucid.import_take"), 20.0)
    notes["shown"] = shown()


run(session())
