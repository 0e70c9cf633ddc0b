# SPDX-License-Identifier: GPL-3.0-or-later
"""The cut: the shot's sound, which take is shown, and another take in the place of one, edits and all."""

from __future__ import annotations

import time
import wave
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon import verified
from lucid.addon.cut import replace_take, replaceable
from lucid.addon.strips import last_name
from lucid.addon.timeline import import_take
from lucid.addon.verified import verified_take
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Shot
from lucid.inference.shot.store import open_shot, seal, sha256_file
from lucid.operators.common import OfVerifiedTake
from lucid.operators.takes import LUCID_OT_take_compare
from lucid.tests.shots import make_shot
from lucid.tests.takes import make_take
from lucid.tests.timelines import final_frame, rendered_frame, strips_of


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path / "walk.lucid", frames=Frames(11, 14))


def _sounding(folder: Path, frames: Frames) -> Shot:
    """A shot with a sound as long as it."""
    with wave.open(str(folder / "mix.wav"), "wb") as stream:
        stream.setnchannels(2)
        stream.setsampwidth(2)
        stream.setframerate(48000)
        stream.writeframes(b"\1\0\1\0" * (48000 * (frames.end + 1 - frames.start) // 12))
    (folder / "audio").mkdir()
    (folder / "mix.wav").rename(folder / "audio" / "mix.wav")
    return seal(folder, replace(open_shot(folder, verify=False), audio="audio/mix.wav", files={}))


def _sounds(timeline: bpy.types.Scene) -> list[bpy.types.SoundStrip]:
    return [strip for strip in timeline.sequence_editor.strips if strip.type == "SOUND"]


def test_the_sound_comes_once_and_stays(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    shot = _sounding(folder, shot.frames)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "edit.blend"))
    scene = bpy.context.scene
    for seed in (1, 2, 3):
        make_take(folder, shot, seed=seed)
    timeline = import_take(scene, folder, 1)
    sound, = _sounds(timeline)
    assert (sound.name, sound.channel, sound.mute) == ("lucid walk · sound", 1, False)
    assert (sound.left_handle, sound.right_handle) == (11, 15)
    assert sound.sound.filepath == "//walk.lucid/audio/mix.wav"
    assert [strip.channel for strip in strips_of(timeline)] == [1, 2, 3, 4, 5]
    sound.mute, sound.volume = True, 0.5                # the user's, and kept
    import_take(scene, folder, 2)
    replace_take(verified_take(folder, 1), replaceable(timeline, folder))
    assert _sounds(timeline) == [sound] and sound.mute and sound.volume == 0.5
    timeline.sequence_editor.strips.remove(sound)
    import_take(scene, folder, 3)
    assert not _sounds(timeline)                        # deleted stays deleted


def test_another_shot_at_the_same_frames_takes_over_the_sound(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    other = make_shot(tmp_path / "again.lucid", frames=shot.frames)
    for name in ("walk.lucid", "again.lucid"):
        make_take(tmp_path / name, _sounding(tmp_path / name, shot.frames))
    timeline = import_take(scene, tmp_path / "walk.lucid", 1)
    assert import_take(scene, tmp_path / f"{other.name}.lucid", 1) == timeline
    assert {sound.name: sound.mute for sound in _sounds(timeline)} == {"lucid walk · sound": True, "lucid again · sound": False}
    import_take(scene, tmp_path / "walk.lucid", 1)
    assert {sound.name: sound.mute for sound in _sounds(timeline)} == {"lucid walk · sound": False, "lucid again · sound": True}


def test_a_sound_that_was_damaged_is_told(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    make_take(tmp_path / "walk.lucid", _sounding(tmp_path / "walk.lucid", shot.frames))
    (tmp_path / "walk.lucid" / "audio" / "mix.wav").write_bytes(b"")
    with pytest.raises(LucidError, match="SHOT_CORRUPT"):
        import_take(scene, tmp_path / "walk.lucid", 1)
    assert len(bpy.data.scenes) == 1


def _two_takes(scene: bpy.types.Scene, shot: Shot, folder: Path) -> bpy.types.Scene:
    """Both imported by operators, the second is seen."""
    make_take(folder, shot, seed=1)
    make_take(folder, shot, seed=2)
    scene.lucid.shot = str(folder)
    bpy.ops.lucid.takes_refresh()
    for number in (1, 2):
        bpy.ops.lucid.import_take(number=number)
    return bpy.data.scenes["Scene timeline"]


def _seen(timeline: bpy.types.Scene) -> list[str]:
    return [strip.name for strip in strips_of(timeline) if not strip.mute]


def test_takes_take_turns(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    """Other shots and strips of the user's own stay as they are."""
    folder, beside = tmp_path / "walk.lucid", tmp_path / "run.lucid"
    timeline = _two_takes(scene, shot, folder)
    make_take(beside, make_shot(beside, frames=Frames(15, 17)))
    import_take(scene, beside, 1)
    own = timeline.sequence_editor.strips.new_effect("own", "COLOR", channel=20, frame_start=11, length=2)
    assert bpy.ops.lucid.take_show(number=1) == {"FINISHED"}
    assert _seen(timeline) == ["lucid walk take 1 · final", "lucid run take 1 · final", "own"] and not own.mute
    assert bpy.ops.lucid.take_show(number=2) == {"FINISHED"}
    assert _seen(timeline) == ["lucid run take 1 · final", "lucid walk take 2 · final", "own"]
    timeline.sequence_editor.strips.remove(timeline.sequence_editor.strips["lucid walk take 1 · final"])
    with pytest.raises(RuntimeError, match="TAKE_ABSENT"):
        bpy.ops.lucid.take_show(number=1)
    assert _seen(timeline) == ["lucid run take 1 · final", "lucid walk take 2 · final", "own"]


def test_a_replaced_take_keeps_what_was_done_to_its_strip(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    timeline = _two_takes(scene, shot, folder)
    editor = timeline.sequence_editor
    strip = editor.strips["lucid walk take 2 · final"]
    strip.left_handle, strip.right_handle, strip.content_start = 12, 14, strip.content_start
    strip.transform.offset_x, strip.crop.min_y, strip.blend_type, strip.color_tag = 4.0, 3, "ADD", "COLOR_02"
    strip.modifiers.new("Grade", "BRIGHT_CONTRAST").bright = 0.25
    strip.blend_alpha = 0.5
    strip.keyframe_insert("blend_alpha", frame=12)
    strip.blend_alpha = 1.0
    strip.keyframe_insert("blend_alpha", frame=14)
    before = _edits(strip)
    assert bpy.ops.lucid.take_replace(number=1) == {"FINISHED"}
    assert _edits(strip) == before and strip.name == "lucid walk take 1 · final.001"
    assert strip.directory == f"{folder.resolve()}/takes/0001/final/"
    bpy.context.window.scene = timeline
    timeline.frame_set(12)
    assert strip.blend_alpha == 0.5                 # the keyframes found it under its new name
    timeline.frame_set(14)
    assert strip.blend_alpha == 1.0


@pytest.mark.parametrize("folder", ["//lucid/hero.lucid/", "//lucid/hero.lucid", "/srv/hero.lucid/", "hero.lucid"])
def test_a_shots_name_is_the_last_part_of_its_path(folder: str) -> None:
    assert last_name(folder) == "hero.lucid"


def _edits(strip: bpy.types.ImageStrip) -> tuple[object, ...]:
    return (strip.left_handle, strip.right_handle, strip.content_start, strip.transform.offset_x, strip.crop.min_y,
            strip.blend_type, strip.color_tag, strip.channel, strip.mute, [modifier.bright for modifier in strip.modifiers],
            [element.filename for element in strip.elements])


def test_a_replaced_take_is_what_renders(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    """Also after the other one was seen, which Blender keeps in its cache."""
    folder = tmp_path / "walk.lucid"
    timeline = _two_takes(scene, shot, folder)
    assert np.abs(rendered_frame(timeline, 12, tmp_path / "out.png") - final_frame(folder, 2, 12)).max() <= 1
    strip = next(strip for strip in strips_of(timeline) if not strip.mute)
    strip.name = "hero"
    assert replace_take(verified_take(folder, 1), [strip]) == 1
    assert np.abs(rendered_frame(timeline, 12, tmp_path / "out.png") - final_frame(folder, 1, 12)).max() <= 1
    assert strip.name == "hero"


def test_selected_strips_are_replaced_first(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    timeline = _two_takes(scene, shot, tmp_path / "walk.lucid")
    strips_of(timeline)[5].select = True
    bpy.ops.lucid.take_replace(number=1)
    assert [Path(strip.directory).parts[-3:] for strip in strips_of(timeline)[4:]] == [
        ("0002", "layers", "environment"), ("0001", "layers", "Ball"), ("0002", "layers", "Walker"), ("takes", "0002", "final")]
    assert bpy.ops.lucid.take_replace(number=1) == {"CANCELLED"}


def test_show_and_replace_say_why_they_cannot(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    for operator in (bpy.ops.lucid.take_show, bpy.ops.lucid.take_replace):
        with pytest.raises(RuntimeError, match="Capture the shot first"):
            operator()
    take = make_take(folder, shot)
    scene.lucid.shot = str(folder)
    bpy.ops.lucid.takes_refresh()
    for operator in (bpy.ops.lucid.take_show, bpy.ops.lucid.take_replace):
        with pytest.raises(RuntimeError, match="press To Timeline first"):
            operator()
    bpy.ops.lucid.import_take()
    make_take(folder, shot, seed=1)
    timeline = bpy.data.scenes["Scene timeline"]
    (take.folder.parent / "0002" / "final" / "frame.0012.png").unlink()
    with pytest.raises(RuntimeError, match="TAKE_CORRUPT"):
        bpy.ops.lucid.take_replace(number=2)
    with pytest.raises(RuntimeError, match="TAKE_MISSING"):
        bpy.ops.lucid.take_show(number=9)
    assert {Path(strip.directory).parts[-3] for strip in strips_of(timeline)} <= {"0001", "takes"}
    for strip in strips_of(timeline):
        strip.mute, strip.select = True, False
    assert bpy.ops.lucid.take_replace(number=1) == {"CANCELLED"}


def test_show_and_replace_are_undone(scene: bpy.types.Scene, shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "walk.lucid"
    _two_takes(scene, shot, folder)
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.lucid.take_show("EXEC_DEFAULT", True, number=1)
    assert _seen(bpy.data.scenes["Scene timeline"]) == ["lucid walk take 1 · final"]
    bpy.ops.lucid.take_replace("EXEC_DEFAULT", True, number=2)
    assert _seen(bpy.data.scenes["Scene timeline"]) == ["lucid walk take 2 · final.001"]
    bpy.ops.ed.undo()
    assert _seen(bpy.data.scenes["Scene timeline"]) == ["lucid walk take 1 · final"]
    bpy.ops.ed.undo()
    assert _seen(bpy.data.scenes["Scene timeline"]) == ["lucid walk take 2 · final"]


class _Compare:
    """``lucid.take_compare`` in the middle of its steps, which an operator that a script calls never is."""

    _steps, _verified, wanted = LUCID_OT_take_compare._steps, OfVerifiedTake._verified, OfVerifiedTake.wanted
    number = 2


def test_a_scene_that_is_deleted_while_the_other_take_is_checked_is_told(
        scene: bpy.types.Scene, shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "walk.lucid"
    for seed in (1, 2):
        make_take(folder, shot, seed=seed)
    scene.lucid.shot = str(folder)
    bpy.ops.lucid.takes_refresh()
    bpy.ops.lucid.import_take(number=1)
    monkeypatch.setattr(verified, "sha256_file", lambda path: (time.sleep(0.05), sha256_file(path))[1])
    steps = _Compare()._steps(bpy.context)
    next(steps)
    bpy.data.scenes.remove(scene)
    with pytest.raises(LucidError, match="SCENE_GONE"):
        list(steps)
    assert _seen(bpy.data.scenes["Scene timeline"]) == ["lucid walk take 1 · final"]


def test_the_redo_panel_offers_no_other_take(registered: None) -> None:
    for operator in (bpy.ops.lucid.take_show, bpy.ops.lucid.take_replace, bpy.ops.lucid.take_compare, bpy.ops.lucid.import_take):
        assert operator.get_rna_type().properties["number"].is_hidden
