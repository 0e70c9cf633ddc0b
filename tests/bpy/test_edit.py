# SPDX-License-Identifier: GPL-3.0-or-later
"""Point and direct: a pixel of a take becomes an object and a request, the same as the command line makes."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon import pointing, session, worker
from lucid.addon.pointing import object_of, shown_frame
from lucid.inference.conditioning.edits import edited
from lucid.inference.conditioning.target import Target, named, pick, whole
from lucid.inference.errors import LucidError
from lucid.inference.shot import store
from lucid.inference.shot.images import read_exr, write_exr
from lucid.inference.shot.manifest import shot_to_json
from lucid.inference.shot.model import (
    LAYER_PASSES,
    PASSES,
    DepthRange,
    Edit,
    Frames,
    Kind,
    Layer,
    Rate,
    Shot,
    Size,
    TakeRequest,
    layer_sequence,
    pass_sequence,
)
from lucid.inference.shot.sealed import latents_path, layer_path, seal_layer
from lucid.inference.shot.store import open_shot
from lucid.inference.shot.takes import State, get_take, list_takes, new_take
from lucid.tests import raycast as rc
from lucid.tests import takes as noisy
from lucid.tests.shots import make_shot

WORLD = rc.World(width=96, height=54, frames=4)
FRAME = 2


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ray-cast shot, written once: tests make takes of it and never change it."""
    folder = tmp_path_factory.mktemp("cast") / "room.lucid"
    rc.write(WORLD, folder)
    return folder


@pytest.fixture
def room(scene: bpy.types.Scene, cast: Path) -> Path:
    """The shot as the scene's own, with a take that is done and another; the scene has its objects but for the wall."""
    shot = open_shot(cast)
    if not list_takes(cast):
        rc.make_take(cast, shot, rc.pictures(WORLD), request=TakeRequest("a room", {"Sphere": "a globe"}, 7))
        new_take(cast, TakeRequest("a room"))
    for name in ("Floor", "Sphere", "Ball"):
        scene.collection.objects.link(bpy.data.objects.new(name, bpy.data.meshes.new(name)))
    for name in ("Sphere", "Ball"):
        scene.lucid.actors.add().object = bpy.data.objects[name]
    scene.lucid.shot = str(cast)
    bpy.ops.lucid.takes_refresh()
    return cast


def _refusal(operator: object, *arguments: object, **values: object) -> str:
    with pytest.raises(RuntimeError) as raised:
        operator(*arguments, **values)
    return str(raised.value)


def _pixel(folder: Path, number: int, frame: int = FRAME) -> tuple[int, int]:
    """Some pixel inside an instance, from the left and from the top."""
    ids = read_exr(folder / open_shot(folder, verify=False).sequence("id").path(frame))["id"]
    rows, columns = np.nonzero(ids == number)
    return int(columns[len(columns) // 2]), int(rows[len(rows) // 2])


def _selected() -> list[str]:
    return [item.name for item in bpy.context.view_layer.objects if item.select_get()]


# ---- who is at a pixel

def test_every_pixel_is_whose_id_is_there(cast: Path) -> None:
    """Blender's reader of the ids against OpenEXR's own."""
    shot = open_shot(cast)
    ids = read_exr(cast / shot.sequence("id").path(FRAME))["id"]
    found = set()
    for y in range(1, WORLD.height, 9):
        for x in range(1, WORLD.width, 7):
            if ids[y, x] == 0:
                with pytest.raises(LucidError, match="PIXEL_BACKGROUND"):
                    pick(cast, shot, x, y, FRAME)
            else:
                assert pick(cast, shot, x, y, FRAME) == named(shot, rc.NAMES[ids[y, x]])
            found.add(int(ids[y, x]))
    assert {rc.SPHERE, rc.WALL, rc.FLOOR} <= found


def test_a_click_selects_the_object_and_its_layer(room: Path, scene: bpy.types.Scene) -> None:
    x, y = _pixel(room, rc.BALL)
    assert bpy.ops.lucid.point(x=x, y=y, frame=FRAME) == {"FINISHED"}
    assert _selected() == ["Ball"] and bpy.context.view_layer.objects.active.name == "Ball"
    assert scene.lucid.actors[scene.lucid.actor_index].target.name == "Ball"
    edit = bpy.context.window_manager.lucid_edit
    assert (edit.take, edit.layer, edit.label, edit.frame, edit.prompt, edit.seed) == (1, "Ball", "Ball", FRAME, "a room", 7)
    x, y = _pixel(room, rc.FLOOR)
    assert bpy.ops.lucid.point(x=x, y=y, frame=FRAME) == {"FINISHED"}
    assert _selected() == ["Floor"] and (edit.layer, edit.target().instances) == ("environment", (rc.FLOOR,))
    assert bpy.ops.lucid.point(layer="environment") == {"FINISHED"}
    assert (edit.label, edit.target().instances) == ("environment", ()) and _selected() == ["Floor"]


def test_what_is_not_in_the_scene_is_still_a_target(room: Path) -> None:
    before = _selected()
    x, y = _pixel(room, rc.WALL)
    assert bpy.ops.lucid.point(x=x, y=y, frame=FRAME) == {"FINISHED"}
    assert bpy.context.window_manager.lucid_edit.label == "Wall" and _selected() == before


def test_an_instance_is_shown_by_what_instances_it(scene: bpy.types.Scene) -> None:
    for name in ("Forest", "Forest/Old", "Tree.001"):
        scene.collection.objects.link(bpy.data.objects.new(name, None))
    for seen, name in (("Forest/Tree[3]", "Forest"), ("Forest/Old/Tree", "Forest/Old"), ("Tree.001", "Tree.001")):
        assert object_of(scene, Target("environment", (1,), seen, seen)).name == name
    assert object_of(scene, Target("environment", (1,), "Fore", "Fore")) is None


def test_pointing_is_undone(room: Path) -> None:
    bpy.ops.lucid.point(x=_pixel(room, rc.BALL)[0], y=_pixel(room, rc.BALL)[1], frame=FRAME)
    bpy.ops.ed.undo_push(message="before")
    x, y = _pixel(room, rc.SPHERE)
    bpy.ops.lucid.point("EXEC_DEFAULT", True, x=x, y=y, frame=FRAME)
    assert _selected() == ["Sphere"] and bpy.context.scene.lucid.actor_index == 0
    bpy.ops.ed.undo()
    assert _selected() == ["Ball"] and bpy.context.view_layer.objects.active.name == "Ball"
    assert bpy.context.scene.lucid.actor_index == 1


def test_wrong_places_are_refused_in_words(room: Path, scene: bpy.types.Scene) -> None:
    point = bpy.ops.lucid.point
    assert "PIXEL_OUTSIDE" in _refusal(point, x=WORLD.width, y=0, frame=FRAME)
    assert "PIXEL_OUTSIDE" in _refusal(point, x=-1, y=0, frame=FRAME)
    assert "FRAME_OUTSIDE" in _refusal(point, x=0, y=0, frame=0)
    assert "TAKE_MISSING" in _refusal(point, x=1, y=50, frame=FRAME, number=99)
    assert "LAYER_UNKNOWN" in _refusal(point, layer="shadow")
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    bpy.ops.object.mode_set(mode="EDIT")
    assert "Leave the active object's mode" in _refusal(point, x=1, y=1, frame=FRAME)
    bpy.ops.object.mode_set(mode="OBJECT")
    scene.lucid.shot = ""
    assert "Capture the shot first" in _refusal(point, x=1, y=1, frame=FRAME)


def test_the_sky_is_nobody(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    shot = make_shot(folder, frames=Frames(1, 2))
    ids = read_exr(folder / shot.sequence("id").path(1))["id"]
    rows, columns = np.nonzero(ids == 0)
    assert len(rows)
    scene.lucid.shot = str(folder)
    assert "PIXEL_BACKGROUND" in _refusal(bpy.ops.lucid.point, x=int(columns[0]), y=int(rows[0]), frame=1)
    rows, columns = np.nonzero(ids)
    seen = {"x": int(columns[0]), "y": int(rows[0]), "frame": 1}
    assert "no take of walk.lucid is done" in _refusal(bpy.ops.lucid.point, **seen)
    (folder / shot.sequence("id").path(1)).write_bytes(b"not an image")
    assert "SHOT_CORRUPT" in _refusal(bpy.ops.lucid.point, **seen)


def test_the_take_is_the_chosen_one_else_the_newest_that_is_done(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    shot = make_shot(folder, frames=Frames(1, 2))
    for seed in range(2):
        noisy.make_take(folder, shot, seed)
    new_take(folder, TakeRequest("queued"))
    scene.lucid.shot = str(folder)
    bpy.ops.lucid.takes_refresh()
    runtime, edit = bpy.context.window_manager.lucid, bpy.context.window_manager.lucid_edit
    for index, number in ((0, 1), (1, 2), (2, 2)):
        runtime.take_index = index
        bpy.ops.lucid.point(layer="Ball")
        assert (edit.take, edit.seed) == (number, number - 1)
    scene.lucid.shot, runtime.take_index = str(folder) + "/.", 0
    runtime.read_takes("")
    bpy.ops.lucid.point(layer="Ball")
    assert edit.take == 2


# ---- where a take is seen

def test_the_frame_seen_on_the_timeline(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    noisy.make_take(folder, make_shot(folder, frames=Frames(1, 5, 2)))
    scene.lucid.shot = str(folder)
    bpy.ops.lucid.import_take()
    timeline = bpy.data.scenes["Scene timeline"]
    for frame, file in ((1, "frame.0001.png"), (4, "frame.0003.png"), (5, "frame.0005.png")):
        timeline.frame_current = frame
        assert shown_frame(timeline) == folder.resolve() / "takes" / "0001" / "final" / file
    found = pointing._of_file(shown_frame(timeline), lambda shot: (shot.size.width - 0.5, 0.25))
    shot = open_shot(folder)
    assert found == pointing.Spot(folder.resolve(), 1, shot.size.width - 1, 0, 5)
    strip = next(strip for strip in timeline.sequence_editor.strips if not strip.mute)
    strip.transform.scale_x = 0.5
    with pytest.raises(LucidError, match="STRIP_MOVED"):
        shown_frame(timeline)
    strip.mute = True
    with pytest.raises(LucidError, match="no take is seen"):
        shown_frame(timeline)
    with pytest.raises(LucidError, match="no frame of a take"):
        pointing._of_file(tmp_path / "photo.png", lambda shot: (0.0, 0.0))


# ---- what is asked for

@pytest.mark.parametrize("number", [rc.SPHERE, rc.FLOOR])
@pytest.mark.parametrize("wish", [
    {"prompt": " a moon "}, {"seed": 3}, {"strength": 0.25}, {"prompt": "a moon", "start": "parent", "change": 0.4},
    {"start": "beauty", "change": 0.9}, {"start": "parent"}])
def test_the_box_asks_for_what_is_written_in_it(room: Path, number: int, wish: dict[str, object]) -> None:
    shot, edit = open_shot(room), bpy.context.window_manager.lucid_edit
    x, y = _pixel(room, number)
    bpy.ops.lucid.point(x=x, y=y, frame=FRAME, number=1)
    edit.property_unset("start")
    edit.property_unset("change")
    for name, value in (wish | ({"use_strength": True} if "strength" in wish else {})).items():
        setattr(edit, name, value)
    said = edited(room, shot, get_take(room, 1), pick(room, shot, x, y, FRAME), **wish)
    assert edit.request(shot) == said
    assert said.parent == 1 and said.edit is not None


def test_the_box_asks_only_for_what_was_changed(room: Path) -> None:
    edit = bpy.context.window_manager.lucid_edit
    x, y = _pixel(room, rc.SPHERE)
    bpy.ops.lucid.point(x=x, y=y, frame=FRAME, number=1)
    asked_before = get_take(room, 1).request()
    shot = open_shot(room)
    with pytest.raises(LucidError, match="nothing about 'Sphere' would change"):
        edit.request(shot)
    edit.use_strength, edit.strength = True, 0.3
    assert edit.request(shot) == replace(asked_before, parent=1, edit=Edit("Sphere"), strengths={"Sphere": 0.3})
    edit.use_strength, edit.prompt = False, "a moon"
    assert edit.request(shot).layer_prompts == {"Sphere": "a moon"}
    assert edit.request(shot, another_seed=True).seed_of("Sphere") > 7
    edit.prompt = " "
    with pytest.raises(LucidError, match="PROMPT_EMPTY"):
        edit.request(shot)


def test_a_seed_beyond_a_propertys_numbers_stays(room: Path) -> None:
    shot = open_shot(room)
    take = new_take(room, TakeRequest("a room", seed=2**40 + 5))
    edit = bpy.context.window_manager.lucid_edit
    edit.aim(room, shot, take, whole(shot, "Ball"), FRAME)
    edit.prompt = "a balloon"
    assert edit.request(shot).seed_of("Ball") == 2**40 + 5
    edit.seed += 1
    assert edit.request(shot).seed_of("Ball") == edit.seed


def test_grey_buttons_and_impossible_wishes_say_why(room: Path) -> None:
    wm = bpy.context.window_manager
    wm.lucid_edit.label = ""
    assert "Point at something" in _refusal(bpy.ops.lucid.edit)
    bpy.ops.lucid.point(layer="Ball", number=1)
    assert "EDIT_EMPTY" in _refusal(bpy.ops.lucid.edit)
    wm.lucid_edit.prompt = "a balloon"
    count = len(list_takes(room))
    assert "LAYER_MISSING" in _refusal(bpy.ops.lucid.edit)       # its take was made without latents
    wm.lucid_edit.shot = str(room.with_name("gone.lucid"))
    assert "SHOT_MISSING" in _refusal(bpy.ops.lucid.edit)
    assert len(list_takes(room)) == count and not session.running()


@pytest.fixture
def long_shot(scene: bpy.types.Scene, tmp_path: Path) -> Path:
    """81 frames of 832x480 with every pass and two actors, and a row of takes: the scene's shot. Only its ids are on the disk;
    all that a click reads is there."""
    folder, size = tmp_path / "long.lucid", Size(832, 480)
    known = ("environment", (), Kind.ENVIRONMENT), ("Ann", (1, 2), Kind.ACTOR), ("Ball", (3,), Kind.ACTOR)
    layers = [Layer(name, name, ids, tuple(layer_sequence(kind, name, each) for each in LAYER_PASSES[kind]), None, kind)
              for name, ids, kind in known]
    shot = Shot("long", Rate(24), Frames(1, 81), size, 1.0, DepthRange(1.0, 9.0), "Camera", tuple(map(pass_sequence, PASSES)),
                tuple(layers), {number: f"Thing {number}" for number in range(1, 200)}, "a street")
    blocks = np.random.default_rng(3).integers(1, 200, (30, 52), np.uint32)
    for frame in shot.frames.numbers:
        write_exr(folder / shot.sequence("id").path(frame), {"id": np.roll(np.kron(blocks, np.ones((16, 16), np.uint32)), frame)})
    names = [each.path(frame) for each in store.every_sequence(shot) for frame in shot.frames.numbers] + ["camera.npz"]
    files = {name: store.sha256_file(folder / name) if (folder / name).is_file() else "0" * 64 for name in names}
    store.write_json(folder / store.MANIFEST, shot_to_json(replace(shot, files=files)))
    for seed in range(20):
        take = new_take(folder, TakeRequest("a street", {"Ann": "a woman"}, seed))
        for name in ("environment", "Ann", "Ball"):
            for path in (layer_path(take.folder, name) / "frame.0001.png", latents_path(layer_path(take.folder, name))):
                store.write_part(path, b"numbers")
            seal_layer(take, name, "a" * 64)
        take.finish(State.DONE, error=None, seconds=1.0)
    scene.lucid.shot = str(folder)
    return folder


def test_from_a_click_in_a_long_shot_to_the_queued_take_is_under_two_seconds(
        long_shot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the pixel of a picture's file until the request is on the disk. Then the worker refuses: the shot is not whole."""
    _needs_the_worker()
    frame = 40
    x, y = _pixel(long_shot, 3, frame)
    picture = long_shot / "takes" / "0020" / "final" / f"frame.{frame:04d}.png"
    clicked = time.time()
    spot = pointing._of_file(picture, lambda shot: (x + 0.5, y + 0.5))
    assert bpy.ops.lucid.point(x=spot.x, y=spot.y, frame=spot.frame, number=spot.take) == {"FINISHED"}
    pointed = time.time()
    assert "SHOT_CORRUPT" in _refusal(bpy.ops.lucid.edit, another_seed=True)
    child = get_take(long_shot, 21)
    assert child.request().edit == Edit("Ball") and child.request().layer_seeds == {"Ball": 20}
    seconds = (child.folder / "request.json").stat().st_mtime - clicked
    with capsys.disabled():
        sys.stdout.write(f"\nfrom the click to the queued take: {seconds:.3f} s, {pointed - clicked:.3f} s of it to the target\n")
    assert seconds < 2.0


def _needs_the_worker() -> Path:
    try:
        return worker.worker_python()
    except LucidError as error:
        pytest.skip(f"needs the worker's environment: {error}")


def test_from_the_click_to_the_take_and_its_end(scene: bpy.types.Scene, tmp_path: Path) -> None:
    """And the verb ``edit`` asks the same, to the byte."""
    python = _needs_the_worker()
    folder = tmp_path / "walk.lucid"
    shot = make_shot(folder, frames=Frames(1, 2), figure=False)
    scene.lucid.shot, scene.lucid.steps = str(folder), 1
    assert bpy.ops.lucid.generate() == {"FINISHED"}
    ids = read_exr(folder / shot.sequence("id").path(1))["id"]
    actor = shot.actors[0]
    rows, columns = np.nonzero(np.isin(ids, actor.ids))
    bpy.ops.lucid.point(x=int(columns[0]), y=int(rows[0]), frame=1)
    assert bpy.ops.lucid.edit(another_seed=True) == {"FINISHED"}
    child = get_take(folder, 2)
    assert child.state() is State.DONE and child.request().edit == Edit(actor.name) and child.request().parent == 1
    kept = shot.environment.folder
    name = f"layers/{kept}/frame.0001.png"
    assert (child.folder / name).read_bytes() == (get_take(folder, 1).folder / name).read_bytes()
    assert [row.state for row in bpy.context.window_manager.lucid.takes] == ["DONE", "DONE"]
    subprocess.run([python, worker.WORKER, "edit", folder, "--take", "1", "--at", f"{columns[0]},{rows[0]},1", "--seed",
                    str(child.request().seed_of(actor.name))], env=worker.environment(), check=True, capture_output=True)
    for name in ("request.json", f"layers/{actor.folder}/frame.0001.png", "final/frame.0001.png"):
        assert (get_take(folder, 3).folder / name).read_bytes() == (child.folder / name).read_bytes()
