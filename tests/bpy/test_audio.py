# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a shot: clicks where the timeline has them, and impacts where bodies hit."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import bpy
import numpy as np
import pytest
from lucid.addon.capture.audio import CUES, MIX, RATE, mix_of, write_audio
from lucid.addon.capture.contacts import Contact, contacts_of, impacts
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Size
from lucid.tests.captured import add_camera, add_cube, add_sphere, captured

G = 9.81


@pytest.fixture
def click(tmp_path: Path) -> Path:
    """Two seconds of silence with one millisecond of noise after half a second."""
    samples = np.zeros(2 * RATE, np.int16)
    samples[RATE // 2:RATE // 2 + 48] = 20_000
    with wave.open(str(tmp_path / "click.wav"), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE)
        stream.writeframes(samples.tobytes())
    return tmp_path / "click.wav"


def _strip(scene: bpy.types.Scene, path: Path, at: int, channel: int = 1) -> bpy.types.Strip:
    return scene.sequence_editor_create().strips.new_sound(path.stem, str(path), channel, at)


def _read(path: Path) -> np.ndarray:
    """(samples, channels) in [-1, 1]; the format is as promised."""
    with wave.open(str(path), "rb") as stream:
        assert (stream.getframerate(), stream.getsampwidth(), stream.getnchannels()) == (RATE, 2, 2)
        return np.frombuffer(stream.readframes(stream.getnframes()), np.int16).reshape(-1, 2) / 32768.0


def _first(sound: np.ndarray) -> int:
    return int(np.flatnonzero(np.abs(sound[:, 0]) > 0.2)[0])


@pytest.mark.parametrize(("fps", "base", "frames", "at"), [
    (24, 1.0, Frames(5, 40), 10), (24, 1.001, Frames(5, 41, 3), 10), (30, 1.0, Frames(1, 30), 1), (25, 1.0, Frames(17, 60), 10),
    (60, 1.0, Frames(100, 133), 75), (25, 1.0, Frames(-7, 30), 4)])
def test_a_click_is_where_the_timeline_has_it(empty: bpy.types.Scene, click: Path, tmp_path: Path, fps: int, base: float,
                                              frames: Frames, at: int) -> None:
    empty.render.fps, empty.render.fps_base = fps, base
    empty.frame_start, empty.frame_end = 3, 77
    _strip(empty, click, at)
    assert write_audio(empty, frames, tmp_path / "shot") == MIX
    sound = _read(tmp_path / "shot" / MIX)
    rate = fps / empty.render.fps_base
    assert len(sound) == round((frames.end + 1 - frames.start) / rate * RATE)
    assert abs(_first(sound) - ((at - frames.start) / rate + 0.5) * RATE) <= 2      # samples; 48 are a millisecond
    assert (empty.frame_start, empty.frame_end) == (3, 77)


def test_the_mix_is_the_scenes_even_when_another_is_open(empty: bpy.types.Scene, click: Path, tmp_path: Path) -> None:
    other = bpy.data.scenes.new("Other")
    _strip(other, click, 1)
    assert write_audio(empty, Frames(1, 24), tmp_path / "one") == ""
    assert not (tmp_path / "one").exists()
    assert write_audio(other, Frames(1, 24), tmp_path / "two") == MIX
    assert _first(_read(tmp_path / "two" / MIX)) == pytest.approx(RATE / 2, abs=2)


def test_a_sequence_is_mixed_once(empty: bpy.types.Scene, click: Path, tmp_path: Path) -> None:
    """Parts of one mix are what each shot's own mix is; beyond it there is silence."""
    _strip(empty, click, 10)
    mix = mix_of(empty, Frames(3, 60))
    for frames in (Frames(3, 30), Frames(17, 41), Frames(55, 70), Frames(-9, 12), Frames(-9, -5), Frames(80, 90)):
        assert write_audio(empty, frames, tmp_path / "part", mix=mix) == MIX
        write_audio(empty, frames, tmp_path / "alone")
        part, alone = _read(tmp_path / "part" / MIX), _read(tmp_path / "alone" / MIX)
        assert len(part) == len(alone) == len(frames) * RATE // 24
        heard = np.abs(alone) > 0.2
        assert heard.any() == (frames.start <= 22 < frames.end)
        assert not heard.any() or abs(_first(part) - _first(alone)) <= 1
        assert np.abs(part).max() == pytest.approx(np.abs(alone).max(), abs=1e-3)


def test_two_strips_are_added(empty: bpy.types.Scene, click: Path, tmp_path: Path) -> None:
    _strip(empty, click, 1)
    alone = _mixed(empty, tmp_path / "alone")
    _strip(empty, click, 1, channel=2).volume = 0.25
    assert _mixed(empty, tmp_path / "both").max() == pytest.approx(1.25 * alone.max(), rel=1e-3)


def _mixed(scene: bpy.types.Scene, folder: Path) -> np.ndarray:
    assert write_audio(scene, Frames(1, 24), folder) == MIX
    return _read(folder / MIX)


def test_what_is_muted_does_not_sound(empty: bpy.types.Scene, click: Path, tmp_path: Path) -> None:
    strip = _strip(empty, click, 1)
    channel = empty.sequence_editor.channels[1]
    for owner, name, value in ((strip, "mute", True), (channel, "mute", True), (empty, "use_audio", False)):
        before = getattr(owner, name)
        setattr(owner, name, value)
        assert write_audio(empty, Frames(1, 24), tmp_path / name) == ""
        assert not (tmp_path / name / MIX).exists()
        setattr(owner, name, before)
    assert write_audio(empty, Frames(1, 24), tmp_path / "heard") == MIX


def test_a_sound_inside_a_muted_meta_strip_does_not_sound(empty: bpy.types.Scene, click: Path, tmp_path: Path) -> None:
    meta = empty.sequence_editor_create().strips.new_meta("Meta", 1, 1)
    _strip(empty, click, 1, channel=2).move_to_meta(meta)
    meta.right_handle = 49
    assert _first(_mixed(empty, tmp_path / "heard")) == pytest.approx(RATE / 2, abs=2)
    meta.mute = True
    assert write_audio(empty, Frames(1, 24), tmp_path / "muted") == ""


def test_a_speaker_sounds(empty: bpy.types.Scene, click: Path, tmp_path: Path) -> None:
    data = bpy.data.speakers.new("Speaker")
    data.sound = bpy.data.sounds.load(str(click))
    speaker = bpy.data.objects.new("Speaker", data)
    empty.collection.objects.link(speaker)
    assert write_audio(empty, Frames(1, 24), tmp_path / "heard") == MIX
    data.muted = True
    assert write_audio(empty, Frames(1, 24), tmp_path / "muted") == ""


def test_a_lost_file_is_told(empty: bpy.types.Scene, click: Path, tmp_path: Path) -> None:
    strip = _strip(empty, click, 1)
    click.unlink()
    with pytest.raises(LucidError, match="SOUND_MISSING"):
        write_audio(empty, Frames(1, 24), tmp_path / "shot")
    strip.mute = True
    assert write_audio(empty, Frames(1, 24), tmp_path / "shot") == ""


def test_a_packed_file_may_be_gone(empty: bpy.types.Scene, click: Path, tmp_path: Path) -> None:
    _strip(empty, click, 1).sound.pack()
    click.unlink()
    assert _first(_mixed(empty, tmp_path / "shot")) == pytest.approx(RATE / 2, abs=2)


def test_the_cues_name_strips_and_markers(empty: bpy.types.Scene, click: Path, tmp_path: Path) -> None:
    empty.render.fps = 24
    _strip(empty, click, 10).volume = 0.5
    _strip(empty, click, 200, channel=2)
    empty.timeline_markers.new("hit", frame=12)
    empty.timeline_markers.new("later", frame=90)
    write_audio(empty, Frames(5, 40), tmp_path / "shot", [Contact(12.25, ("Ball", "Floor"), 4.5)])
    assert json.loads((tmp_path / "shot" / CUES).read_text()) == {
        "strips": [{"name": "click", "channel": 1, "start": 10, "end": 57, "file": "click.wav", "volume": 0.5, "mute": False}],
        "markers": [{"frame": 12, "name": "hit", "camera": ""}],
        "contacts": [{"frame": 12.25, "objects": ["Ball", "Floor"], "impulse": 4.5}]}    # N s


def _rigid(item: bpy.types.Object, kind: str, **settings: float) -> bpy.types.Object:
    bpy.context.view_layer.objects.active = item
    bpy.ops.rigidbody.object_add(type=kind)
    for name, value in settings.items():
        setattr(item.rigid_body, name, value)
    return item


def _floor(**settings: float) -> bpy.types.Object:
    floor = add_cube("Floor", at=(0.0, 0.0, -0.5))
    floor.scale = (20.0, 20.0, 1.0)
    bpy.context.view_layer.update()
    return _rigid(floor, "PASSIVE", collision_shape="BOX", friction=0.5, **settings)


def _ball(name: str = "Ball", *, at: tuple[float, float, float], **settings: float) -> bpy.types.Object:
    return _rigid(add_sphere(name, radius=0.2, at=at, detail=24), "ACTIVE", collision_shape="SPHERE", linear_damping=0.0,
                  angular_damping=0.0, collision_margin=0.0, **settings)


def _watched(scene: bpy.types.Scene, frames: Frames) -> tuple[Contact, ...]:
    steps = contacts_of(scene, frames)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("restitution", [0.0, 0.6])
@pytest.mark.parametrize("fps", [24, 30])
def test_a_ball_that_falls(empty: bpy.types.Scene, fps: int, restitution: float) -> None:
    """From 1.5 m, after sqrt(2 h / g), with an impulse of m v (1 + e); the simulation starts at frame 1. Bullet's e is not what
    it was set to: the time until the ball is back, 2 e v / g, tells it."""
    empty.render.fps, empty.frame_end = fps, 60
    _floor(restitution=1.0)
    _ball(at=(0.1, 0.2, 1.7), mass=2.5, restitution=restitution)
    empty.frame_set(7)
    first, *others = _watched(empty, Frames(1, 50))
    speed = (2.0 * G * 1.5) ** 0.5
    back = 0.5 * G * (others[0].frame - first.frame) / fps if others else 0.0
    assert 0.3 < back / speed < 0.9 if restitution else back < 0.15 * speed
    assert first.objects == ("Ball", "Floor")
    assert first.frame == pytest.approx(1.0 + fps * speed / G, abs=0.5)
    assert first.impulse == pytest.approx(2.5 * (speed + back), rel=0.1)
    assert empty.frame_current == 7


def test_only_the_shots_own_contacts(empty: bpy.types.Scene) -> None:
    empty.frame_end = 60
    _floor(restitution=1.0)
    _ball(at=(0.1, 0.2, 1.7), restitution=0.6)
    every = _watched(empty, Frames(1, 50))
    late = _watched(empty, Frames(20, 50))
    assert [contact.frame for contact in late] == pytest.approx([c.frame for c in every if c.frame >= 20.0], abs=0.05)
    assert late and every[0].frame < 20.0


def test_the_scene_need_not_be_open(empty: bpy.types.Scene) -> None:
    empty.frame_end = 60
    _floor(restitution=1.0)
    _ball(at=(0.1, 0.2, 1.7), restitution=0.6)
    every = _watched(empty, Frames(1, 30))
    empty.rigidbody_world.point_cache.frame_end = 59        # forgets what is cached
    bpy.context.window.scene = bpy.data.scenes.new("Other")
    assert _watched(empty, Frames(1, 30)) == every != ()


def test_what_rests_or_slides_is_silent(empty: bpy.types.Scene) -> None:
    empty.frame_end = 40
    _floor()
    _rigid(add_cube("Box", at=(0.0, 0.0, 0.5)), "ACTIVE", collision_shape="BOX")
    _ball(at=(3.0, 0.0, 0.2), friction=0.5)
    assert _watched(empty, Frames(1, 40)) == ()


def test_two_balls_name_each_other(empty: bpy.types.Scene) -> None:
    """One falls onto another that hangs still: told once."""
    empty.frame_end = 30
    _floor()
    _ball("Upper", at=(0.0, 0.0, 2.0), mass=1.0)
    _rigid(add_cube("Shelf", at=(0.0, 0.0, 0.5)), "ACTIVE", collision_shape="BOX", mass=50.0)
    found = [contact for contact in _watched(empty, Frames(1, 15)) if contact.impulse > 0.5]
    assert [set(contact.objects) for contact in found] == [{"Upper", "Shelf"}]
    assert found[0].frame == pytest.approx(1.0 + 24.0 * (2.0 * 0.8 / G) ** 0.5, abs=1.0)


def test_no_rigid_bodies_no_contacts(scene: bpy.types.Scene) -> None:
    assert _watched(scene, Frames(1, 10)) == ()


def test_the_end_of_the_cache_is_no_impact(empty: bpy.types.Scene) -> None:
    empty.frame_end = 60
    _floor()
    _ball(at=(0.0, 0.0, 9.0))
    empty.rigidbody_world.point_cache.frame_end = 12
    assert _watched(empty, Frames(1, 30)) == ()


def test_a_shot_has_its_sound(empty: bpy.types.Scene, click: Path, tmp_path: Path) -> None:
    """The mix and the cues are sealed with it, and the scene is as before."""
    empty.render.fps, empty.frame_end = 24, 60
    add_camera(empty)
    _floor(restitution=1.0)
    _ball(at=(0.1, 0.2, 1.7), restitution=0.6)
    _strip(empty, click, 4)
    empty.frame_set(7)
    shot = captured(empty, tmp_path, frames=Frames(3, 22), size=Size(64, 36))
    assert shot.shot.audio == MIX and {MIX, CUES} <= shot.shot.files.keys()
    assert _first(_read(shot.folder / MIX)) == pytest.approx((1.0 / 24.0 + 0.5) * RATE, abs=2)
    cues = json.loads((shot.folder / CUES).read_text())
    assert [strip["name"] for strip in cues["strips"]] == ["click"]
    assert [contact["objects"] for contact in cues["contacts"]] == [["Ball", "Floor"]]
    assert (empty.frame_current, empty.frame_start, empty.frame_end) == (7, 1, 60)


@pytest.mark.parametrize("at", [10.0, 10.25, 10.5, 10.9])
@pytest.mark.parametrize("bounce", [0.0, 0.3, 1.0])
def test_impacts_of_a_closed_form(at: float, bounce: float) -> None:
    """A fall at 24 fps that ends between two frames: when, and by how much the velocity jumps."""
    step, gravity = 1.0 / 24.0, np.array([0.0, 0.0, -G])
    time = (np.arange(25) - at) * step
    speed = 5.0
    before = -speed * time - 0.5 * G * time**2
    after = bounce * speed * time - 0.5 * G * time**2 if bounce else 0.0 * time
    track = np.stack([0.7 * time, 0.0 * time, np.where(time < 0.0, before, after)], axis=1)
    (impact, *others) = impacts(track, step, gravity)
    assert not others
    assert impact.at == pytest.approx(at, abs=0.1)
    assert impact.change[2] == pytest.approx(speed * (1.0 + bounce), rel=0.05)


@pytest.mark.parametrize("slope", [0.0, 20.0, 45.0, 90.0])
def test_free_and_supported_motion_has_no_impacts(slope: float) -> None:
    """Down a frictionless slope from rest: half a second at rest, then g sin(slope) along it."""
    way = np.array([np.cos(np.radians(slope)), 0.0, -np.sin(np.radians(slope))])
    time = np.maximum(np.arange(36) / 24.0 - 0.5, 0.0)
    track = 0.5 * G * np.sin(np.radians(slope)) * time[:, None] ** 2 * way
    assert impacts(track, 1.0 / 24.0, np.array([0.0, 0.0, -G])) == []
