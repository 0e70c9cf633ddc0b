# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Generate panel says before Generate: from memory, the same as the command line, for what would be painted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest
from lucid.addon import estimate
from lucid.inference.conditioning.estimate import FILE, UNMEASURED, Speed, add_speed, read_speeds, told_of_take, work_of
from lucid.inference.conditioning.habits import MINI, read_habits
from lucid.inference.shot.model import Frames, Size, TakeRequest
from lucid.tests.shots import make_shot


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LUCID_HOME", str(tmp_path))
    estimate.forget()
    yield tmp_path
    estimate.forget()


def measured(home: Path) -> None:
    work = work_of(read_habits(MINI), "mini", 45, Size(256, 144), 8, [0, 0])
    add_speed(home / FILE, Speed(work, "CPU", 4.0, 60.0, 30.0, 10**9, 8 * 10**8, 8 * 10**9))


def look(scene: bpy.types.Scene) -> estimate.Facts:
    """What a drawing asks for, and then the timer that it starts."""
    estimate.facts(scene)
    estimate._tick()
    found = estimate.facts(scene)
    assert found is not None
    return found


def said(scene: bpy.types.Scene) -> list[str]:
    look(scene)
    lines, warning = estimate.lines(scene)
    return [*lines, *([warning] if warning else [])]


def test_nothing_is_read_while_it_is_drawn(scene: bpy.types.Scene, home: Path) -> None:
    assert estimate.lines(scene) == ([], "") and estimate.windows(scene) is None
    look(scene)
    measured(home)
    assert estimate.lines(scene)[0][-1] == UNMEASURED       # until the next look
    assert said(scene)[-1] != UNMEASURED


def test_before_capture_it_is_about_the_settings(scene: bpy.types.Scene, home: Path) -> None:
    scene.frame_end = 45
    scene.lucid.use_size, scene.lucid.width, scene.lucid.height = True, 256, 144
    assert said(scene) == ["to capture: 45 frames, 256x144", "9 windows of 9 frames, overlap 4 to 5", UNMEASURED]
    measured(home)
    assert said(scene)[-1] == "about 49 s, 1.0 GB for 1 layer on CPU"       # 4 s of loading, and half of two layers' 90 s
    scene.lucid.steps = 4
    assert said(scene)[-1].startswith("about 34 s")
    plan, frames = estimate.windows(scene)
    assert frames == Frames(1, 45) and plan == read_habits(MINI).windows(45)
    scene.lucid.use_scene_range, scene.lucid.frame_end = False, 0
    assert said(scene) == ["frames 1:0:1 hold no frame"] and estimate.windows(scene) is None


def test_after_capture_it_is_about_the_shot_and_as_the_command_line_says(scene: bpy.types.Scene, home: Path) -> None:
    shot = make_shot(home / "street.lucid", frames=Frames(1, 17))
    scene.lucid.shot = str(home / "street.lucid")
    measured(home)
    lines = said(scene)
    assert lines[0] == "the captured shot: 17 frames, 64x48"
    assert lines[1:-1] == told_of_take(shot, TakeRequest("a street"), {}, read_speeds(home / FILE))
    assert lines[-1].startswith("the shot was captured with other frames, another size or other actors")
    settings = scene.lucid
    settings.use_scene_range, settings.frame_start, settings.frame_end = False, 1, 17
    settings.use_size, settings.width, settings.height = True, 64, 48
    for actor in shot.actors:
        settings.actors.add().object = bpy.data.objects.new(actor.name, None)
    assert said(scene) == lines[:-1]
    settings.frame_end = 16
    assert said(scene) == lines
    assert lines[1:3] == ["3 windows of 9 frames, overlap 5", "very roughly 8 s, 1.0 GB for 3 layers on CPU"]


def test_what_does_not_fit_is_a_warning(scene: bpy.types.Scene, home: Path) -> None:
    scene.lucid.use_size, scene.lucid.width, scene.lucid.height = True, 2560, 1440
    measured(home)
    look(scene)
    lines, warning = estimate.lines(scene)
    assert "GB" in lines[-1] and warning == "it may need 20.8 GB of memory, this machine has 8.0: take a smaller size"


def test_locked_layers_do_not_count(scene: bpy.types.Scene, home: Path) -> None:
    make_shot(home / "street.lucid")
    scene.lucid.shot = str(home / "street.lucid")
    measured(home)
    assert "for 3 layers" in said(scene)[2]
    scene.lucid.environment.locked = True
    assert "for 2 layers" in said(scene)[2]


def test_weights_that_are_not_here_are_known_once_loaded(scene: bpy.types.Scene, home: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(home))
    scene.lucid.weights = "owner/name"
    assert said(scene)[1:] == ["windows: known once the weights are loaded", UNMEASURED]
    assert estimate.windows(scene) is None


def test_a_shot_that_is_gone_is_said(scene: bpy.types.Scene, home: Path) -> None:
    scene.lucid.shot = str(home / "gone.lucid")
    assert said(scene)[0].startswith("SHOT_")
    make_shot(home / "gone.lucid")
    assert said(scene)[0].startswith("the captured shot")       # it came back


def test_a_missing_worker_is_noticed(scene: bpy.types.Scene, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUCID_WORKER_PYTHON", raising=False)
    assert not look(scene).worker
    monkeypatch.setenv("LUCID_WORKER_PYTHON", bpy.app.binary_path or __file__)
    assert look(scene).worker


def test_two_scenes_that_are_drawn_in_turn_are_both_known(scene: bpy.types.Scene, home: Path) -> None:
    other = bpy.data.scenes.new("Other")
    other.lucid.weights = "owner/name"
    for drawn in (scene, other, scene, other):
        assert estimate.facts(drawn) is None
    estimate._tick()
    assert estimate.facts(scene).weights == "mini" and estimate.facts(other).habits is None


def test_nothing_stays(scene: bpy.types.Scene, home: Path) -> None:
    estimate.facts(scene)
    look(scene)
    estimate.forget()
    assert not bpy.app.timers.is_registered(estimate._tick) and estimate.facts(scene) is None
