# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring from Blender: the worker's verdict in the list of takes, and what the buttons say before there is one."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon import measuring
from lucid.inference.shot.model import TakeRequest
from lucid.inference.shot.takes import get_take, new_take
from lucid.tests import raycast as rc

WORLD = rc.World(width=96, height=54, frames=6)


@pytest.fixture
def room(scene: bpy.types.Scene, tmp_path: Path) -> Path:
    """A captured shot with a take that is done and one that is queued, as the scene's own."""
    folder = tmp_path / "room.lucid"
    shot = rc.write(WORLD, folder)
    rc.make_take(folder, shot, rc.pictures(WORLD))
    new_take(folder, TakeRequest("a room"))
    scene.lucid.shot = str(folder)
    bpy.ops.lucid.takes_refresh()
    return folder


def _refusal(operator: object) -> str:
    with pytest.raises(RuntimeError) as raised:
        operator()
    return str(raised.value)


def test_a_take_is_measured_and_its_row_says_what_came_out(room: Path) -> None:
    runtime = bpy.context.window_manager.lucid
    runtime.take_index = 0
    assert "was measured" in _refusal(bpy.ops.lucid.report_open)
    runtime.take_index = 1          # another one is asked for by its number
    assert bpy.ops.lucid.measure(number=1) == {"FINISHED"}
    assert measuring.running() is None and not runtime.measuring and runtime.error == ""
    assert [row.heat for row in runtime.takes] == [True, False] and runtime.take_index == 0
    assert runtime.takes[0].verdict.split(",")[0].split(" ")[0] in ("pass", "fail") and runtime.takes[1].verdict == ""
    assert (get_take(room, 1).folder / measuring.REPORT).is_file()


def test_grey_buttons_say_why(room: Path, scene: bpy.types.Scene) -> None:
    runtime = bpy.context.window_manager.lucid
    runtime.take_index = 1
    assert "TAKE_NOT_DONE" in _refusal(bpy.ops.lucid.measure)
    assert "was measured" in _refusal(bpy.ops.lucid.report_open)
    assert "Nothing is being measured" in _refusal(bpy.ops.lucid.measure_cancel)
    scene.lucid.shot = str(room.with_name("other.lucid"))
    assert "No take is done yet" in _refusal(bpy.ops.lucid.measure)


def test_what_the_worker_could_not_measure_is_told(room: Path) -> None:
    runtime = bpy.context.window_manager.lucid
    runtime.take_index = 0
    frame = get_take(room, 1).folder / "final" / "frame.0003.png"
    frame.write_bytes(b"no picture")
    assert "PNG_INVALID" in _refusal(bpy.ops.lucid.measure)
    assert "MEASURE_FAILED" in runtime.error and runtime.takes[0].verdict == "" and not runtime.measuring


def test_measuring_can_be_cancelled_and_leaves_the_take(room: Path) -> None:
    before = sorted(path.name for path in get_take(room, 1).folder.iterdir())
    item = measuring.start(room, get_take(room, 1))
    assert bpy.ops.lucid.measure_cancel() == {"FINISHED"}
    item.wait(20.0)
    assert not measuring.mirror() and measuring.running() is None
    after = sorted(path.name for path in get_take(room, 1).folder.iterdir() if path.name not in ("measure.log", "heat"))
    assert after == before and np.isfinite(item.progress())
