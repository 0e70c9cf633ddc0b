# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on the timeline: where strips sit, that they move with the project, and that their pixels are the frames'."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
import cv2
import numpy as np
import pytest
from lucid.addon.timeline import import_take
from lucid.inference.errors import LucidError
from lucid.inference.shot.images import write_png
from lucid.inference.shot.model import Frames, Rate, Shot, Size
from lucid.inference.shot.paths import frame_path
from lucid.inference.shot.store import MANIFEST, read_json, write_json
from lucid.inference.shot.takes import State, Take, TakeRequest, new_take
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take
from lucid.tests.timelines import final_frame, rendered_frame, strips_of


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path / "walk.lucid", frames=Frames(11, 14))


def test_strips_sit_at_the_shots_frames_below_the_final(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    make_take(tmp_path / "walk.lucid", shot)
    timeline = import_take(scene, tmp_path / "walk.lucid", 1)
    strips = strips_of(timeline)
    assert [strip.name for strip in strips] == [f"lucid walk take 1 · {part}"
                                                for part in ("environment", "Ball", "Walker", "final")]
    assert {(strip.left_handle, strip.right_handle) for strip in strips} == {(11, 15)}
    assert [strip.mute for strip in strips] == [True, True, True, False]
    assert {strip.blend_type for strip in strips} == {"ALPHA_OVER"}
    assert {strip.colorspace_settings.name for strip in strips} == {"sRGB"}
    assert (timeline.render.fps, timeline.render.fps_base) == (12, 1.0)
    assert (timeline.render.resolution_x, timeline.render.resolution_y) == (64, 48)
    assert (timeline.frame_start, timeline.frame_end) == (11, 14)
    assert all(workspace.sequencer_scene == timeline for workspace in bpy.data.workspaces)


def test_the_captured_scene_stays_as_it_was(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    make_take(tmp_path / "walk.lucid", shot)
    import_take(scene, tmp_path / "walk.lucid", 1)
    assert scene.view_settings.view_transform == "AgX"
    assert not scene.sequence_editor.strips
    assert (scene.render.resolution_x, scene.render.fps, scene.frame_end) == (1920, 24, 250)


def test_the_timeline_renders_the_frames_on_disk(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    """In a default file, whose AgX view changes sequencer output by up to 128 of 255."""
    folder = tmp_path / "walk.lucid"
    make_take(folder, shot)
    timeline = import_take(scene, folder, 1)
    for frame in (11, 14):
        assert np.abs(rendered_frame(timeline, frame, tmp_path / "out.png") - final_frame(folder, 1, frame)).max() <= 1


def test_the_layers_composited_by_the_timeline_are_the_final(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    make_take(folder, shot)
    timeline = import_take(scene, folder, 1)
    for strip in strips_of(timeline):
        strip.mute = not strip.mute
    assert np.abs(rendered_frame(timeline, 12, tmp_path / "out.png") - final_frame(folder, 1, 12)).max() <= 1


def test_the_workspace_renders_it_beside_another_scene(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    """What "Render Sequencer Image" does while the 3D scene stays in front."""
    folder = tmp_path / "walk.lucid"
    make_take(folder, shot)
    timeline = import_take(scene, folder, 1)
    timeline.frame_set(12)
    timeline.render.filepath = str(tmp_path / "out.png")
    bpy.ops.render.render(write_still=True, use_sequencer_scene=True)
    assert bpy.context.scene == scene
    rendered = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)[..., :3].astype(int)
    assert np.abs(rendered - final_frame(folder, 1, 12)).max() <= 1


def test_a_step_holds_each_image(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "held.lucid"
    shot = make_shot(folder, frames=Frames(-2, 8, 3))       # images at -2, 1, 4, 7
    make_take(folder, shot)
    timeline = import_take(scene, folder, 1)
    assert {(strip.left_handle, strip.right_handle) for strip in strips_of(timeline)} == {(-2, 9)}
    for frame, image in ((-2, -2), (0, -2), (1, 1), (6, 4), (8, 7)):
        assert np.abs(rendered_frame(timeline, frame, tmp_path / "out.png") - final_frame(folder, 1, image)).max() <= 1


def test_a_shot_of_one_frame(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "still.lucid"
    make_take(folder, make_shot(folder, frames=Frames(7, 7)))
    timeline = import_take(scene, folder, 1)
    assert {(strip.left_handle, strip.right_handle) for strip in strips_of(timeline)} == {(7, 8)}
    assert np.abs(rendered_frame(timeline, 7, tmp_path / "out.png") - final_frame(folder, 1, 7)).max() <= 1


def test_importing_twice_adds_nothing(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    make_take(folder, shot)
    first = import_take(scene, folder, 1)
    assert import_take(scene, folder, 1) == first
    assert import_take(first, folder, 1) == first       # also when started from the timeline itself
    assert len(strips_of(first)) == 4


def test_a_newer_take_goes_above_and_mutes_the_older(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    make_take(folder, shot, seed=1)
    make_take(folder, shot, seed=2)
    timeline = import_take(scene, folder, 1)
    assert import_take(scene, folder, 2) == timeline
    strips = strips_of(timeline)
    assert [strip.channel for strip in strips] == list(range(1, 9))
    assert [strip.name for strip in strips if not strip.mute] == ["lucid walk take 2 · final"]
    import_take(scene, folder, 1)
    assert [strip.name for strip in strips if not strip.mute] == ["lucid walk take 1 · final"]
    assert np.abs(rendered_frame(timeline, 11, tmp_path / "out.png") - final_frame(folder, 1, 11)).max() <= 1


def test_shots_of_one_scene_share_a_timeline(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    make_take(tmp_path / "walk.lucid", shot)
    later = make_shot(tmp_path / "run.lucid", frames=Frames(15, 17))
    make_take(tmp_path / "run.lucid", later)
    larger = make_shot(tmp_path / "wide.lucid", size=Size(80, 48))
    make_take(tmp_path / "wide.lucid", larger)
    timeline = import_take(scene, tmp_path / "walk.lucid", 1)
    assert import_take(scene, tmp_path / "run.lucid", 1) == timeline
    assert (timeline.frame_start, timeline.frame_end) == (11, 17)
    assert len([strip for strip in strips_of(timeline) if not strip.mute]) == 2
    assert import_take(scene, tmp_path / "wide.lucid", 1) != timeline


def test_paths_are_relative_and_survive_a_move(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    shutil.move(tmp_path / "walk.lucid", project / "walk.lucid")
    make_take(project / "walk.lucid", shot)
    bpy.ops.wm.save_as_mainfile(filepath=str(project / "edit.blend"))
    timeline = import_take(bpy.context.scene, project / "walk.lucid", 1)
    assert {strip.directory for strip in strips_of(timeline)} == {
        f"//walk.lucid/takes/0001/{part}/" for part in ("layers/environment", "layers/Ball", "layers/Walker", "final")}
    bpy.ops.wm.save_mainfile()
    shutil.move(project, tmp_path / "moved")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "moved" / "edit.blend"))
    timeline = bpy.data.scenes["Scene timeline"]
    moved = tmp_path / "moved" / "walk.lucid"
    assert np.abs(rendered_frame(timeline, 13, tmp_path / "out.png") - final_frame(moved, 1, 13)).max() <= 1
    import_take(bpy.data.scenes["Scene"], moved, 1)
    assert len(strips_of(timeline)) == 4


def test_a_rate_that_is_no_integer(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    manifest = read_json(folder / MANIFEST, "TEST", "")
    write_json(folder / MANIFEST, manifest | {"rate": {"num": 24000, "den": 1001}})
    make_take(folder, shot)
    render = import_take(scene, folder, 1).render
    assert render.fps == 24
    assert render.fps / render.fps_base == pytest.approx(Rate(24000, 1001).fps, abs=1e-5)


def test_the_users_own_edit_is_left_alone(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    own = bpy.data.scenes.new("Edit")
    bpy.data.workspaces["Layout"].sequencer_scene = own
    make_take(tmp_path / "walk.lucid", shot)
    timeline = import_take(scene, tmp_path / "walk.lucid", 1)
    assert bpy.data.workspaces["Layout"].sequencer_scene == own
    assert bpy.data.workspaces["Animation"].sequencer_scene == timeline


def test_only_whole_takes_are_imported(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    new_take(folder, TakeRequest("never run"))
    damaged = make_take(folder, shot)
    path = damaged.folder / "final" / "frame.0013.png"
    path.write_bytes(path.read_bytes()[:-5])
    cancelled = new_take(folder, TakeRequest("stopped"))
    cancelled.finish(State.CANCELLED, error=None)
    for number, code in ((1, "TAKE_NOT_DONE"), (2, "TAKE_CORRUPT"), (3, "TAKE_NOT_DONE"), (9, "TAKE_MISSING")):
        with pytest.raises(LucidError) as raised:
            import_take(scene, folder, number)
        assert raised.value.code == code
    assert len(bpy.data.scenes) == 1


def test_a_full_timeline_says_so(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    make_take(folder, shot)
    make_take(folder, shot, seed=1)
    timeline = import_take(scene, folder, 1)
    strips_of(timeline)[-1].channel = 126
    with pytest.raises(LucidError, match="TIMELINE_FULL"):
        import_take(scene, folder, 2)
    assert len(strips_of(timeline)) == 4
    assert import_take(scene, folder, 1) == timeline        # what is there already needs no channel


def _heat(take: Take, shot: Shot, *names: str) -> None:
    """Heat maps whose left half is orange, seen through by half, and whose right half is nothing."""
    for name in names:
        for frame in shot.frames.numbers:
            rgba = np.zeros((shot.size.height, shot.size.width, 4), np.uint8)
            rgba[:, :shot.size.width // 2] = (255, 128, 0, 128)
            write_png(take.folder / frame_path(f"heat/{name}/frame.####.png", frame), rgba)


def test_heat_maps_lie_above_the_final(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    take = make_take(folder, shot)
    _heat(take, shot, "drift", "warp_error")
    timeline = import_take(scene, folder, 1, heat=True)
    strips = strips_of(timeline)
    assert [strip.name for strip in strips[4:]] == ["lucid walk take 1 · heat drift", "lucid walk take 1 · heat warp_error"]
    assert [strip.mute for strip in strips] == [True, True, True, False, True, True]
    assert {(strip.left_handle, strip.right_handle) for strip in strips} == {(11, 15)}
    final = final_frame(folder, 1, 12)
    assert np.abs(rendered_frame(timeline, 12, tmp_path / "out.png") - final).max() <= 1
    strips[4].mute = False
    heated, half = rendered_frame(timeline, 12, tmp_path / "out.png"), shot.size.width // 2
    assert np.abs(heated - final)[:, half:].max() <= 1         # nothing is measured there
    assert heated[:, :half, 2].min() > 180 and heated[:, :half, 2].min() > final[:, :half, 2].min() + 100


def test_heat_maps_come_later(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    """Measured after the take was imported, and without them it is imported as before."""
    folder = tmp_path / "walk.lucid"
    take = make_take(folder, shot)
    timeline = import_take(scene, folder, 1)
    with pytest.raises(LucidError, match=r"HEAT_MISSING.*lucid measure walk.lucid --take 1 --heat"):
        import_take(scene, folder, 1, heat=True)
    _heat(take, shot, "drift")
    assert len(strips_of(import_take(scene, folder, 1))) == 4
    make_take(folder, shot, seed=1)
    import_take(scene, folder, 2)
    for _ in range(2):
        assert import_take(scene, folder, 1, heat=True) == timeline
        assert [(strip.channel, strip.name) for strip in strips_of(timeline)[8:]] == [(9, "lucid walk take 1 · heat drift")]
    (take.folder / "heat/drift/frame.0013.png").unlink()
    with pytest.raises(LucidError, match=r"HEAT_MISSING.*frame.0013.png is missing"):
        import_take(scene, folder, 1, heat=True)


def test_layers_come_back_beside_their_heat_maps(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    _heat(make_take(folder, shot), shot, "drift")
    timeline = import_take(scene, folder, 1, heat=True)
    for strip in strips_of(timeline)[:4]:
        timeline.sequence_editor.strips.remove(strip)
    import_take(scene, folder, 1)
    assert [strip.name.partition("· ")[2] for strip in strips_of(timeline)] == [
        "heat drift", "environment", "Ball", "Walker", "final"]
    assert [strip.mute for strip in strips_of(timeline)] == [True, True, True, True, False]


def test_the_operator_takes_heat_maps_along(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    _heat(make_take(folder, shot), shot, "drift")
    scene.lucid.shot = str(folder)
    make_take(folder, shot, seed=1)
    bpy.ops.lucid.takes_refresh()
    runtime = bpy.context.window_manager.lucid
    assert [row.heat for row in runtime.takes] == [True, False]        # the panel's button is there for the first alone
    runtime.take_index = 0
    assert bpy.ops.lucid.import_take() == {"FINISHED"}
    timeline = bpy.data.scenes["Scene timeline"]
    assert len(strips_of(timeline)) == 4
    assert bpy.ops.lucid.import_take(heat=True) == {"FINISHED"}
    assert len(strips_of(timeline)) == 5
