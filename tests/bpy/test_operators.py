# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: what they change, what they say when they cannot, and what Ctrl-Z takes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest
from lucid.addon import session, worker
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, TakeRequest
from lucid.inference.shot.takes import State, list_takes
from lucid.tests.shots import make_shot
from lucid.tests.states import differences, everything
from lucid.tests.takes import make_take


@pytest.fixture
def saved(scene: bpy.types.Scene, tmp_path: Path) -> bpy.types.Scene:
    """The default scene, three frames, saved as scene.blend."""
    scene.frame_end = 3
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    return bpy.context.scene


def _refusal(operator: object, **arguments: object) -> str:
    with pytest.raises(RuntimeError) as raised:
        operator(**arguments)
    return str(raised.value)


def test_actors_are_objects_or_collections(scene: bpy.types.Scene) -> None:
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    assert bpy.ops.lucid.actor_add(kind="OBJECT") == {"FINISHED"}
    assert bpy.ops.lucid.actor_add(kind="OBJECT") == {"CANCELLED"}      # once is enough
    assert bpy.ops.lucid.actor_add(kind="COLLECTION") == {"FINISHED"}
    assert [actor.target.name for actor in scene.lucid.actors] == ["Cube", "Collection"]
    assert scene.lucid.actor_index == 1
    bpy.ops.lucid.actor_remove()
    bpy.ops.lucid.actor_remove()
    assert not scene.lucid.actors
    assert "no actors in the list" in _refusal(bpy.ops.lucid.actor_remove)


def test_the_scenes_own_collection_is_no_actor(scene: bpy.types.Scene) -> None:
    bpy.context.view_layer.active_layer_collection = bpy.context.view_layer.layer_collection
    assert "holds everything" in _refusal(bpy.ops.lucid.actor_add, kind="COLLECTION")


def test_nothing_active_is_no_actor(scene: bpy.types.Scene) -> None:
    bpy.context.view_layer.objects.active = None
    assert "select the actor first" in _refusal(bpy.ops.lucid.actor_add, kind="OBJECT")


def test_grey_buttons_say_why(scene: bpy.types.Scene, tmp_path: Path) -> None:
    assert "Save the .blend first" in _refusal(bpy.ops.lucid.capture)
    assert "Capture the shot first" in _refusal(bpy.ops.lucid.generate)
    assert "Capture the shot first" in _refusal(bpy.ops.lucid.import_take)
    assert "Nothing is being generated" in _refusal(bpy.ops.lucid.cancel)
    scene.lucid.output = str(tmp_path)
    assert bpy.ops.lucid.capture.poll()
    scene.camera = None
    assert "no camera" in _refusal(bpy.ops.lucid.capture)


def test_a_marker_may_bring_the_camera(saved: bpy.types.Scene) -> None:
    saved.timeline_markers.new("A", frame=1).camera = saved.camera
    saved.camera = None
    assert bpy.ops.lucid.capture.poll()


def test_capture_writes_a_shot_and_remembers_it(saved: bpy.types.Scene, tmp_path: Path) -> None:
    saved.lucid.use_size, saved.lucid.width, saved.lucid.height = True, 64, 48
    assert bpy.ops.lucid.capture() == {"FINISHED"}
    assert saved.lucid.shot == "//lucid/scene.lucid/"
    assert bpy.ops.lucid.capture() == {"FINISHED"}      # a sealed shot is never changed
    assert saved.lucid.shot == "//lucid/scene_2.lucid/"
    assert (tmp_path / "lucid" / "scene.lucid" / "shot.json").is_file()


def test_capture_errors_are_reported(saved: bpy.types.Scene, tmp_path: Path) -> None:
    saved.lucid.use_scene_range = False
    saved.lucid.frame_start, saved.lucid.frame_end = 9, 3
    assert "RANGE_EMPTY" in _refusal(bpy.ops.lucid.capture)
    saved.lucid.use_scene_range = True
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    bpy.ops.lucid.actor_add(kind="OBJECT")
    bpy.ops.lucid.actor_add(kind="COLLECTION")
    bpy.data.collections["Collection"].name = "Cube"
    assert "both called 'Cube'" in _refusal(bpy.ops.lucid.capture)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    assert "ACTOR_UNKNOWN" in _refusal(bpy.ops.lucid.capture)
    assert not (tmp_path / "lucid").exists()


def test_the_takes_list_mirrors_the_disk(saved: bpy.types.Scene, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    saved.lucid.shot = "//walk.lucid/"
    runtime = bpy.context.window_manager.lucid
    assert not runtime.takes and "No take is done" in _refusal(bpy.ops.lucid.import_take)
    make_take(tmp_path / "walk.lucid", shot)
    bpy.ops.lucid.takes_refresh()
    assert [(row.number, row.state) for row in runtime.takes] == [(1, State.DONE.name)]
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_factory_settings()
    assert not bpy.context.window_manager.lucid.takes
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert [row.number for row in bpy.context.window_manager.lucid.takes] == [1]


def test_a_file_with_the_timeline_in_front_shows_its_takes(saved: bpy.types.Scene, tmp_path: Path) -> None:
    make_take(tmp_path / "walk.lucid", make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2)))
    saved.lucid.shot = "//walk.lucid/"
    bpy.ops.lucid.import_take()
    bpy.context.window.scene = bpy.data.scenes["Scene timeline"]
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert bpy.context.scene.name == "Scene timeline"
    assert [row.number for row in bpy.context.window_manager.lucid.takes] == [1]
    assert bpy.ops.lucid.import_take.poll()
    bpy.context.window.scene = bpy.data.scenes.new("Other")
    bpy.context.scene.lucid["shot"] = "//run.lucid/"        # as undo does: without telling the list
    assert "another scene's takes" in _refusal(bpy.ops.lucid.import_take)


def test_a_take_that_was_tampered_with_ends_the_job(saved: bpy.types.Scene, tmp_path: Path) -> None:
    """The interface's timer must not die of it: the job would never end."""
    try:
        worker.worker_python()
    except LucidError as error:
        pytest.skip(f"needs the worker's environment: {error}")
    shot = make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    job = session.start(tmp_path / "walk.lucid", TakeRequest(shot.prompt, steps=500))
    job._process.kill()
    job.wait(10.0)
    (job.take.folder / "result.json").write_text("{")
    assert not session.mirror() and not session.running()
    assert "TAKE_INVALID" in bpy.context.window_manager.lucid.error


def _without_steps(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What differs beside the list of undo steps, which holds what can be redone."""
    return [each for each in differences(before, after) if not each.startswith(".undo")]


def test_import_is_undone(saved: bpy.types.Scene, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shot = make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    make_take(tmp_path / "walk.lucid", shot)
    saved.lucid.shot = "//walk.lucid/"
    bpy.ops.ed.undo_push(message="before")
    before = everything(capfd)
    assert bpy.ops.lucid.import_take("EXEC_DEFAULT", True) == {"FINISHED"}
    assert "Scene timeline" in bpy.data.scenes
    bpy.ops.ed.undo()
    assert "Scene timeline" not in bpy.data.scenes
    assert _without_steps(before, everything(capfd)) == []
    assert bpy.context.scene.lucid.shot == "//walk.lucid/"


def test_actors_are_undone(scene: bpy.types.Scene) -> None:
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.lucid.actor_add("EXEC_DEFAULT", True, kind="OBJECT")
    bpy.ops.lucid.actor_remove("EXEC_DEFAULT", True)
    bpy.ops.ed.undo()
    assert [actor.target.name for actor in bpy.context.scene.lucid.actors] == ["Cube"]
    bpy.ops.ed.undo()
    assert not bpy.context.scene.lucid.actors


def test_a_prompt_is_needed_before_a_take_is_reserved(saved: bpy.types.Scene, tmp_path: Path) -> None:
    make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2), prompt="")
    saved.lucid.shot = "//walk.lucid/"
    assert "PROMPT_EMPTY" in _refusal(bpy.ops.lucid.generate)
    assert not list_takes(tmp_path / "walk.lucid") and not session.running()


def test_generate_waits_where_there_is_no_window(saved: bpy.types.Scene, tmp_path: Path) -> None:
    try:
        worker.worker_python()
    except LucidError as error:
        pytest.skip(f"needs the worker's environment: {error}")
    make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    saved.lucid.shot, saved.lucid.steps, saved.lucid.seed = "//walk.lucid/", 1, 5
    assert bpy.ops.lucid.generate() == {"FINISHED"}
    assert [(row.state, row.text) for row in bpy.context.window_manager.lucid.takes] == [
        ("DONE", "seed 5, a grey street, bright daylight")]
    saved.lucid.weights = str(tmp_path / "nowhere")
    assert "WEIGHTS" in _refusal(bpy.ops.lucid.generate)
    assert bpy.context.window_manager.lucid.error and not session.running()


def test_without_a_worker_no_take_is_reserved(saved: bpy.types.Scene, tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    saved.lucid.shot = "//walk.lucid/"
    monkeypatch.setenv("LUCID_WORKER_PYTHON", str(tmp_path / "nowhere"))
    assert "WORKER_MISSING" in _refusal(bpy.ops.lucid.generate)
    assert not list_takes(tmp_path / "walk.lucid") and not session.running()
