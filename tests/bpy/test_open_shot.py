# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot from the disk: chosen, dropped, refused, undone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import pytest
from lucid.addon.drop import LUCID_FH_shot
from lucid.inference.shot.model import Frames
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take


@pytest.fixture
def saved(scene: bpy.types.Scene, tmp_path: Path) -> bpy.types.Scene:
    """The default scene saved as scene.blend, beside a shot with one take."""
    make_take(tmp_path / "walk.lucid", make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2)))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    return bpy.context.scene


def _refusal(path: Path | str) -> str:
    with pytest.raises(RuntimeError) as raised:
        bpy.ops.lucid.open_shot(filepath=str(path))
    assert "Traceback" not in str(raised.value)
    return str(raised.value)


@contextmanager
def _over(kind: str, region: str) -> Iterator[None]:
    """The mouse over an editor of that kind."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    before = area.ui_type
    try:
        area.ui_type = kind
        place = next(each for each in area.regions if each.type == region)
        with bpy.context.temp_override(window=window, area=area, region=place):
            yield
    finally:
        area.ui_type = before


def test_the_shot_becomes_the_scenes_and_its_takes_are_listed(saved: bpy.types.Scene, tmp_path: Path) -> None:
    assert bpy.ops.lucid.open_shot(filepath=str(tmp_path / "walk.lucid" / "shot.json")) == {"FINISHED"}
    assert saved.lucid.shot == "//walk.lucid/"
    assert [row.number for row in bpy.context.window_manager.lucid.takes] == [1]
    assert bpy.ops.lucid.import_take() == {"FINISHED"}
    assert bpy.ops.lucid.open_shot.get_rna_type().properties["filepath"].is_skip_save


def test_its_folder_and_a_path_of_the_blend_will_do(saved: bpy.types.Scene, tmp_path: Path) -> None:
    for path in (str(tmp_path / "walk.lucid"), "//walk.lucid/shot.json", "//walk.lucid/"):
        saved.lucid.shot = ""
        assert bpy.ops.lucid.open_shot(filepath=path) == {"FINISHED"}
        assert saved.lucid.shot == "//walk.lucid/"


def test_from_a_timeline_the_captured_scene_gets_it(saved: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.lucid.open_shot(filepath=str(tmp_path / "walk.lucid"))
    bpy.ops.lucid.import_take()
    timeline = bpy.data.scenes["Scene timeline"]
    shutil.copytree(tmp_path / "walk.lucid", tmp_path / "run.lucid")
    bpy.context.window.scene = timeline
    assert bpy.ops.lucid.open_shot(filepath=str(tmp_path / "run.lucid")) == {"FINISHED"}
    assert (saved.lucid.shot, timeline.lucid.shot) == ("//run.lucid/", "")


def test_one_undo_step_brings_the_other_shot_back(saved: bpy.types.Scene, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "walk.lucid", tmp_path / "run.lucid")
    shutil.rmtree(tmp_path / "run.lucid" / "takes")
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.lucid.open_shot("EXEC_DEFAULT", True, filepath=str(tmp_path / "run.lucid"))
    bpy.ops.lucid.open_shot("EXEC_DEFAULT", True, filepath=str(tmp_path / "walk.lucid"))
    bpy.ops.ed.undo()
    assert bpy.context.scene.lucid.shot == "//run.lucid/" and not bpy.context.window_manager.lucid.takes
    bpy.ops.ed.redo()
    assert bpy.context.scene.lucid.shot == "//walk.lucid/" and len(bpy.context.window_manager.lucid.takes) == 1


@pytest.mark.parametrize(("content", "code"), [
    (b"{}", "SHOT_INVALID"), (b"[]", "SHOT_INVALID"), (b"not json", "SHOT_INVALID"), (b"\xff\xfe\x00", "SHOT_INVALID"),
    (b'{"schema": "lucid.shot/999"}', "SHOT_NEWER"), (b'{"schema": "gltf"}', "SHOT_INVALID"), (b"", "SHOT_INVALID"),
])
def test_what_is_no_shot_is_refused(saved: bpy.types.Scene, tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "shot.json").write_bytes(content)
    assert f"{code}: " in _refusal(tmp_path / "shot.json")
    assert saved.lucid.shot == ""


def test_other_files_and_none_are_refused(saved: bpy.types.Scene, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    assert "settings.json is not a shot" in _refusal(tmp_path / "settings.json")
    assert "SHOT_MISSING" in _refusal(tmp_path / "nowhere" / "shot.json")
    assert "SHOT_MISSING" in _refusal(tmp_path)
    assert "no shot was chosen" in _refusal("")
    assert saved.lucid.shot == ""


@pytest.mark.parametrize(("kind", "region", "wanted"), [
    ("VIEW_3D", "WINDOW", True), ("SEQUENCE_EDITOR", "WINDOW", True), ("SEQUENCE_EDITOR", "PREVIEW", True),
    ("IMAGE_EDITOR", "WINDOW", True), ("VIEW_3D", "UI", False), ("OUTLINER", "WINDOW", False), ("TEXT_EDITOR", "WINDOW", False),
])
def test_where_it_may_be_dropped(saved: bpy.types.Scene, kind: str, region: str, wanted: bool) -> None:
    with _over(kind, region):
        assert LUCID_FH_shot.poll_drop(bpy.context) is wanted


def test_nothing_is_dropped_where_no_mouse_is(saved: bpy.types.Scene) -> None:
    with bpy.context.temp_override(area=None, region=None):
        assert LUCID_FH_shot.poll_drop(bpy.context) is False


def test_dropped_on_a_viewport(saved: bpy.types.Scene, tmp_path: Path) -> None:
    """What Blender itself does with a dropped file: it asks the handlers, then calls the operator of the one that wants it."""
    with _over("VIEW_3D", "WINDOW"):
        bpy.ops.wm.drop_import_file("INVOKE_DEFAULT", directory=str(tmp_path / "walk.lucid"), files=[{"name": "shot.json"}])
    assert saved.lucid.shot == "//walk.lucid/"


def test_the_import_menu_offers_it(saved: bpy.types.Scene) -> None:
    drawn = [draw for draw in bpy.types.TOPBAR_MT_file_import._dyn_ui_initialize() if "lucid" in draw.__module__]
    assert len(drawn) == 1
