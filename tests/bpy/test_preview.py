# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview: what it shows is what is captured, and nothing stays when it is off."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import bpy
import lucid
import numpy as np
import pytest
from lucid.addon import preview
from lucid.addon.capture.layers import resolve_actors
from lucid.addon.capture.shading import ensure_gpu
from lucid.addon.preview_picture import CONTROLS, LivePicture, Wish, missed_by_viewport, preview_size
from lucid.inference.conditioning.depth import inverse_depth
from lucid.inference.conditioning.geometry import geometry
from lucid.inference.conditioning.pose import JOINTS, draw_openpose, drawn
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Size
from lucid.tests.captured import SIZE, add_camera, add_cube, add_figure, add_sphere, captured
from mathutils import Matrix

MIXAMO = {"hips": "Hips", "spine": "Spine2", "head": "Head", "shoulder": "{}Arm", "elbow": "{}ForeArm", "wrist": "{}Hand",
          "hip": "{}UpLeg", "knee": "{}Leg", "ankle": "{}Foot"}
HANDLERS = ("depsgraph_update_post", "frame_change_post", "undo_post", "redo_post", "load_pre")


def _handlers() -> dict[str, list[Any]]:
    """Lucid's own: Blender's scripts have others."""
    return {name: [entry for entry in getattr(bpy.app.handlers, name) if entry.__module__.startswith("lucid.")]
            for name in HANDLERS}


def _refusal(operator: Any) -> str:
    with pytest.raises(RuntimeError) as raised:
        operator()
    return str(raised.value)


def _evaluated() -> bpy.types.Depsgraph:
    return bpy.context.evaluated_depsgraph_get()


def _drawn(scene: bpy.types.Scene, wish: Wish, live: LivePicture | None = None) -> np.ndarray:
    ensure_gpu()
    return (live or LivePicture(SIZE)).draw(_evaluated(), scene.camera, wish)


@pytest.fixture
def moving(empty: bpy.types.Scene) -> bpy.types.Scene:
    """A ball that moves, a box that a modifier makes rows of, and a floor."""
    empty.render.resolution_x, empty.render.resolution_y = 16 * 40, 9 * 40
    ball = add_sphere("Ball", at=(-0.8, 0.0, 0.3), detail=24)
    ball.keyframe_insert("location", frame=1)
    ball.location.x = 0.8
    ball.keyframe_insert("location", frame=5)
    add_cube("Box", at=(-1.0, 1.5, 0.2)).modifiers.new("Row", "ARRAY").count = 3
    add_cube("Floor", at=(0.0, 0.0, -6.0), size=10.0)
    add_camera(empty)
    return empty


@pytest.fixture
def figure(empty: bpy.types.Scene) -> bpy.types.Scene:
    """A figure with a body, before a wall, as an actor."""
    rig = add_figure("Figure", MIXAMO, ("Left", "Right"))
    add_cube("Body", at=(0.0, 0.0, 1.1), size=0.4).parent = rig
    add_cube("Wall", at=(0.0, 8.0, 0.0), size=10.0)
    add_camera(empty, at=(0.5, -4.0, 1.2), towards=(0.0, 0.0, 1.0))
    empty.lucid.actors.add().object = rig
    return empty


# on and off

def test_nothing_stays_when_it_is_off(scene: bpy.types.Scene) -> None:
    before, threads = _handlers(), threading.active_count()
    for _ in range(20):
        assert bpy.ops.lucid.preview() == {"FINISHED"} and preview.running()
        assert bpy.app.timers.is_registered(preview._tick)
        assert bpy.ops.lucid.preview() == {"FINISHED"} and not preview.running()
        assert not bpy.app.timers.is_registered(preview._tick) and _handlers() == before
    assert threading.active_count() == threads and not preview._preview.views


def test_another_file_switches_it_off(scene: bpy.types.Scene) -> None:
    before = _handlers()
    bpy.ops.lucid.preview()
    bpy.ops.wm.read_factory_settings()
    assert not preview.running() and not bpy.app.timers.is_registered(preview._tick) and _handlers() == before


def test_switching_lucid_off_switches_it_off(scene: bpy.types.Scene) -> None:
    bpy.ops.lucid.preview()
    lucid.unregister()
    try:
        assert not preview.running() and not bpy.app.timers.is_registered(preview._tick)
        assert not any(entry.__module__ == preview.__name__ for entries in _handlers().values() for entry in entries)
        assert not hasattr(bpy.types.Scene, "lucid_preview")
    finally:
        lucid.register()


def test_it_is_off_without_a_camera_but_can_be_switched_off(scene: bpy.types.Scene) -> None:
    bpy.ops.lucid.preview()
    scene.camera = None
    assert bpy.ops.lucid.preview.poll()
    bpy.ops.lucid.preview()
    assert "no camera to look through" in _refusal(bpy.ops.lucid.preview)


def test_the_toggle_is_no_step_of_undo(scene: bpy.types.Scene) -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.data.objects["Cube"].location.x = 3.0
    bpy.ops.ed.undo_push(message="moved")
    bpy.ops.lucid.preview("EXEC_DEFAULT", True)
    bpy.ops.ed.undo()
    assert bpy.data.objects["Cube"].location.x == 0.0 and preview.running()
    bpy.ops.lucid.preview()


# what is shown

def test_it_is_what_is_captured(moving: bpy.types.Scene, tmp_path: Path) -> None:
    shot = captured(moving, tmp_path, frames=Frames(1, 3))
    ensure_gpu()
    live, span = LivePicture(SIZE), shot.shot.depth_range
    for frame in (1, 3):
        moving.frame_set(frame)
        found = live.surfaces(_evaluated(), moving.camera, Wish("depth")).full
        np.testing.assert_array_equal(found.depth, shot.depth(frame))
        np.testing.assert_array_equal(found.normal, shot.normal(frame))
        np.testing.assert_array_equal(found.id, shot.id(frame))
        told = inverse_depth(shot.depth(frame), span)
        np.testing.assert_array_equal(_drawn(moving, Wish("depth", span=span), live)[..., :3], told[..., None].repeat(3, -1))
        hit = np.isfinite(shot.depth(frame))
        np.testing.assert_array_equal(_drawn(moving, Wish("geometry", span=span), live)[..., :3],
                                      geometry(told, shot.normal(frame), hit))
        np.testing.assert_allclose(_drawn(moving, Wish("normal"), live)[hit][:, :3], shot.normal(frame)[hit] * 0.5 + 0.5,
                                   atol=1e-6)
    assert len({tuple(colour) for colour in _drawn(moving, Wish("id"), live).reshape(-1, 4)}) == 4     # with the background


def test_the_skeleton_is_the_captured_one(figure: bpy.types.Scene, tmp_path: Path) -> None:
    shot = captured(figure, tmp_path, actors=("Figure",))
    image, codes = shot.pose["image"][0], shot.pose["visibility"][0]
    assert np.isfinite(image[0, JOINTS.index("l_wrist")]).all()
    lines = draw_openpose(image, drawn(codes), SIZE.height, SIZE.width)
    actors = resolve_actors(figure, ("Figure",))
    found = _drawn(figure, Wish("pose", actors=actors))[..., :3]
    np.testing.assert_allclose(found, lines, atol=1e-6)
    assert (found > 0.0).any(-1).sum() > 100
    over, bare = _drawn(figure, Wish("depth", skeletons=True, actors=actors)), _drawn(figure, Wish("depth", actors=actors))
    np.testing.assert_array_equal((over != bare).any(-1), lines.any(-1))
    composed = _drawn(figure, Wish("composed", actors=actors))[..., :3]
    body = shot.names() == "Body"
    np.testing.assert_allclose(composed[body], lines[body], atol=1e-6)
    np.testing.assert_array_equal(composed[:, :30], bare[:, :30, :3])          # depth, far from the figure


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
def test_a_mesh_is_read_again_only_when_it_changed(mode: str, scene: bpy.types.Scene) -> None:
    cube, live = bpy.data.objects["Cube"], None
    bpy.context.view_layer.objects.active = cube
    bpy.ops.object.mode_set(mode=mode)
    ensure_gpu()
    live = LivePicture(SIZE)
    first = live.surfaces(_evaluated(), scene.camera, Wish("depth")).full
    assert (first.id > 0).sum() > 300
    bpy.ops.object.mode_set(mode="OBJECT")
    for vertex in cube.data.vertices:
        vertex.co *= 0.5
    bpy.context.view_layer.update()
    bpy.ops.object.mode_set(mode=mode)
    live.forget({cube.session_uid}, looks=False)
    smaller = live.surfaces(_evaluated(), scene.camera, Wish("depth")).full
    assert 0.15 < (smaller.id > 0).sum() / (first.id > 0).sum() < 0.3
    bpy.ops.object.mode_set(mode="OBJECT")


def test_what_a_render_hides_is_not_shown(moving: bpy.types.Scene) -> None:
    ensure_gpu()
    live = LivePicture(SIZE)
    everything = live.surfaces(_evaluated(), moving.camera, Wish("id")).full
    bpy.data.objects["Ball"].hide_render = True
    without = live.surfaces(_evaluated(), moving.camera, Wish("id")).full
    assert len(np.unique(everything.id)) - len(np.unique(without.id)) == 1
    set_aside = bpy.data.collections.new("Set aside")
    moving.collection.children.link(set_aside)
    moving.collection.objects.unlink(bpy.data.objects["Box"])
    set_aside.objects.link(bpy.data.objects["Box"])
    set_aside.hide_render = True
    assert len(np.unique(live.surfaces(_evaluated(), moving.camera, Wish("id")).full.id)) == 2    # floor and background


def test_what_only_the_viewport_hides_is_told(moving: bpy.types.Scene) -> None:
    assert missed_by_viewport(bpy.context.view_layer) == []
    bpy.data.objects["Ball"].hide_set(True)
    bpy.data.objects["Box"].hide_viewport = True
    bpy.data.objects["Floor"].hide_render = bpy.data.objects["Floor"].hide_viewport = True
    assert missed_by_viewport(bpy.context.view_layer) == ["Ball", "Box"]


def test_a_material_that_becomes_invisible_vanishes(scene: bpy.types.Scene) -> None:
    ensure_gpu()
    live, material = LivePicture(SIZE), bpy.data.objects["Cube"].active_material
    assert live.surfaces(_evaluated(), scene.camera, Wish("id")).full.id.any()
    output = material.node_tree.get_output_node("CYCLES")
    material.node_tree.links.remove(output.inputs["Surface"].links[0])
    fog = material.node_tree.nodes.new("ShaderNodeVolumeScatter")
    material.node_tree.links.new(fog.outputs[0], output.inputs["Volume"])
    assert live.surfaces(_evaluated(), scene.camera, Wish("id")).full.id.any()     # nobody told it
    live.forget(())
    assert not live.surfaces(_evaluated(), scene.camera, Wish("id")).full.id.any()


def test_a_view_follows_the_scene(scene: bpy.types.Scene) -> None:
    """As a viewport draws it: the handlers tell what changed, the texture is the picture."""
    ensure_gpu()
    bpy.ops.lucid.preview()
    view = preview._preview.views[0,] = preview._View()
    cube, seen = bpy.data.objects["Cube"], []
    for change in (lambda: None, lambda: cube.data.transform(Matrix.Scale(0.5, 4)),
                   lambda: setattr(cube.location, "x", 60.0)):
        change()
        cube.data.update()
        bpy.context.view_layer.update()
        assert view.generation != preview._preview.generation
        view.refresh(scene, _evaluated(), scene.camera)
        view.next = 0.0
        assert not view.stale()
        shown = np.array(view.texture.read()).reshape(144, 256, 4)[::-1]
        np.testing.assert_array_equal(shown, LivePicture(Size(256, 144)).draw(_evaluated(), scene.camera, Wish("depth")))
        seen.append((shown[..., 0] > 0.0).sum())
    assert seen[0] > 2 * seen[1] > seen[2] == 0
    bpy.ops.lucid.preview()


def test_a_view_that_is_gone_is_let_go(scene: bpy.types.Scene) -> None:
    bpy.ops.lucid.preview()
    preview._preview.views[0,] = preview._View()
    for _ in range(preview._PATIENCE):
        assert preview._tick() > 0.0 and preview._preview.views
    preview._tick()
    assert not preview._preview.views
    bpy.ops.lucid.preview()


def test_nothing_in_the_picture_is_black(empty: bpy.types.Scene) -> None:
    add_camera(empty)
    for name in CONTROLS:
        picture = _drawn(empty, Wish(name))
        assert picture.shape == (SIZE.height, SIZE.width, 4) and not picture[..., :3].any() and picture[..., 3].all()


def test_its_size_has_the_renders_shape(scene: bpy.types.Scene) -> None:
    scene.render.resolution_x, scene.render.resolution_y = 1080, 1920
    assert (preview_size(scene, 256).width, preview_size(scene, 256).height) == (144, 256)


# what cannot be

def test_settings_that_cannot_be_say_why(scene: bpy.types.Scene, tmp_path: Path) -> None:
    settings = scene.lucid_preview
    assert preview.wish_of(scene) == Wish("depth")
    settings.use_shot_range = True
    with pytest.raises(LucidError, match="SHOT_MISSING"):
        preview.wish_of(scene)
    settings.control = "normal"         # has no depth
    assert preview.wish_of(scene) == Wish("normal")
    settings.control = "depth"
    shot = captured(scene, tmp_path)
    scene.lucid.shot = str(shot.folder)
    assert preview.wish_of(scene).span == shot.shot.depth_range
    settings.control = "pose"
    scene.lucid.actors.add().object = bpy.data.objects["Light"]
    with pytest.raises(LucidError, match="ACTOR_EMPTY"):
        preview.wish_of(scene)
    scene.camera.data.type = "PANO"
    with pytest.raises(LucidError, match="CAMERA_UNSUPPORTED"):
        _drawn(scene, Wish("depth"))


def test_changes_mark_it_stale(scene: bpy.types.Scene) -> None:
    bpy.ops.lucid.preview()
    cube, settings = bpy.data.objects["Cube"], scene.lucid_preview
    changes = {"frame": lambda: scene.frame_set(4), "object": lambda: setattr(cube.location, "x", 1.0),
               "control": lambda: setattr(settings, "control", "id"), "size": lambda: setattr(settings, "side", 128),
               "skeletons": lambda: setattr(settings, "skeletons", True)}
    for name, change in changes.items():
        before = preview._preview.generation
        change()
        if name == "object":
            bpy.context.view_layer.update()
        assert preview._preview.generation > before, name
    bpy.ops.lucid.preview()
