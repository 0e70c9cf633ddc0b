# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of the panel: what their rows ask for, what their eyes hide, their references, and a take's wishes put back."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
import cv2
import numpy as np
import pytest
from lucid.addon import worker
from lucid.addon.layers_panel import LUCID_PT_layer_actor
from lucid.addon.strips import shot_strips, take_of
from lucid.addon.wishes import restore_request, take_request
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Edit, Frames, Shot, TakeRequest
from lucid.inference.shot.sealed import sealed_layer
from lucid.inference.shot.store import open_shot
from lucid.inference.shot.takes import Take, get_take, list_takes, new_take
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take


@pytest.fixture
def staged(scene: bpy.types.Scene, tmp_path: Path) -> bpy.types.Scene:
    """A saved scene with the actors Ball and Walker, whose captured shot walk.lucid has no take yet."""
    for name in ("Ball", "Walker"):
        bpy.ops.mesh.primitive_cube_add()
        bpy.context.object.name = name
        bpy.ops.lucid.actor_add(kind="OBJECT")
    make_shot(tmp_path / "walk.lucid", frames=Frames(1, 2))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.context.scene.lucid.shot = "//walk.lucid/"
    return bpy.context.scene


@pytest.fixture
def with_worker(registered: None) -> None:
    try:
        worker.worker_python()
    except LucidError as error:
        pytest.skip(f"needs the worker's environment: {error}")


def _folder() -> Path:
    return Path(bpy.data.filepath).parent / "walk.lucid"


def _shot() -> Shot:
    return open_shot(_folder(), verify=False)


def _refusal(operator: object, *context: str, **arguments: object) -> str:
    with pytest.raises(RuntimeError) as raised:
        operator(*context, **arguments)
    return str(raised.value)


def _picture(path: Path, depth: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((8, 8, 3), 90, depth))
    return path


def _take(**fields: object) -> int:
    """A take of the shot that only waits; returns its number."""
    return new_take(_folder(), TakeRequest(**{"prompt": "a street"} | fields)).number


def _hashes(take: Take, layer: str) -> dict[str, str]:
    """Of every file of a painted layer."""
    return sealed_layer(take, layer).files


# ---- what is asked for

def test_the_rows_are_the_request(staged: bpy.types.Scene, tmp_path: Path) -> None:
    settings = staged.lucid
    settings.prompt, settings.seed, settings.steps, settings.stickiness, settings.noise = " a road ", 3, 4, 0.3, "pixel"
    settings.environment.prompt, settings.environment.strength = " wet asphalt ", 0.7
    ball = settings.layer("Ball")
    ball.use_seed, ball.seed, ball.prompt = True, 8, "   "
    settings.layer("Walker").seed = 5        # not used
    picture = _picture(tmp_path / "looks" / "ball.png")
    assert bpy.ops.lucid.reference_add(layer="Ball", filepath=str(picture)) == {"FINISHED"}
    assert ball.references[0].filepath == "//looks/ball.png"
    request, references = take_request(staged, _shot())
    assert request == TakeRequest("a road", {"environment": "wet asphalt"}, 3, 4, layer_seeds={"Ball": 8},
                                  strengths={"environment": 0.7}, stickiness=0.3, noise="pixel")
    assert references == {"Ball": [picture]}


def test_a_row_that_the_shot_does_not_have_is_told(staged: bpy.types.Scene) -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.name = "Late"
    bpy.ops.lucid.actor_add(kind="OBJECT")
    take_request(staged, _shot())       # nothing is wished of it
    for name, value in (("prompt", "a late box"), ("use_seed", True), ("strength", 0.5), ("locked", True)):
        late = staged.lucid.layer("Late")
        before = getattr(late, name)
        setattr(late, name, value)
        with pytest.raises(LucidError, match="Late"):
            take_request(staged, _shot())
        setattr(late, name, before)
    take_request(staged, _shot())


def test_a_reference_that_is_gone_is_told_before_a_take_is_reserved(staged: bpy.types.Scene, tmp_path: Path) -> None:
    picture = _picture(tmp_path / "ball.png")
    bpy.ops.lucid.reference_add(layer="Ball", filepath=str(picture))
    picture.unlink()
    assert "REFERENCE_INVALID" in _refusal(bpy.ops.lucid.generate)
    assert not list_takes(_folder())


# ---- locks

def test_a_lock_needs_a_finished_take(staged: bpy.types.Scene) -> None:
    _take()
    staged.lucid.layer("Ball").locked = True
    refusal = _refusal(bpy.ops.lucid.generate)
    assert "LOCK_EMPTY" in refusal and "'Ball' is locked" in refusal
    assert len(list_takes(_folder())) == 1


def test_a_locked_layer_stays_to_the_bit(staged: bpy.types.Scene, with_worker: None) -> None:
    settings = staged.lucid
    settings.steps, settings.layer("Ball").prompt = 1, "a red ball"
    assert bpy.ops.lucid.generate() == {"FINISHED"}
    settings.layer("Ball").locked = True
    settings.layer("Ball").prompt, settings.layer("Ball").strength = "a blue ball", 0.1      # asked of nobody
    settings.seed = 9
    assert bpy.ops.lucid.generate() == {"FINISHED"}
    first, second = list_takes(_folder())
    request = second.request()
    assert (request.parent, request.keep, request.prompt_of("Ball"), request.seed) == (1, ("Ball",), "a red ball", 9)
    assert _hashes(first, "Ball") == _hashes(second, "Ball")
    assert all(_hashes(first, name) != _hashes(second, name) for name in ("environment", "Walker"))
    for name in ("environment", "Walker"):
        settings.layer(name).locked = True
    assert "KEEP_ALL" in _refusal(bpy.ops.lucid.generate)


def test_regenerate_paints_one_layer_from_another_seed(staged: bpy.types.Scene, with_worker: None) -> None:
    staged.lucid.steps, staged.lucid.seed = 1, 4
    assert "No take is done" in _refusal(bpy.ops.lucid.layer_regenerate, layer="Ball")
    assert bpy.ops.lucid.generate() == {"FINISHED"}
    assert "LAYER_UNKNOWN" in _refusal(bpy.ops.lucid.layer_regenerate, layer="Nobody")
    staged.lucid.layer("Ball").locked = True
    assert "'Ball' is locked" in _refusal(bpy.ops.lucid.layer_regenerate, layer="Ball")
    staged.lucid.layer("Ball").locked = False
    assert bpy.ops.lucid.layer_regenerate(layer="Ball") == {"FINISHED"}
    first, second = list_takes(_folder())
    assert (second.request().edit, second.request().layer_seeds) == (Edit("Ball"), {"Ball": 5})
    assert _hashes(first, "Ball") != _hashes(second, "Ball")
    assert all(_hashes(first, name) == _hashes(second, name) for name in ("environment", "Walker"))
    assert bpy.context.window_manager.lucid.chosen.number == 2


# ---- eyes

def _seen(timeline: bpy.types.Scene) -> list[tuple[int, str]]:
    """(take, part) of the strips that are not muted, the lowest first."""
    strips = sorted(shot_strips(timeline, _folder()), key=lambda strip: strip.channel)
    return [(take.number, part) for take, part in (take_of(strip) for strip in strips if not strip.mute)]


def test_an_eye_shows_the_layers_in_place_of_the_final(staged: bpy.types.Scene) -> None:
    settings = staged.lucid
    for seed in (0, 1):
        make_take(_folder(), _shot(), seed)
    bpy.ops.lucid.takes_refresh()
    bpy.ops.lucid.import_take(number=1)
    bpy.ops.lucid.import_take(number=2)
    timeline = bpy.data.scenes["Scene timeline"]
    assert _seen(timeline) == [(2, "final")]
    settings.layer("Ball").visible = False
    assert _seen(timeline) == [(2, "layers/environment"), (2, "layers/Walker")]
    bpy.ops.lucid.take_show(number=1)       # what is hidden stays so
    assert _seen(timeline) == [(1, "layers/environment"), (1, "layers/Walker")]
    settings.environment.visible = False
    assert _seen(timeline) == [(1, "layers/Walker")]
    settings.layer("Walker").visible = False
    assert _seen(timeline) == []
    settings.environment.visible = True
    assert _seen(timeline) == [(1, "layers/environment")]
    settings.layer("Ball").visible = settings.layer("Walker").visible = True
    assert _seen(timeline) == [(1, "final")]
    settings.shadow_visible = settings.volume_visible = False       # this shot has neither
    assert _seen(timeline) == [(1, "final")]
    make_take(_folder(), _shot(), 3)
    settings.layer("Ball").visible = False
    bpy.ops.lucid.takes_refresh()
    bpy.ops.lucid.import_take(number=3)
    assert _seen(timeline) == [(3, "layers/environment"), (3, "layers/Walker")]


def test_an_eye_leaves_what_is_not_its_own_alone(staged: bpy.types.Scene) -> None:
    make_take(_folder(), _shot())
    bpy.ops.lucid.takes_refresh()
    bpy.ops.lucid.import_take()
    timeline = bpy.data.scenes["Scene timeline"]
    own = timeline.sequence_editor.strips.new_effect("mine", "COLOR", 20, 1, length=4)
    for strip in shot_strips(timeline, _folder()):
        strip.mute = True                   # the user looks at his own
    staged.lucid.layer("Ball").visible = False
    assert _seen(timeline) == [] and not own.mute


def test_an_eye_switches_the_compositors_factor(staged: bpy.types.Scene) -> None:
    make_take(_folder(), _shot())
    bpy.ops.lucid.takes_refresh()
    assert bpy.ops.lucid.compositor_group() == {"FINISHED"}
    tree = bpy.data.scenes["Scene compositor"].compositing_node_group
    factors = next(node for node in tree.nodes if node.bl_idname == "CompositorNodeGroup").inputs
    factors["Walker"].default_value = 0.25
    staged.lucid.layer("Ball").visible = False
    assert {name: factors[name].default_value for name in ("environment", "Ball", "Walker")} == {
        "environment": 1.0, "Ball": 0.0, "Walker": 0.25}
    staged.lucid.layer("Ball").visible = True
    assert factors["Ball"].default_value == 1.0 and factors["Walker"].default_value == 0.25


def test_an_eye_of_a_shot_that_is_gone_says_so(staged: bpy.types.Scene) -> None:
    make_take(_folder(), _shot())
    bpy.ops.lucid.takes_refresh()
    bpy.ops.lucid.import_take()
    (_folder() / "shot.json").unlink()
    staged.lucid.layer("Ball").visible = False
    assert "SHOT_MISSING" in bpy.context.window_manager.lucid.error


def test_an_eye_is_undone(staged: bpy.types.Scene) -> None:
    make_take(_folder(), _shot())
    bpy.ops.lucid.takes_refresh()
    bpy.ops.lucid.import_take()
    bpy.ops.ed.undo_push(message="before")
    staged.lucid.layer("Ball").visible = False
    assert _seen(bpy.data.scenes["Scene timeline"]) == [(1, "layers/environment"), (1, "layers/Walker")]
    bpy.ops.ed.undo_push(message="eye")
    bpy.ops.ed.undo()
    assert bpy.data.scenes["Scene"].lucid.layer("Ball").visible
    assert _seen(bpy.data.scenes["Scene timeline"]) == [(1, "final")]


# ---- references

def test_references_are_pictures_of_eight_bits(staged: bpy.types.Scene, tmp_path: Path) -> None:
    deep, text = _picture(tmp_path / "deep.png", np.uint16), tmp_path / "text.png"
    text.write_text("no picture")
    for path in (deep, text, tmp_path / "none.png", tmp_path):
        assert "REFERENCE_INVALID" in _refusal(bpy.ops.lucid.reference_add, layer="environment", filepath=str(path))
    assert "REFERENCE_INVALID" in _refusal(bpy.ops.lucid.reference_add, layer="environment")
    refusal = _refusal(bpy.ops.lucid.reference_add, layer="Nobody", filepath=str(deep))
    assert "its layers are: environment, Ball, Walker" in refusal
    assert not staged.lucid.environment.references


def test_what_is_linked_is_not_changed(staged: bpy.types.Scene, tmp_path: Path) -> None:
    make_take(_folder(), _shot())
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    with bpy.data.libraries.load(str(tmp_path / "scene.blend"), link=True) as (_theirs, ours):
        ours.scenes = ["Scene"]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "linking.blend"))
    bpy.context.window.scene = next(scene for scene in bpy.data.scenes if scene.library)
    bpy.ops.lucid.takes_refresh()
    assert len(bpy.context.window_manager.lucid.takes) == 1
    for operator in (bpy.ops.lucid.reference_add, bpy.ops.lucid.reference_remove, bpy.ops.lucid.take_restore):
        assert "linked from another file" in _refusal(operator)


def test_several_references_at_once_each_once(staged: bpy.types.Scene, tmp_path: Path) -> None:
    for name in "ab":
        _picture(tmp_path / f"{name}.png")
    both = {"directory": str(tmp_path), "files": [{"name": "a.png"}, {"name": "b.png"}]}
    assert bpy.ops.lucid.reference_add(**both) == {"FINISHED"}      # the active actor's
    walker = staged.lucid.layer("Walker")
    assert [item.filepath for item in walker.references] == ["//a.png", "//b.png"]
    assert bpy.ops.lucid.reference_add(layer="Walker", **both) == {"CANCELLED"}
    assert bpy.ops.lucid.reference_remove() == bpy.ops.lucid.reference_remove() == {"FINISHED"}
    assert bpy.ops.lucid.reference_remove() == {"CANCELLED"} and not walker.references
    staged.lucid.actors.clear()
    assert "no actor is chosen" in _refusal(bpy.ops.lucid.reference_remove)


def test_references_are_undone(staged: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.lucid.reference_add("EXEC_DEFAULT", True, layer="environment", filepath=str(_picture(tmp_path / "a.png")))
    bpy.ops.lucid.reference_remove("EXEC_DEFAULT", True, layer="environment")
    bpy.ops.ed.undo()
    assert [item.filepath for item in bpy.context.scene.lucid.environment.references] == ["//a.png"]
    bpy.ops.ed.undo()
    assert not bpy.context.scene.lucid.environment.references


# ---- back into the panel

def test_restore_asks_for_the_same_again(staged: bpy.types.Scene, tmp_path: Path) -> None:
    settings, ball = staged.lucid, staged.lucid.layer("Ball")
    settings.prompt, settings.seed, settings.steps, settings.pull = "a road", 3, 4, 0.2
    settings.environment.strength, ball.prompt, ball.use_seed, ball.seed = 0.35, "a red ball", True, 7
    bpy.ops.lucid.reference_add(layer="Ball", filepath=str(_picture(tmp_path / "ball.png")))
    request, references = take_request(staged, _shot())
    take = new_take(_folder(), request, references=references)
    bpy.ops.lucid.takes_refresh()
    settings.prompt, settings.seed, settings.steps, settings.weights, settings.pull = "a sea", 0, 0, "elsewhere", 0.0
    settings.environment.strength, settings.environment.prompt = 1.0, "waves"
    ball.prompt, ball.use_seed = "", False
    ball.references.clear()
    (tmp_path / "ball.png").unlink()
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.lucid.take_restore("EXEC_DEFAULT", True) == {"FINISHED"}
    again, pictures = take_request(staged, _shot())
    assert again == request and ball.references[0].filepath.startswith("//walk.lucid/references/")
    assert new_take(_folder(), again, references=pictures).request() == take.request()
    shutil.rmtree(take.folder)      # what was restored does not need it
    assert [path.is_file() for path in ball.reference_paths()] == [True]
    bpy.ops.ed.undo()
    assert bpy.context.scene.lucid.prompt == "a sea" and bpy.context.scene.lucid.environment.prompt == "waves"


def test_restore_names_what_has_no_place(staged: bpy.types.Scene) -> None:
    number = _take(layer_prompts={"Ghost": "mist"}, strengths={"Road": 0.5, "Ball": [[1, 0.0], [2, 1.0]], "Walker": 0.5},
                   layer_seeds={"Walker": 1 << 40}, seed=6)
    _take()
    bpy.ops.lucid.takes_refresh()
    lost = "; ".join(restore_request(staged, get_take(_folder(), number)))
    for words in ("layer 'Ghost'", "strength of 'Road'", "strength of 'Ball' by frame", f"seed {1 << 40}"):
        assert words in lost
    walker = staged.lucid.layer("Walker")
    assert (staged.lucid.seed, walker.strength, walker.use_seed, staged.lucid.layer("Ball").strength) == (6, 0.5, False, 1.0)
    assert bpy.ops.lucid.take_restore(number=number) == {"FINISHED"}
    assert bpy.context.window_manager.lucid.chosen.number == number


def test_restore_of_a_take_that_cannot_be_read_changes_nothing(staged: bpy.types.Scene) -> None:
    (get_take(_folder(), _take()).folder / "request.json").write_text("{")
    bpy.ops.lucid.takes_refresh()
    staged.lucid.prompt = "a sea"
    assert "TAKE_INVALID" in _refusal(bpy.ops.lucid.take_restore)
    assert "TAKE_MISSING" in _refusal(bpy.ops.lucid.take_restore, number=7)
    assert staged.lucid.prompt == "a sea"


def test_restore_of_a_change_goes_up_to_who_painted_it(staged: bpy.types.Scene) -> None:
    first = make_take(_folder(), _shot())
    new_take(_folder(), TakeRequest("noise", {"environment": "a puddle"}, layer_seeds={"environment": 3}, parent=first.number,
                                    edit=Edit("environment", (3,))))
    bpy.ops.lucid.takes_refresh()
    assert restore_request(staged, get_take(_folder(), 2)) == ["what it changes of take 1, which is for Point at a Take"]
    assert (staged.lucid.environment.prompt, staged.lucid.environment.use_seed) == ("", False)


# ---- wrong places

def test_grey_buttons_say_why(scene: bpy.types.Scene) -> None:
    assert "Capture the shot first" in _refusal(bpy.ops.lucid.layer_regenerate, layer="environment")
    assert "Capture the shot first" in _refusal(bpy.ops.lucid.take_restore)
    assert not LUCID_PT_layer_actor.poll(bpy.context)


def test_an_actor_that_was_deleted_is_no_layer(staged: bpy.types.Scene) -> None:
    bpy.data.objects.remove(bpy.data.objects["Walker"])
    assert [name for name, _wish in staged.lucid.layers()] == ["environment", "Ball"]
    assert not LUCID_PT_layer_actor.poll(bpy.context)
    staged.lucid.actor_index = 0
    assert LUCID_PT_layer_actor.poll(bpy.context)
