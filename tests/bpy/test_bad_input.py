# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be captured ends in one clear line and leaves no file; a capture that stops leaves the scene as it was."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import pytest
from lucid.addon import commands
from lucid.addon.capture import CaptureSpec, Progress, capture_shot, gbuffer
from lucid.addon.capture.show import PASS_TEXTS
from lucid.inference.errors import LucidError
from lucid.inference.shot.model import Frames, Size
from lucid.inference.shot.store import open_shot
from lucid.tests.captured import add_camera, add_cube, add_sphere
from lucid.tests.states import differences, everything

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = CaptureSpec(Frames(1, 3), Size(32, 16), actors=("Ball",), passes=tuple(PASS_TEXTS), samples=1)
# a file of more bytes than this fails, as on a disk that is full
DISK = 3000
FULL_DISK = """
import resource, runpy, sys
entry, limit = sys.argv[1], int(sys.argv[2])
sys.argv = [entry, *sys.argv[3:]]
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
runpy.run_path(entry, run_name="__main__")
"""


@pytest.fixture
def blend(scene: bpy.types.Scene, tmp_path: Path) -> Path:
    scene.frame_end = 3
    path = tmp_path / "in" / "cube.blend"
    path.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def _refusal(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a capture that must fail with one line; returns its code."""
    capfd.readouterr()
    assert commands.main(["capture", *(str(argument) for argument in arguments)]) == 2
    line, = (line for line in capfd.readouterr().err.splitlines() if not line.startswith("EGL Error"))
    assert line.startswith("lucid: ") and line.endswith(")")
    return line.split(": ")[1]


@pytest.mark.parametrize(("flags", "code"), [
    (("--frames", "5:1"), "RANGE_EMPTY"), (("--frames", "1:5:0"), "RANGE_EMPTY"), (("--size", "0x90"), "USAGE"),
    (("--size", "9000x90"), "SIZE_INVALID"), (("--camera", "Nobody"), "CAMERA_MISSING"),
    (("--actors", "Nobody"), "ACTOR_UNKNOWN"), (("--actors", "environment"), "ACTOR_NAME"),
    (("--actors", "Light"), "ACTOR_EMPTY")])
def test_flags_that_describe_no_shot(flags: tuple[str, ...], code: str, blend: Path, tmp_path: Path,
                                     capfd: pytest.CaptureFixture[str]) -> None:
    assert _refusal(capfd, blend, "--out", tmp_path / "out" / "a.lucid", *flags) == code
    assert not (tmp_path / "out").exists()


def test_an_empty_range_in_the_panel(blend: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = bpy.context.scene.lucid
    settings.use_scene_range, settings.frame_start, settings.frame_end = False, 5, 4
    bpy.ops.wm.save_mainfile()
    assert _refusal(capfd, blend, "--out", tmp_path / "a.lucid") == "RANGE_EMPTY"
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_picture_without_pixels(scene: bpy.types.Scene, tmp_path: Path) -> None:
    for size in (Size(0, 16), Size(16, 0), Size(-16, 16)):
        with pytest.raises(LucidError, match="SIZE_INVALID"):
            next(capture_shot(scene, CaptureSpec(Frames(1, 1), size), tmp_path / "a.lucid"))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(blend: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "a.lucid"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(ROOT / "scripts" / "blender_entry.py"), str(DISK), "--", "capture", str(blend),
         "--size", "64x48", "--out", str(out)], capture_output=True, text=True, timeout=120.0, check=False)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("EGL Error")]
    assert done.returncode == 2 and len(lines) == 1, done.stderr
    assert lines[0].startswith("lucid: DISK_WRITE: cannot write ") and "File too large" in lines[0]
    assert not out.parent.exists()


@pytest.fixture
def full(empty: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bpy.types.Scene:
    """A moving actor, hair and a light, in settings that a capture has to change; captured a frame at a time."""
    monkeypatch.setattr(gbuffer, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(gbuffer, "LOAD_SHARE", 0.0)
    add_camera(empty)
    ball = add_sphere("Ball", detail=16)
    for frame, x in ((1, -1.0), (3, 1.0)):
        ball.location.x = x
        ball.keyframe_insert("location", frame=frame)
    ball.modifiers.new("Wave", "WAVE")
    add_cube("Cube", at=(1.0, 1.0, 0.0)).pass_index = 7
    bpy.ops.object.curves_random_add()
    bpy.ops.object.light_add(type="SUN")
    empty.world = bpy.data.worlds.new("World")
    bpy.data.objects["Cube"].visible_shadow = False
    bpy.data.objects["Cube"].is_holdout = True
    render = empty.render
    render.engine, render.filepath = "BLENDER_WORKBENCH", "//somewhere"
    render.image_settings.file_format = "JPEG"
    render.use_sequencer = render.use_compositing = render.use_freestyle = render.use_multiview = True
    render.use_border = render.use_persistent_data = render.use_motion_blur = render.film_transparent = True
    render.resolution_percentage, render.use_stamp, render.use_lock_interface = 37, True, True
    empty.cycles.samples, empty.cycles.seed, empty.cycles.use_denoising = 77, 5, True
    empty.view_layers[0].use_pass_mist = True
    second = empty.view_layers.new("Second")
    second.use = second.layer_collection.exclude = False
    bpy.data.objects["Camera"].data.dof.use_dof = True
    empty.frame_set(7, subframe=0.25)
    bpy.ops.ed.undo_push(message="before")
    return empty


def _steps(folder: Path, scene: bpy.types.Scene) -> Iterator[Progress]:
    return capture_shot(scene, EVERYTHING, folder / "a.lucid")


def test_a_capture_of_everything_changes_nothing(full: bpy.types.Scene, tmp_path: Path,
                                                 capfd: pytest.CaptureFixture[str]) -> None:
    before = everything(capfd)
    assert before["undo"] and len(before["objects Cube"]) > 50
    said = []
    for step in _steps(tmp_path, full):
        said.append(step.text)
        assert list(differences(before, everything(capfd))) == [], step
    assert len(said) > 8 and len(open_shot(tmp_path / "a.lucid").layers) >= 2
    assert list(differences(before, everything(capfd))) == []


# the steps of a capture, each with its own settings
STAGES = ("frame 2: what only Cycles", "captured frame 2", "frame 1: volumes", "frame 2: beauty",
          "frame 2: clean plate", "frame 2: shadows")


def _cloud_for_hair() -> None:
    """Not both: a cloud takes Cycles seconds a frame."""
    bpy.data.objects.remove(bpy.data.objects["Curves"])
    cloud = bpy.data.objects.new("Cloud", bpy.data.volumes.new("Cloud"))
    bpy.context.scene.collection.objects.link(cloud)
    fill = cloud.modifiers.new("Fill", "MESH_TO_VOLUME")
    fill.object, fill.voxel_amount = bpy.data.objects["Cube"], 4
    bpy.context.view_layer.update()


def _until(steps: Iterator[Progress], stage: str) -> None:
    assert any(step.text.startswith(stage) for step in steps), f"no step says '{stage}'"


@pytest.mark.parametrize("stage", STAGES)
def test_stopping_changes_nothing(stage: str, full: bpy.types.Scene, tmp_path: Path,
                                  capfd: pytest.CaptureFixture[str]) -> None:
    if "volumes" in stage:
        _cloud_for_hair()
    before = everything(capfd)
    steps = _steps(tmp_path, full)
    _until(steps, stage)
    steps.close()
    assert list(differences(before, everything(capfd))) == []
    assert list(tmp_path.iterdir()) == []


@contextmanager
def _full_disk() -> Iterator[None]:
    """No file may grow; what Python prints meanwhile is not written to files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("stage", STAGES)
def test_an_error_in_the_middle_changes_nothing(stage: str, full: bpy.types.Scene, tmp_path: Path,
                                                capfd: pytest.CaptureFixture[str]) -> None:
    if "volumes" in stage:
        _cloud_for_hair()
    before = everything(capfd)
    steps = _steps(tmp_path, full)
    _until(steps, stage)
    with pytest.raises(LucidError, match="DISK_WRITE"), _full_disk():
        next(steps)
        next(steps)     # of two steps, one writes
    assert list(differences(before, everything(capfd))) == []
    assert list(tmp_path.iterdir()) == []
