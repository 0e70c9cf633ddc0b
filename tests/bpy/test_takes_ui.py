# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes: what its rows say, pictures, favourites, A/B, and deleting with the strips that show a take."""

from __future__ import annotations

import inspect
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import bpy
import numpy as np
import pytest
from lucid.addon import runtime as runtime_module
from lucid.addon import take_rows, thumbnails
from lucid.addon.cut import cut_of, rivals, seen_take
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import write_png
from lucid.inference.shot.model import Edit, Frames, Shot, TakeRequest
from lucid.inference.shot.paths import frame_path
from lucid.inference.shot.store import read_json, write_json
from lucid.inference.shot.takes import State, get_take, list_takes, new_take
from lucid.inference.shot.verdict_file import write_verdict
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take
from lucid.tests.timelines import strips_of
from lucid.tests.verdicts import make_verdict


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path / "walk.lucid", frames=Frames(11, 14), figure=False)


@pytest.fixture
def folder(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> Path:
    """Of a shot with two finished takes, which the list shows."""
    folder = tmp_path / "walk.lucid"
    for seed in (1, 2):
        make_take(folder, shot, seed=seed)
    scene.lucid.shot = str(folder)
    return folder


def runtime() -> bpy.types.PropertyGroup:
    return bpy.context.window_manager.lucid


def timeline() -> bpy.types.Scene:
    return bpy.data.scenes["Scene timeline"]


def _seen() -> list[str]:
    return [strip.name for strip in strips_of(timeline()) if not strip.mute]


def test_rows_say_what_a_take_is(folder: Path, shot: Shot) -> None:
    write_verdict(get_take(folder, 2).folder / "verdict.json", make_verdict(take=2))
    new_take(folder, TakeRequest("a blue ball", seed=7, steps=3, parent=2, edit=Edit("Ball", (), "noise", 1.0)))
    bpy.ops.lucid.takes_refresh()
    first, second, third = runtime().takes
    assert runtime().chosen == third
    assert (first.state, first.text, first.details, first.origin, first.verdict) == ("DONE", "seed 1, noise",
                                                                                    "seed 1, took 0.0 s", "", "")
    assert first.picture == str(folder / "takes/0001/final/frame.0013.png")
    assert second.verdict.startswith("fail (1), ")
    assert (third.state, third.details, third.origin, third.parent) == ("QUEUED", "seed 7, 3 steps",
                                                                       "take 2 with another Ball", 2)
    assert third.prompt == "a blue ball" and third.picture == ""


def test_a_failed_and_a_damaged_take_say_why(folder: Path) -> None:
    failed, damaged = get_take(folder, 1), get_take(folder, 2)
    failed.finish(State.FAILED, error=LucidError("DISK_WRITE", "the disk is full", "make room").to_json(), seconds=1.0)
    (damaged.folder / "request.json").write_text("{")
    bpy.ops.lucid.takes_refresh()
    assert [row.state for row in runtime().takes] == ["FAILED", "FAILED"]
    assert "the disk is full" in runtime().takes[0].error and "request.json" in runtime().takes[1].error


def test_what_changes_on_the_disk_is_read_and_nothing_else(folder: Path) -> None:
    with patch.object(take_rows, "take_row", wraps=take_rows.take_row) as read:
        bpy.ops.lucid.takes_refresh()
        assert read.call_count == 0                 # they were read when the shot was set
        get_take(folder, 1).mark(favourite=True)
        write_verdict(get_take(folder, 2).folder / "verdict.json", make_verdict(take=2))
        bpy.ops.lucid.takes_refresh()
        assert read.call_count == 2
    assert [row.favourite for row in runtime().takes] == [True, False] and runtime().takes[1].verdict


def test_many_takes_are_read_in_short_turns(folder: Path) -> None:
    """As with a window, where a timer goes on."""
    for _ in range(8):
        new_take(folder, TakeRequest("a"))
    take_rows.forget()
    with patch.object(runtime_module, "_turn", lambda: 0.0), patch.object(bpy.app.timers, "register") as register:
        runtime().read_takes(str(folder), choose=4)
    assert register.call_count == 1 and runtime().chosen.number == 4
    assert [row.number for row in runtime().takes if row.read] == [4]       # the chosen one, then the newest
    assert runtime().read_on(0.0) and [row.number for row in runtime().takes if row.read] == [4, 10]
    assert not runtime().read_on(None) and all(row.read for row in runtime().takes)


def test_two_hundred_takes_are_read_on_by_a_timer(folder: Path) -> None:
    """In turns; what was read once is not read again. No turn takes 50 ms of this thread's time."""
    result = read_json(get_take(folder, 1).folder / "result.json", "", "")
    result["files"] = {f"layers/{layer}/frame.{frame:04d}.png": "ab" * 32 for layer in "abcd" for frame in range(81)}
    for _ in range(200):
        take = new_take(folder, TakeRequest("a street"))
        write_json(take.folder / "result.json", result)
        write_verdict(take.folder / "verdict.json", make_verdict(take=take.number))
    take_rows.forget()
    with patch.object(runtime_module, "_turn", lambda: 0.02), patch.object(bpy.app.timers, "register") as register:
        turns = [_seconds(lambda: runtime().read_takes(str(folder)))]
        assert register.call_count == 1
        while not all(row.read for row in runtime().takes):
            turns.append(_seconds(lambda: runtime().read_on(0.02)))
        with patch.object(take_rows, "take_row") as read:
            turns.append(_seconds(lambda: runtime().read_takes(str(folder))))
            runtime().read_on(None)
        assert not read.called
    assert len(runtime().takes) == 202 and len(turns) > 2
    assert max(turns) < 0.05, turns


def _seconds(deed: Callable[[], object]) -> float:
    start = time.thread_time()
    deed()
    return time.thread_time() - start


def test_a_picture_is_the_frame_on_the_disk(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    """Of 16 bits, as takes have it; and another one when the file is another one, or another shot is shown."""
    folder = tmp_path / "walk.lucid"
    take = make_take(folder, shot)
    path = take.folder / frame_path(take.final_pattern, 13)
    for colour, stamp in (((40000, 20000, 5000), 1e9), ((1000, 60000, 30000), 1e9 + 9.0)):
        write_png(path, np.full((48, 64, 3), colour, np.uint16))
        os.utime(path, (stamp, stamp))
        scene.lucid.shot = str(folder)
        picture = thumbnails.preview(str(path))
        width, height = picture.image_size
        pixels = np.array(picture.image_pixels_float).reshape(height, width, 4)
        assert np.abs(pixels[height // 2, width // 2, :3] - np.array(colour) / 65535.0).max() < 2 / 255
    scene.lucid.shot = ""
    assert thumbnails.preview(str(path)) is None and thumbnails.icon(str(path)) == 0


def test_a_star_is_a_file_beside_the_take(folder: Path) -> None:
    assert bpy.ops.lucid.take_favourite(number=1) == {"FINISHED"}
    assert get_take(folder, 1).favourite and [row.favourite for row in runtime().takes] == [True, False]
    with pytest.raises(RuntimeError, match="TAKE_FAVOURITE"):
        bpy.ops.lucid.take_delete(number=1)
    bpy.ops.lucid.take_favourite(number=1)
    assert not get_take(folder, 1).favourite and not runtime().takes[0].favourite
    with pytest.raises(RuntimeError, match="TAKE_MISSING"):
        bpy.ops.lucid.take_favourite(number=9)


def test_a_and_b_take_turns(folder: Path, shot: Shot) -> None:
    bpy.ops.lucid.import_take(number=1)
    runtime().take_index = 1
    for shown in (2, 1, 2):                             # the first press puts B on the timeline
        assert bpy.ops.lucid.take_compare() == {"FINISHED"}
        assert _seen() == [f"lucid walk take {shown} · final"]
    assert (runtime().compare_a, runtime().compare_b) == (1, 2)
    make_take(folder, shot, seed=3)
    bpy.ops.lucid.takes_refresh()                       # the newest is chosen
    bpy.ops.lucid.take_compare()
    assert _seen() == ["lucid walk take 3 · final"] and (runtime().compare_a, runtime().compare_b) == (2, 3)
    assert len(strips_of(timeline())) == 9


def test_a_flip_is_undone(folder: Path) -> None:
    for number in (1, 2):
        bpy.ops.lucid.import_take(number=number)
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.lucid.take_compare("EXEC_DEFAULT", True)
    assert _seen() == ["lucid walk take 1 · final"]
    bpy.ops.ed.undo()
    assert _seen() == ["lucid walk take 2 · final"]


def test_the_pair_is_of_what_is_seen_and_what_is_chosen() -> None:
    done = [1, 2, 3, 5]
    assert rivals((0, 0), 2, 5, 0, done) == (2, 5)
    assert rivals((2, 5), 5, 5, 0, done) == rivals((2, 5), 5, 2, 0, done) == (2, 5)
    assert rivals((2, 5), 5, 3, 0, done) == (5, 3)
    assert rivals((2, 4), 2, 2, 0, done) == (2, 1)      # the other one was deleted: the one before
    assert rivals((0, 0), 5, 5, 2, done) == (5, 2)      # the one it is a change of
    assert rivals((0, 0), 5, 5, 4, done) == (5, 3)
    assert rivals((0, 0), 1, 1, 0, done) == (1, 2)
    with pytest.raises(LucidError, match="TAKE_ABSENT"):
        rivals((0, 0), 1, 1, 0, [1])


def test_comparing_says_why_it_cannot(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="press To Timeline first"):
        bpy.ops.lucid.take_compare()
    bpy.ops.lucid.import_take(number=2)
    for strip in strips_of(timeline()):
        strip.mute = True
    assert seen_take(cut_of(bpy.context, folder), folder) is None
    with pytest.raises(RuntimeError, match=r"TAKE_ABSENT.*show one first"):
        bpy.ops.lucid.take_compare()
    bpy.ops.lucid.take_show(number=2)
    (get_take(folder, 1).folder / "final" / "frame.0012.png").unlink()
    with pytest.raises(RuntimeError, match="TAKE_CORRUPT"):
        bpy.ops.lucid.take_compare(number=1)
    assert _seen() == ["lucid walk take 2 · final"] and runtime().compare_a == 0


def test_a_hidden_layer_stays_hidden_in_a_flip(scene: bpy.types.Scene, folder: Path) -> None:
    for number in (1, 2):
        bpy.ops.lucid.import_take(number=number)
    scene.lucid.environment.visible = False
    assert _seen() == ["lucid walk take 2 · Ball"]
    bpy.ops.lucid.take_compare()
    assert _seen() == ["lucid walk take 1 · Ball"]
    bpy.ops.lucid.take_show(number=2)
    assert _seen() == ["lucid walk take 2 · Ball"]
    scene.lucid.environment.visible = True
    assert _seen() == ["lucid walk take 2 · final"]


def test_a_deleted_take_goes_with_its_strips(folder: Path, shot: Shot) -> None:
    make_take(folder, shot, seed=3)
    bpy.ops.lucid.takes_refresh()
    for number in (1, 2):
        bpy.ops.lucid.import_take(number=number)
    editor = timeline().sequence_editor
    final = editor.strips["lucid walk take 2 · final"]
    editor.strips.new_effect("glow", "GAUSSIAN_BLUR", channel=20, frame_start=11, length=4, input1=final)
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.lucid.take_delete("EXEC_DEFAULT", True, number=2) == {"FINISHED"}
    assert [take.number for take in list_takes(folder)] == [row.number for row in runtime().takes] == [1, 3]
    assert runtime().chosen.number == 3
    assert [strip.name for strip in strips_of(timeline())] == [f"lucid walk take 1 · {part}"
                                                               for part in ("environment", "Ball", "final")]
    bpy.ops.ed.undo()
    assert len(strips_of(timeline())) == 7              # the strips are back, their files are not
    assert make_take(folder, shot).number == 4


def test_a_strip_in_a_meta_strip_goes_too(folder: Path) -> None:
    bpy.ops.lucid.import_take(number=1)
    meta = timeline().sequence_editor.strips.new_meta("meta", channel=9, frame_start=11)
    strips_of(timeline())[0].move_to_meta(meta)
    assert len(meta.strips) == 1
    bpy.ops.lucid.take_delete(number=1)
    assert not meta.strips and [strip.name for strip in strips_of(timeline())] == ["meta"]


def test_the_dialog_says_what_goes(folder: Path) -> None:
    from lucid.operators.take_files import _what_goes

    bpy.ops.lucid.import_take(number=1)
    waits = new_take(folder, TakeRequest("a"))
    bpy.ops.lucid.takes_refresh()
    for take, start, end in ((get_take(folder, 1), "Its 4 frames and", " 3 strips that show it go too."),
                             (get_take(folder, 2), "Its 4 frames and", "undone."), (waits, "All its files", "undone.")):
        said = _what_goes(bpy.context, take)
        assert said.startswith(start) and said.endswith(end) and "cannot be undone" in said


def test_no_operator_that_deletes_files_is_in_the_redo_panel(registered: None) -> None:
    """There another number would delete another take, and nobody would be asked."""
    deletes = re.compile(r"\b(set_aside|delete_take|rmtree|unlink|rmdir|remove_worker)\(")
    found = {operator for name in dir(bpy.types) if name.startswith("LUCID_OT_")
             for operator in (getattr(bpy.types, name),) if deletes.search(inspect.getsource(operator))}
    assert bpy.types.LUCID_OT_take_delete in found
    assert not [operator for operator in found if {"REGISTER", "UNDO"} <= operator.bl_options]
    assert bpy.types.LUCID_OT_take_delete.bl_options == {"UNDO", "INTERNAL"}


def test_files_that_stay_are_a_warning(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from lucid.inference.shot import discard
    from lucid.operators import take_files

    with patch.object(discard.shutil, "rmtree"):        # as where a player holds the files
        bpy.ops.lucid.take_delete(number=1)
        sweeping = take_files.Sweeping(1, next((folder / "takes").glob(".deleted-0001-*")))
        sweeping.wait()
    assert "some of its files could not be removed" in sweeping.warning()
    assert f"Warning: {sweeping.warning()}\nInfo: Take 1 is deleted\n" in capfd.readouterr().out
    take_files._sweepings.append(sweeping)              # as with a window, where a timer looks
    assert not take_files._look_after_sweepings() and not take_files._sweepings
    assert bpy.context.window_manager.lucid_worker.notice == sweeping.warning()
    bpy.ops.lucid.take_delete(number=2)
    assert not [path for path in (folder / "takes").iterdir() if path.is_dir()]


def test_numbers_from_the_disk_that_blender_cannot_hold_are_left_out(folder: Path) -> None:
    (folder / "takes" / "20250101120000").mkdir()
    new_take(folder, TakeRequest("a", parent=10 ** 12, edit=Edit("Ball", (), "noise", 1.0)))
    result = get_take(folder, 1).folder / "result.json"
    result.write_text(result.read_text().replace('"seconds": 0.0', '"seconds": Infinity'))
    result = get_take(folder, 2).folder / "result.json"
    result.write_text(result.read_text().replace('"seconds": 0.0', '"seconds": 1e999'))
    bpy.ops.lucid.takes_refresh()
    rows = [(row.number, row.state, row.parent) for row in runtime().takes]
    assert rows == [(1, "FAILED", 0), (2, "DONE", 0), (3, "QUEUED", 0)]
    assert runtime().takes[1].details == "seed 2"


def test_a_damaged_take_stops_no_other(folder: Path, shot: Shot) -> None:
    from lucid.addon.pointing import chosen_take
    from lucid.inference.conditioning.edits import unused_seed

    make_take(folder, shot, seed=9)
    (get_take(folder, 2).folder / "request.json").write_text("{")
    (get_take(folder, 3).folder / "result.json").write_text("{")
    bpy.ops.lucid.takes_refresh()                       # the newest is chosen, which is damaged
    assert chosen_take(bpy.context, folder).number == 2
    runtime().take_index = 0
    with patch("lucid.inference.shot.takes.Take.state", autospec=True, return_value=State.DONE) as asked:
        assert chosen_take(bpy.context, folder).number == 1 and asked.call_count == 1
    assert unused_seed(folder, "Ball") == 10
    for number in (1, 2):
        (get_take(folder, number).folder / "result.json").unlink()
    with pytest.raises(LucidError, match="TAKE_NOT_DONE"):
        chosen_take(bpy.context, folder)


def test_what_is_needed_or_at_work_is_not_deleted(folder: Path) -> None:
    child = new_take(folder, TakeRequest("a", parent=1, edit=Edit("Ball", (), "noise", 1.0)))
    bpy.ops.lucid.takes_refresh()
    for mode in ("EXEC_DEFAULT", "INVOKE_DEFAULT"):
        with pytest.raises(RuntimeError, match="TAKE_NEEDED: take 3 is made from take 1"):
            bpy.ops.lucid.take_delete(mode, number=1)
    runtime().running = True
    try:
        with pytest.raises(RuntimeError, match="TAKE_RUNNING"):
            bpy.ops.lucid.take_delete(number=3)         # it waits for the worker
    finally:
        runtime().running = False
    child.emit("started")
    with child.alone(), pytest.raises(RuntimeError, match="TAKE_RUNNING"):
        bpy.ops.lucid.take_delete(number=3)
    child.finish(State.CANCELLED)
    bpy.ops.lucid.take_delete(number=3)
    bpy.ops.lucid.take_delete(number=1)
    assert [row.number for row in runtime().takes] == [2]


def test_takes_operators_say_why_they_cannot(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    operators = (bpy.ops.lucid.take_favourite, bpy.ops.lucid.take_delete, bpy.ops.lucid.take_compare)
    for operator in operators:
        with pytest.raises(RuntimeError, match="Capture the shot first"):
            operator()
    scene.lucid.shot = str(tmp_path / "walk.lucid")
    for operator in operators[:2]:
        with pytest.raises(RuntimeError, match="no take yet"):
            operator()
    new_take(tmp_path / "walk.lucid", TakeRequest("a"))
    runtime().read_takes("")
    for operator in operators:
        with pytest.raises(RuntimeError, match="refresh it"):
            operator()
    bpy.ops.lucid.takes_refresh()
    with pytest.raises(RuntimeError, match="No take is done yet"):
        bpy.ops.lucid.take_compare()
